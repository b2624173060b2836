"""A variant of a paper on one dataset: its net, what it is trained on and how, and what it starts from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from lib.extractors import part_of
from lib.settings import Settings

# The parts of a net, and in which table of which registry each stands.
NET = {
    "fusion": ("models", "FUSIONS"),
    "audio": ("models", "AUDIO_ENCODERS"),
    "visual": ("models", "VISUAL_ENCODERS"),
    "head": ("models", "HEADS"),
    "defence": ("defences", "DEFENCES"),
}
OBJECTIVE = ("objectives", "OBJECTIVES")
TRAINING = {"optimiser": ("training", "OPTIMISERS"), "prepare": ("training", "PREPARATIONS")}

# A clip of which is of one class, as in `avrobust.models.task`.
SINGLE = "single"

# What is minimised where nothing is said, by the task.
OF_TASK = {SINGLE: "cross_entropy", "multiple": "binary_cross_entropy"}

# How a net is trained of which the paper's file says no more, as in `avrobust.training.recipe.TrainingRecipe`.
TRAINED_BY = {"optimiser": "sgd", "prepare": "plain"}


@dataclass(frozen=True)
class Variant:
    """A variant with every choice taken and everything that depends on the dataset settled."""

    facts: Mapping
    task: str
    parts: Mapping
    pretrained: bool
    training: Mapping
    search_training: Mapping
    kept_features: int

    @property
    def start(self) -> str | None:
        """The variant whose latest weights the training starts from."""
        return self.facts.get("start")

    @property
    def branches(self) -> Mapping[str, str]:
        """Modality -> the variant whose encoder of that modality the training starts from."""
        return self.facts.get("branches", {})

    @property
    def search(self) -> list[Mapping]:
        """Options of the objective to choose from on the validation clips; empty where nothing is searched."""
        return self.facts.get("search", [])

    @property
    def net(self) -> dict:
        """What `avrobust.models.build.ModelSpec` takes: {name, options} of each part; a task that is not `single`."""
        return {**self.net_parts, **({"task": self.task} if self.task != SINGLE else {})}

    @property
    def net_parts(self) -> dict[str, dict]:
        """Part of the net -> {name, options}."""
        facts = {"head": "linear", **self.facts}
        return {part: part_of(facts[part], self.parts) for part in NET if part in facts}

    @property
    def weights(self) -> dict[str, str]:
        """Modality -> name of the published weights that its encoder starts from, unless another variant gives them."""
        encoders = {part: self.facts[part] for part in ("audio", "visual") if isinstance(self.facts.get(part), Mapping)}
        named = {
            part: given["weights"]
            for part, given in encoders.items()
            if "weights" in given and part not in self.branches
        }
        return named if self.pretrained and not self.start else {}

    @property
    def objective(self) -> dict:
        """Name and options of a class of `avrobust.objectives.registry`."""
        return {"name": OF_TASK[self.task], **self.facts.get("objective", {})}

    @property
    def recipe(self) -> dict:
        """What `avrobust.training.recipe.TrainingRecipe` takes."""
        if "prepare" not in self.facts:
            return dict(self.training)
        own, common = self.facts["prepare"], self.training.get("prepare", {})
        # Options of the training's own preparation are those of all that prepare alike.
        options = {**(common.get("options", {}) if common.get("name") == own["name"] else {}), **own.get("options", {})}
        return {**self.training, "prepare": {**own, **({"options": options} if options else {})}}

    @property
    def search_recipe(self) -> dict:
        """The recipe of each candidate of a search."""
        return {**self.recipe, **self.search_training}

    @property
    def memory(self) -> dict | None:
        """What `avrobust.training.start.MemoryRecipe` takes; None for a net without a memory."""
        if "memory" not in self.facts:
            return None
        return {name: value for name, value in self.facts["memory"].items() if name != "kept"}

    @property
    def told(self) -> tuple:
        """All that shapes the trained net."""
        from_others = self.start, self.branches
        return self.net, self.weights, self.objective, self.recipe, self.memory, *from_others, self.search

    def registered(self) -> set[tuple[str, str, str]]:
        """(part, table, name) of every registry entry that the net and its objective use."""
        return {place for _, place, _ in self.options()}

    def registered_parts(self) -> set[tuple[str, str, str]]:
        """(part, table, name) of every registry entry that the net is built of."""
        return {place for _, place, _ in self._part_options()}

    def options(self) -> Iterator[tuple[str, tuple[str, str, str], Mapping]]:
        """Yield (part, (registry, table, name), options) of the parts of the net and of its objective."""
        yield from self._part_options()
        for candidate in self.search or [{}]:
            given = {**self.objective.get("options", {}), **candidate}
            yield "objective", (*OBJECTIVE, self.objective["name"]), given

    def _part_options(self) -> Iterator[tuple[str, tuple[str, str, str], Mapping]]:
        for part, facts in self.net_parts.items():
            yield part, (*NET[part], facts["name"]), facts["options"]
            if inside := facts["options"].get("net"):
                yield part, (*NET["visual"], inside["name"]), inside["options"]

    def trained_by(self) -> dict[str, Mapping]:
        """The registered parts of the training by their kind, each {name, options}."""
        return {kind: self.recipe.get(kind, {"name": name}) for kind, name in TRAINED_BY.items()}


def variant_of(settings: Settings, paper_name: str, name: str, dataset: str) -> Variant:
    """Return a variant of a paper on a dataset.

    Raises:
        UnsaidError: something of it goes by dataset, and nothing is said for this one.
    """
    taken, paper = partial(settings.taken, paper_name, dataset), settings.papers[paper_name]
    facts = taken("variants", name)
    training, search = taken("training", facts.get("training", "undefended")), taken("search").get("training", {})
    # More than a memory takes, so that another size of a memory trains no net anew.
    goes_on = [other for other, told in paper["variants"].items() if "memory" in told and told["start"] == name]
    kept = [taken("variants", other, "memory", "kept") for other in goes_on]
    parts = taken("parts")
    task = settings.datasets[dataset].get("task", SINGLE)
    return Variant(facts, task, parts, paper.get("pretrained", True), training, search, max(kept, default=0))
