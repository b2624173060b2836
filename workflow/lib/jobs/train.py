"""What workflow/rules/train.smk asks: nets, recipes, objectives and what a training starts from."""

from collections.abc import Mapping
from functools import cached_property
from math import ceil

from lib import work
from lib.errors import SettingsError
from lib.grid import Grid
from lib.jobs.data import Data
from lib.jobs.jobs import MOST_TIMES, Jobs, Wildcards, canonical, one_of
from lib.settings import Settings


class Train(Jobs):
    """Every training, and the searches before some of them."""

    def __init__(self, settings: Settings, grid: Grid, data: Data):
        super().__init__(settings, grid)
        self.data = data

    def start(self, wildcards: Wildcards) -> list[str]:
        """The model that a training goes on from; none where it starts from nothing or from ImageNet."""
        start = self.variant(wildcards).start
        return [self.model(wildcards.dataset, start, wildcards.seed)] if start else []

    def search_start(self, wildcards: Wildcards) -> str:
        """The model that every candidate of a search goes on from."""
        return self.model(wildcards.dataset, self.variant(wildcards).start, self.search_seed)

    def found_options(self, wildcards: Wildcards) -> list[str]:
        """What a search has chosen for the variant's objective; none where nothing is searched."""
        folder = f"{self.place(wildcards.dataset)}/models/{wildcards.dataset}/{wildcards.variant}"
        return [f"{folder}/search.json"] if self.variant(wildcards).search else []

    def weights(self, wildcards: Wildcards) -> list[str]:
        """The published weights that the encoders start from, in the order of `Variant.weights`."""
        own = self.settings.config["weights"]
        names = self.variant(wildcards).weights.values()
        return [own.get(name) or f"results/weights/{name}.pth" for name in names]

    @property
    def weights_names(self) -> str:
        """A regular expression for the published weights that can be downloaded."""
        return one_of(self.settings.weights)

    def weights_address(self, wildcards: Wildcards) -> list[str]:
        """The address of published weights, and the first digits of their SHA-256."""
        facts = self.settings.weights[wildcards.weights]
        return [f"--url={facts['url']}", f"--sha256={facts['sha256']}"]

    @property
    def searched_variants(self) -> str:
        """A regular expression for the variants whose options are searched."""
        return one_of(name for name, (_, variant) in self.grid.variants.items() if "search" in variant)

    def model_spec(self, wildcards: Wildcards) -> str:
        """The net of a variant, as JSON."""
        return canonical(self.variant(wildcards).net)

    def objective(self, wildcards: Wildcards) -> str:
        """What the training of a variant minimises, as JSON."""
        return canonical(self.variant(wildcards).objective)

    def recipe(self, wildcards: Wildcards) -> str:
        """How a variant is trained, as JSON."""
        return self._told(self.variant(wildcards).recipe)

    def _told(self, recipe: Mapping) -> str:
        """A recipe as JSON, with a budget of the paper's in the place of its name."""
        prepare = recipe.get("prepare", {})
        options = prepare.get("options", {})
        if "budget" in options:
            options = {**options, "budget": self.trained_against(options["budget"], "prepare: budget")}
            recipe = {**recipe, "prepare": {**prepare, "options": options}}
        return canonical(recipe)

    def stage_options(self, wildcards: Wildcards) -> list[str]:
        """What passes from one training to the next: features to keep, what fills a memory."""
        variant = self.variant(wildcards)
        kept = [f"--kept-features={variant.kept_features}"] if variant.kept_features else []
        return [*kept, f"--memory={canonical(variant.memory)}"] if variant.memory else kept

    def start_options(self, wildcards: Wildcards) -> list[str]:
        """The files that a training goes on from."""
        start = [f"--start={path}" for path in self.start(wildcards)]
        return [*start, *(f"--found-options={path}" for path in self.found_options(wildcards))]

    @property
    def search_seed(self) -> int:
        """The seed that options are searched with; all seeds are trained with what it finds."""
        return self.settings.scale["seeds"][0]

    def search_options(self, wildcards: Wildcards) -> list[str]:
        """What a search tries, how it trains each candidate, and under which attack it judges them."""
        variant, (paper, _) = self.variant(wildcards), self.grid.variants[wildcards.variant]
        judged = self.resolved(paper, "search", wildcards.dataset)
        return [
            f"--candidates={canonical(variant.search)}",
            f"--recipe={self._told(variant.search_recipe)}",
            f"--attack-spec={canonical(self.attack_on(judged['attack'], wildcards.dataset, wildcards.variant))}",
            f"--budget={canonical(self.grid.budgets[judged['budget']])}",
            *self.evaluation_options(paper, wildcards.dataset),
        ]

    def view(self, wildcards: Wildcards) -> str:
        """How a net in training sees a clip, as JSON."""
        return canonical(self.settings.datasets[wildcards.dataset]["view"])

    def weights_options(self, wildcards: Wildcards) -> list[str]:
        """The published weights that the encoders start from."""
        named = zip(self.variant(wildcards).weights, self.weights(wildcards), strict=True)
        return [f"--weights={modality}={path}" for modality, path in named]

    def job_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Time limit of a training in minutes: of what the scale says, the share of its work in the longest one's."""
        return min(attempt, MOST_TIMES) * self._minutes(wildcards, self.variant(wildcards).recipe["epochs"])

    def search_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Time limit of a search in minutes: each candidate is trained as a net is."""
        variant = self.variant(wildcards)
        one = self._minutes(wildcards, variant.search_recipe["epochs"])
        return min(attempt, MOST_TIMES) * one * len(variant.search)

    def check_warm_up(self, variant: str, dataset: str, recipe: Mapping) -> None:
        """Raise SettingsError if the warm-up of a recipe takes the whole training."""
        batches = ceil(self.data.split_clips(dataset, "train") / recipe["batch_size"])
        # Whatever an epoch is said to have; without that it has no more than these, because clips may be missing.
        batches = recipe.get("epoch_batches") or batches
        whole = recipe["epochs"] * ceil(batches / recipe.get("accumulation", 1))
        if recipe.get("warm_up", 0) >= whole:
            raise SettingsError(
                f"training of {variant} on {dataset}: warm_up: {recipe['warm_up']} must be less than {whole}, "
                "the steps of the training"
            )

    def _minutes(self, wildcards: Wildcards, epochs: int) -> int:
        passes = self._passes(wildcards.dataset, epochs)
        most = max(passes, self._longest_training)
        return work.minutes(self.settings.scale["minutes"]["train"], passes, most)

    @cached_property
    def _longest_training(self) -> int:
        """The work of the longest training."""
        recipes = {(dataset, name): self.variant_on(name, dataset).recipe for dataset, name in self.grid.trained}
        return max((self._passes(dataset, recipe["epochs"]) for (dataset, _), recipe in recipes.items()), default=0)

    def _passes(self, dataset: str, epochs: int) -> int:
        return work.training_passes(self.data.split_clips(dataset, "train"), epochs)
