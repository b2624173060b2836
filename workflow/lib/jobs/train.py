"""What workflow/rules/train.smk asks: nets, recipes, objectives and what a training starts from."""

from collections.abc import Mapping
from functools import cached_property
from math import ceil

from avrobust.spec.curriculum import CURRICULUM, stages_of, standing
from lib import digest, work
from lib.class_names import class_names
from lib.errors import SettingsError
from lib.grid import Grid
from lib.jobs.data import Data
from lib.jobs.jobs import MOST_TIMES, Jobs, Wildcards, canonical, one_of
from lib.settings import Settings
from lib.variants import OBJECTIVE, TRAINED_BY, TRAINING, Variant


class Train(Jobs):
    """Every training, and the searches before some of them."""

    def __init__(self, settings: Settings, grid: Grid, data: Data):
        super().__init__(settings, grid)
        self.data = data

    def start(self, wildcards: Wildcards) -> list[str]:
        """The model that a training goes on from; none where it starts from nothing or from ImageNet."""
        start = self.variant(wildcards).start
        return [self.model(wildcards.dataset, start, wildcards.seed)] if start else []

    def branches(self, wildcards: Wildcards) -> list[str]:
        """The models whose encoders a training starts from, in the order of `Variant.branches`."""
        others = self.variant(wildcards).branches.values()
        return [self.model(wildcards.dataset, other, wildcards.seed) for other in others]

    def moments(self, wildcards: Wildcards) -> list[str]:
        """The moments of extracted features, by which a net that starts from nothing standardises them."""
        return [] if self.variant(wildcards).start else self.data.moments(wildcards)

    def search_start(self, wildcards: Wildcards) -> str:
        """The model that every candidate of a search goes on from."""
        return self.model(wildcards.dataset, self.variant(wildcards).start, self.search_seed)

    def found_options(self, wildcards: Wildcards) -> list[str]:
        """What a search has chosen for the variant's objective; none where nothing is searched."""
        folder = f"{self.place(wildcards.dataset)}/models/{wildcards.dataset}/{wildcards.variant}"
        return [f"{folder}/search.json"] if self.variant(wildcards).search else []

    def weights(self, wildcards: Wildcards) -> list[str]:
        """The published weights that the encoders start from, in the order of `Variant.weights`."""
        return [self.weights_file(name) for name in self.variant(wildcards).weights.values()]

    @property
    def weights_names(self) -> str:
        """A regular expression for the published weights that can be downloaded."""
        return one_of(self.settings.weights)

    def published(self, wildcards: Wildcards) -> Mapping[str, str]:
        """The address of published weights, and the first digits of their SHA-256."""
        return self.settings.weights[wildcards.weights]

    @property
    def searched_variants(self) -> str:
        """A regular expression for the variants whose options are searched."""
        return one_of(name for name, (_, variant) in self.grid.variants.items() if "search" in variant)

    def budget_files(self, wildcards: Wildcards) -> list[str]:
        """The budget of a training's adversarial clips, where a job makes it."""
        options = self.variant(wildcards).recipe.get("prepare", {}).get("options", {})
        told = [self.trained_against(options["budget"], "prepare: budget")] if "budget" in options else []
        return self.budget_files_of(told)

    def geometry(self, wildcards: Wildcards) -> list[str]:
        """The measured classes of another net by which a training chooses what it mixes."""
        options = self.variant(wildcards).recipe.get("prepare", {}).get("options", {})
        place = f"{self.place(wildcards.dataset)}/geometry/{wildcards.dataset}"
        return [f"{place}/{options['geometry']}/s{wildcards.seed}.parquet"] if "geometry" in options else []

    def told(self, wildcards: Wildcards) -> dict:
        """What a training is told: net, recipe, objective, view and memory as JSON, and the weights of its encoders.

        `memory` is null for a net without one; `kept_features`: how many it leaves to the memory of the next training.
        """
        variant = self.variant(wildcards)
        named = zip(variant.weights, self.weights(wildcards), strict=True)
        branches = zip(variant.branches, self.branches(wildcards), strict=True)
        return {
            **self._net(wildcards),
            "recipe": self._told(variant.recipe, wildcards),
            "weights": [f"{modality}={path}" for modality, path in named],
            "branches": [f"{modality}={path}" for modality, path in branches],
            "kept_features": variant.kept_features,
            "memory": canonical(variant.memory),
        }

    @property
    def crafting_variants(self) -> str:
        """A regular expression for the variants whose crafting a figure shows."""
        return one_of(net for _, net in self.grid.crafted)

    def told_to_craft(self, wildcards: Wildcards) -> dict:
        """As `told`, of a training whose curriculum stands still; `clip`: what becomes of which one is kept."""
        clip, stage = self.grid.crafted[wildcards.dataset, wildcards.variant]
        variant = self.variant(wildcards)
        prepare = variant.recipe["prepare"]
        recipe = {**variant.recipe, "prepare": {**prepare, "options": standing(prepare["options"], stage)}}
        attack = prepare["options"]["attack"]
        key = {"dataset": wildcards.dataset, "variant": wildcards.variant, "start": variant.start}
        return {
            **self._net(wildcards),
            "recipe": self._told(recipe, wildcards),
            "key": canonical({**key, "attack": attack if isinstance(attack, str) else attack["update"]}),
            "clip": [f"--clip={clip}"] if clip else [],
        }

    def told_to_search(self, wildcards: Wildcards) -> dict:
        """What a search is told: what it tries, how it trains each candidate, and by which attack it judges them."""
        variant, (paper, _) = self.variant(wildcards), self.grid.variants[wildcards.variant]
        judged = self.settings.taken(paper, wildcards.dataset, "search")
        return {
            **self._net(wildcards),
            "candidates": canonical(variant.search),
            "recipe": self._told(variant.search_recipe, wildcards),
            "attack": canonical(self.attack_on(judged["attack"], wildcards.dataset, wildcards.variant)),
            "budget": canonical(self.grid.budgets[judged["budget"]]),
            **self.evaluation_on(wildcards.variant, wildcards.dataset),
        }

    def _net(self, wildcards: Wildcards) -> dict:
        variant = self.variant(wildcards)
        return {
            "model_spec": canonical(variant.net),
            "objective": canonical(variant.objective),
            "view": canonical(self.settings.datasets[wildcards.dataset]["view"]),
        }

    def _told(self, recipe: Mapping, wildcards: Wildcards) -> str:
        """A recipe as JSON, with an attack and a budget of the paper's in the place of their names.

        What a frame's epsilon counts in is the paper's, too, unless the variant says it.
        """
        prepare = recipe.get("prepare", {})
        options = prepare.get("options", {})
        own: dict = {}
        if "attack" in options:
            own["attack"] = self.crafted_by(options["attack"], wildcards.variant, wildcards.dataset, "prepare: attack")
        if "budget" in options:
            own["budget"] = self.trained_against(options["budget"], "prepare: budget")
            if "epsilon_space" in digest.options(self.scripts, self.registered(*TRAINING["prepare"], prepare["name"])):
                space = self.evaluation_on(wildcards.variant, wildcards.dataset)["epsilon_space"]
                options = {"epsilon_space": space, **options}
        return canonical({**recipe, "prepare": {**prepare, "options": {**options, **own}}} if own else recipe)

    @property
    def search_seed(self) -> int:
        """The seed that options are searched with; all seeds are trained with what it finds."""
        return self.settings.scale["seeds"][0]

    def job_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Time limit of a training in minutes: of what the scale says, the share of its work in the longest one's."""
        return min(attempt, MOST_TIMES) * self._minutes(self.passes(wildcards.variant, wildcards.dataset))

    def search_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Time limit of a search in minutes: each candidate is trained as a net is."""
        variant = self.variant(wildcards)
        one = self._minutes(self._passes(variant.search_recipe, wildcards.variant, wildcards.dataset))
        return min(attempt, MOST_TIMES) * one * len(variant.search)

    def crafting_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Time limit in minutes of crafting a batch, as that of a training of one epoch."""
        recipe = {**self.variant(wildcards).recipe, "epochs": 1}
        return min(attempt, MOST_TIMES) * self._minutes(self._passes(recipe, wildcards.variant, wildcards.dataset))

    def passes(self, variant: str, dataset: str) -> int:
        """The work of a training."""
        return self._passes(self.variant_on(variant, dataset).recipe, variant, dataset)

    def search_passes(self, variant: str, dataset: str) -> int:
        """The work of a search, all candidates together."""
        of = self.variant_on(variant, dataset)
        return len(of.search) * self._passes(of.search_recipe, variant, dataset)

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

    def check_source(self, variant: Variant, where: str) -> None:
        """Raise SettingsError if only one of preparation and objective knows of the modality that is attacked."""
        prepare, objective = variant.trained_by()["prepare"]["name"], variant.objective["name"]
        tells = digest.constant(self.scripts, self.registered(*TRAINING["prepare"], prepare), "tells_source")
        needs = digest.constant(self.scripts, self.registered(*OBJECTIVE, objective), "needs_source")
        if tells and not needs:
            raise SettingsError(
                f"{where}: prepare: {prepare} says which modality it attacks, and objective {objective} does not take "
                "that; give odd_one_out"
            )
        if needs and not tells:
            raise SettingsError(
                f"{where}: objective {objective} learns which modality is attacked, and prepare: {prepare} does not "
                "say it; give single_source"
            )

    def _minutes(self, passes: int) -> int:
        return work.minutes(self.settings.scale["minutes"]["train"], passes, max(passes, self._longest_training))

    @cached_property
    def _longest_training(self) -> int:
        """The work of the longest training."""
        return max((self.passes(name, dataset) for dataset, name in self.grid.trained), default=0)

    def _passes(self, recipe: Mapping, variant: str, dataset: str) -> int:
        told = recipe.get("prepare", {}).get("options", {}).get("attack")
        attack = self.crafted_by(told, variant, dataset, "prepare: attack")
        crafting = self._steps_crafted(recipe, attack) * self.places_of(attack) if attack else 0
        # One that attacks each modality by itself takes as long as one that attacks both, and shows more clips.
        entry = self.registered(*TRAINING["prepare"], recipe.get("prepare", {"name": TRAINED_BY["prepare"]})["name"])
        crafting += (digest.constant(self.scripts, entry, "shown") or 1) - 1
        clips = self.data.split_clips(dataset, "train")
        return work.training_passes(clips, recipe["epochs"], crafting) + self._table_passes(variant, dataset)

    def _table_passes(self, variant: str, dataset: str) -> int:
        """The work of an objective that measures training clips once, before it trains."""
        of = self.variant_on(variant, dataset)
        if not digest.has_method(self.scripts, self.registered(*OBJECTIVE, of.objective["name"]), "measure"):
            return 0
        clips = self.data.split_clips(dataset, "train")
        classes = class_names(self.settings.root, self.settings.datasets[dataset])
        measured = min(clips, of.objective.get("options", {}).get("clips") or clips)
        return work.table_passes(measured, len(classes), sum(part in of.facts for part in ("audio", "visual")))

    def _steps_crafted(self, recipe: Mapping, attack: Mapping) -> float:
        """Steps of an attack on a whole clip in an epoch; of a curriculum the mean over epochs, by its sampled part."""
        prepare, epochs = recipe["prepare"], recipe["epochs"]
        if prepare["name"] != CURRICULUM:
            return self.steps_of(attack)
        stages = stages_of(prepare["options"])
        return sum(stages.at(one).attack_steps * stages.at(one).sampled / 100 for one in range(1, epochs + 1)) / epochs
