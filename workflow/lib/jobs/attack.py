"""What workflow/rules/attack.smk asks: attacks, their conditions, and how much work they are."""

from collections.abc import Callable
from functools import cached_property
from types import SimpleNamespace

from lib import digest, work
from lib.grid import Grid
from lib.jobs.data import Data
from lib.jobs.jobs import MOST_TIMES, Jobs, Wildcards, canonical, key_of
from lib.settings import Settings

# Steps that an attack is taken to have whose file does not say how many.
MOST_STEPS = 100


class Attack(Jobs):
    """Every attack on a trained net, whatever is kept of it."""

    def __init__(self, settings: Settings, grid: Grid, data: Data):
        super().__init__(settings, grid)
        self.data = data

    def surrogate(self, wildcards: Wildcards) -> list[str]:
        """The model whose adversarial clips are transferred; none for an attack on the victim's own gradients."""
        surrogate = self.attack_facts(wildcards.attack).get("surrogate")
        return [self.model(wildcards.dataset, surrogate, wildcards.seed)] if surrogate else []

    def view(self, wildcards: Wildcards) -> str:
        """How a net under attack sees a clip, as JSON."""
        view = self.settings.datasets[wildcards.dataset]["view"]
        window = self.resolved(self.grid.variants[wildcards.variant][0], "window", wildcards.dataset)
        if window["test"] != window["training"]:
            samples = view["options"]["audio_samples"] * window["test"] // window["training"]
            view = {**view, "options": {**view["options"], "audio_samples": samples}}
        return canonical(view)

    def spec(self, wildcards: Wildcards) -> str:
        """An attack: its update, its objective, whose gradients it takes and of how many clips, as JSON."""
        return canonical(self.attack_on(wildcards.attack, wildcards))

    def options(self, wildcards: Wildcards) -> list[str]:
        """Which weights are attacked, and what a frame's epsilon counts in."""
        return self.evaluation_options(self.grid.variants[wildcards.variant][0], wildcards.dataset)

    def checked_cell(self, family: str) -> str:
        """The cell that shows what the attacks' precision changes, as made (`cells`) or in float32 (`precision`)."""
        check, seed = self.settings.scale["precision"]["check"], self.settings.scale["seeds"][0]
        place = f"{check['dataset']}/{check['variant']}/s{seed}/{check['attack']}"
        return f"{self.place(check['dataset'])}/{family}/{place}.parquet"

    def surrogate_options(self, wildcards: Wildcards) -> list[str]:
        """The net whose adversarial clips are transferred."""
        return [f"--surrogate={path}" for path in self.surrogate(wildcards)]

    def key(self, wildcards: Wildcards) -> str:
        """What a cell says of itself, as JSON."""
        return canonical({name: getattr(wildcards, name) for name in ("dataset", "variant", "seed", "attack")})

    def conditions(self, family: str) -> Callable[[Wildcards], str]:
        """The modalities and epsilons of a file of one family, as JSON."""
        return lambda wildcards: canonical(sorted(self.grid.conditions[family].get(key_of(wildcards), ())))

    def job_threads(self, wildcards: Wildcards) -> int:
        """Threads of an attack. As with `threads`, torch gets these."""
        return work.threads(self.threads("attack"), self.data.split_clips(wildcards.dataset, "test"))

    def job_memory_mb(self, wildcards: Wildcards, attempt: int) -> int:
        """Memory of an attack in MB, by the clips that it holds at a time; more with the next two attempts."""
        most, clips = self.settings.scale["memory_mb"]["attack"], self.data.split_clips(wildcards.dataset, "test")
        batch = self.settings.scale["attack_batch_size"]
        return min(attempt, MOST_TIMES) * work.memory_mb(most, clips, batch)

    def job_minutes(self, family: str) -> Callable[[Wildcards, int], int]:
        """Time limit of an attack in minutes: of what the scale says, the share of its work in the largest one's."""

        def minutes_of(wildcards: Wildcards, attempt: int) -> int:
            most, largest = self.settings.scale["minutes"]["attack"], max(self._work.values(), default=1)
            # What is asked for beside the plan is taken for as large as the largest.
            passes = self._work.get((family, *key_of(wildcards)), largest)
            return min(attempt, MOST_TIMES) * work.minutes(most, passes, largest)

        return minutes_of

    @property
    def batch_size(self) -> str:
        """Clips that are attacked at a time. A text and a resource: no result depends on it, and nothing is counted.

        An attack whose result would depend on it has a size of its own, which is a parameter (`spec`).
        """
        return str(self.settings.scale["attack_batch_size"])

    @cached_property
    def _work(self) -> dict[tuple[str, ...], int]:
        """(family, dataset, variant, attack) -> the work of that file of the plan."""
        found = {}
        for family, keys in self.grid.conditions.items():
            for (dataset, variant, name), conditions in keys.items():
                attack = self.attack_facts(name)
                entry = self.registered("attacks", "ATTACKS", attack["update"])
                steps = self.attack_on(name, SimpleNamespace(dataset=dataset, variant=variant)).get("steps")
                steps = steps or digest.attack_steps(self.scripts, entry) or MOST_STEPS
                elsewhere = attack.get("source", "victim") != "victim"
                clips = self.data.split_clips(dataset, "test")
                found[family, dataset, variant, name] = work.attack_passes(clips, len(conditions), steps, elsewhere)
        return found
