"""What re-runs after a change of the code: what that code makes, and nothing else."""

import io
import tokenize
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning import ROOT, changed, codes, copy_project, paper, plan, replace, unedited, write_paper

from lib.digest import SEEN as SEEN_DIGESTS
from lib.digest import closure, digest, options, registered, registered_names
from lib.plan import Plan

AUDIO_ONLY = "avrobust.models.fusions.audio_only:AudioOnly"
VISUAL_ONLY = "avrobust.models.fusions.visual_only:VisualOnly"
CONCAT = "avrobust.models.fusions.concat:Concat"
CONV1D = "avrobust.models.encoders.conv1d:Conv1d"
RESNET18 = "avrobust.models.encoders.resnet18:ResNet18"
CROSS_ENTROPY = "avrobust.objectives.cross_entropy:CrossEntropy"
MIN_SIMILARITY = "avrobust.objectives.min_similarity:MinSimilarity"
MEMORY = "avrobust.defences.feature_memory:FeatureMemory"

# What every net and every run of one reaches, by the imports of the files themselves.
MODEL = {
    "data/batches", "data/classes", "data/shards", "files", "foreign", "keyed", "lazy", "runtime",
    "models/build", "views/view",
    "models/files", "models/misfits", "processor",
    "models/late_fusion", "models/modes", "models/task", "program", "provenance",
}  # fmt: skip
NET = {"objectives/cross_entropy"}
MOMENT = "avrobust.views.moment:Moment"
SEEN = {"data/store", "views/moment", "views/augmentation"}
FUSION = {"models/fusions/fusion", "models/pooling"}
SOUND = {"models/encoders/conv1d"}
FRAME = {"models/encoders/resnet18", "models/initialisation", "models/pictures"}
ATTACKING = {
    "attacks/budget", "attacks/context", "attacks/fit", "attacks/loop", "attacks/loss", "attacks/norms",
    "attacks/perturbations", "attacks/threat", "evaluation/budgets", "evaluation/craft", "evaluation/memory",
    "imagenet", "lack_of_memory", "objectives/told", "spec/attacks", "spec/budgets", "spec/conditions",
}  # fmt: skip
SEARCHING = ATTACKING | {"evaluation/answer", "evaluation/as_files", "evaluation/cell", "evaluation/terms"}
SEARCHING |= {"metrics/schema", "models/pooling", "parquet"}
RUNNING = SEARCHING | {"evaluation/alone", "evaluation/arguments", "evaluation/finished", "evaluation/told"}
RUNNING |= {
    "evaluation/resume_key",
    "attacks/budget_files",
    "data/partners",
    "data/stratified",
    "models/folding",
    "spec/coded",
}
FITTING = ATTACKING - {"evaluation/craft"} | {
    "evaluation/alone",
    "evaluation/arguments",
    "evaluation/fitting",
    "evaluation/resume_key",
}
FITTING |= {"attacks/budget_files", "data/partners", "data/stratified", "models/folding"}
LOOKING = ATTACKING | {"attacks/budget_files", "data/partners", "data/stratified"}
TRAINING = {
    "csv_text", "training/clips", "training/descent", "training/job", "training/kept_features", "training/loop",
    "training/prepare/plain", "training/recipe", "training/replicas", "spec/record",
    "training/sgd", "training/start", "models/weights", "data/manifest", "data/moments", "objectives/told",
}  # fmt: skip
ARTEFACT = {
    "files", "lazy", "program", "report/given", "report/matplotlib_settings", "spec/kind", "spec/record",
    "spec/conditions",
}  # fmt: skip
MEASURED = ARTEFACT | {"foreign", "metrics/interval", "metrics/rows", "metrics/schema", "parquet", "spec/any_of"}
MEASURED |= {"spec/budgets"}
DRAWING = {"report/style"}
RANKED = {
    "foreign", "metrics/estimate", "metrics/interval", "metrics/logits", "metrics/ranked_rows", "metrics/ranking",
    "metrics/schema", "metrics/tasks", "parquet",
}  # fmt: skip
CLASSES = ARTEFACT | DRAWING | {
    "foreign", "metrics/geometry", "openblas", "parquet", "processor", "report/drawing", "report/text",
    "spec/geometry", "spec/units",
}  # fmt: skip
POINTS = {
    "csv_text", "metrics/estimate", "metrics/measured", "report/drawing", "report/points", "report/text",
    "spec/factors", "spec/figure", "spec/geometry", "spec/achieved", "spec/measures", "spec/published", "spec/units",
}  # fmt: skip
# Kinds of artefacts that build a net.
OF_NETS = ("diagram", "listing")


def attack_entries(fusion: str, attack: str, *encoders: str) -> list[str]:
    return [fusion, *encoders, CROSS_ENTROPY, MOMENT, f"avrobust.attacks.{attack}"]


def kind(name: str, attribute: str) -> list[str]:
    return [f"avrobust.spec.artefacts.{name}:{attribute}", f"avrobust.report.{name}:write"]


CLOSURES = {
    "attack concat mim": (
        "attack.py", attack_entries(CONCAT, "mim:mim", CONV1D, RESNET18),
        MODEL | NET | SEEN | RUNNING | {"models/fusions/concat", *FUSION, *SOUND, *FRAME,
                                 "attacks/mim", "attacks/momentum"},
    ),
    "attack minsim_exfmem fgsm": (
        "attack.py",
        [CONCAT, CONV1D, RESNET18, MIN_SIMILARITY, MEMORY, "avrobust.attacks.fgsm:fgsm"],
        MODEL | RUNNING | {"models/fusions/concat", *FUSION, *SOUND, *FRAME,
                           "objectives/min_similarity", "objectives/similarity", "defences/feature_memory",
                           "defences/ista", "attacks/fgsm"},
    ),
    "attack audio fgsm": (
        "attack.py", attack_entries(AUDIO_ONLY, "fgsm:fgsm", CONV1D),
        MODEL | NET | SEEN | RUNNING | {"models/fusions/audio_only", *FUSION, *SOUND, "attacks/fgsm"},
    ),
    "train visual": (
        "train.py", [VISUAL_ONLY, RESNET18, CROSS_ENTROPY, MOMENT],
        MODEL | NET | SEEN | TRAINING | {"models/fusions/visual_only", *FUSION, *FRAME, "imagenet", "training/spent"},
    ),
    "train audio": (
        "train.py", [AUDIO_ONLY, CONV1D, CROSS_ENTROPY],
        MODEL | NET | TRAINING | {"models/fusions/audio_only", *FUSION, *SOUND, "training/spent"},
    ),
    "fit": (
        "fit.py", ["avrobust.attacks.universal_projected:universal_projected"],
        MODEL | FITTING | {"attacks/universal", "attacks/universal_projected"},
    ),
    "search": ("search.py", [], MODEL | TRAINING | SEARCHING),
    "localise": (
        "localise.py", [],
        MODEL | LOOKING | {"metrics/examples", "metrics/localisation", "evaluation/alone", "evaluation/arguments",
                             "evaluation/attention", "evaluation/look",
                             "metrics/scores", "spec/scored", "models/folding", "parquet"},
    ),
    "embed": (
        "embed.py", [],
        MODEL | LOOKING | {"evaluation/alone", "evaluation/arguments", "evaluation/embedding", "evaluation/look",
                             "metrics/clusters", "metrics/scores", "spec/scored", "models/folding", "parquet"},
    ),
    "render": (
        "render.py", [],
        {"data/encoding", "data/manifest", "data/rendering", "data/world", "data/world_pictures", "data/world_sounds",
         "files", "keyed", "processes", "program", "spec/class_codes", "spec/rendered"},
    ),
    "manifest": (
        "manifest.py", [],
        {"data/lists", "data/local_files", "data/manifest", "data/spans", "data/users_csv", "files", "lazy", "notice",
         "program"},
    ),
    "pack": (
        "pack.py", [],
        {"data/availability", "data/containers", "data/frame_rate", "data/locations", "data/manifest", "data/media",
         "data/packing", "data/pictures", "data/shards", "data/store", "files", "foreign", "imagenet", "notice",
         "processes", "program"},
    ),
    "features": (
        "extract.py", ["avrobust.models.encoders.r2plus1d18:R2Plus1D18", "avrobust.views.clip:ClipView"],
        {"data/batches", "data/feature_store", "data/moments", "data/one_by_one", "data/shards", "data/store",
         "evaluation/extraction", "evaluation/memory", "files", "foreign", "keyed", "lack_of_memory", "lazy",
         "models/encoders/r2plus1d18", "models/extractor", "models/initialisation", "models/misfits", "models/weights",
         "processor", "program", "provenance", "runtime", "views/augmentation", "views/clip", "views/view"},
    ),
    "moments": ("moments.py", [], {"data/moments", "files", "program"}),
    "availability": ("availability.py", [], {"data/availability", "data/manifest", "files", "notice", "program"}),
    "fetch": (
        "fetch.py", [],
        {"data/availability", "data/containers", "data/disk", "data/fetching", "data/ffmpeg", "data/journal",
         "data/local_files", "data/locations", "data/manifest", "data/rate", "data/refusals", "data/spans",
         "data/web_video", "files", "notice", "program"},
    ),
    "table": (
        "artefact.py", kind("table", "TABLE"),
        MEASURED | {"csv_text", "data/manifest", "metrics/estimate", "metrics/measured", "report/entries",
                    "report/text", "report/table", "spec/artefacts/table", "spec/geometry",
                    "spec/achieved", "spec/measures",
                    "spec/published", "spec/units"},
    ),
    "ranking": (
        "artefact.py", kind("ranking", "RANKING"),
        ARTEFACT | RANKED | {"csv_text", "metrics/ranked", "report/drawing", "report/entries", "report/ranking",
                             "report/text", "spec/artefacts/ranking", "spec/geometry", "spec/achieved", "spec/measures",
                             "spec/published", "spec/units"},
    ),
    "scatter": (
        "artefact.py", kind("scatter", "SCATTER"),
        ARTEFACT | DRAWING | RANKED | {"metrics/correlation", "metrics/drops", "metrics/geometry", "metrics/ranked",
                                       "report/drawing", "report/placing", "report/scatter", "report/text",
                                       "spec/artefacts/scatter", "spec/geometry",
                                       "spec/achieved", "spec/measures", "spec/units"},
    ),
    "rank": ("rank.py", [], {"files", "program", "spec/conditions", "spec/achieved"} | RANKED),
    "sweep": (
        "artefact.py", kind("sweep", "SWEEP"),
        MEASURED | DRAWING | {"report/text", "report/sweep", "spec/artefacts/sweep", "spec/units"},
    ),
    "bars": (
        "artefact.py", kind("bars", "BARS"),
        MEASURED | DRAWING | POINTS | {"report/bars", "spec/artefacts/bars"},
    ),
    "curves": (
        "artefact.py", kind("curves", "CURVES"),
        MEASURED | DRAWING | POINTS | {"report/curves", "report/trainings", "spec/artefacts/curves"},
    ),
    "matrix": (
        "artefact.py", kind("matrix", "MATRIX"),
        MEASURED | DRAWING | POINTS | {"report/matrix", "spec/artefacts/matrix"},
    ),
    "heat_maps": (
        "artefact.py", kind("heat_maps", "HEAT_MAPS"),
        ARTEFACT | DRAWING | {"foreign", "metrics/examples", "report/heat_maps", "report/text",
                              "spec/artefacts/heat_maps", "spec/budgets", "spec/units"},
    ),
    "localisation": (
        "artefact.py", kind("localisation", "LOCALISATION_TABLE"),
        ARTEFACT | {"foreign", "metrics/interval",
                    "metrics/scores", "spec/scored", "parquet", "report/localisation", "report/text",
                    "spec/artefacts/localisation", "spec/budgets", "spec/units"},
    ),
    "tsne": (
        "artefact.py", kind("tsne", "TSNE"),
        ARTEFACT | DRAWING | {"foreign", "metrics/interval",
                              "metrics/scores", "spec/scored", "openblas", "parquet", "processor",
                              "report/projection", "report/text", "report/tsne", "spec/artefacts/tsne",
                              "spec/budgets", "spec/units"},
    ),
    "hulls": (
        "artefact.py", kind("hulls", "HULLS"),
        CLASSES | {"metrics/density", "metrics/hulls", "report/hulls", "report/projection", "spec/artefacts/hulls",
                   "spec/figure"},
    ),
    "crust": (
        "artefact.py", kind("crust", "CRUST"),
        CLASSES | {"report/crust", "spec/artefacts/crust"},
    ),
    "claims": (
        "artefact.py", kind("claims", "CLAIMS"),
        MEASURED | RANKED | {
                    "metrics/correlation", "metrics/drops", "metrics/geometry", "metrics/ranked", "metrics/selection",
                    "spec/geometry",
                    "metrics/measured",
                    "metrics/scores", "spec/scored", "report/claims", "report/sides", "report/sides_of_classes",
                    "report/text", "report/trainings", "spec/artefacts/claims",
                    "spec/achieved", "spec/measures", "spec/nets",
                    "spec/budgets", "spec/units", "asked/answers", "asked/synonyms", "metrics/answers", "csv_text"},
    ),
    "checks": (
        "checks.py", [],
        RANKED | {"files", "program", "metrics/ranked", "metrics/rows", "evaluation/checks", "report/text",
                  "spec/any_of", "spec/budgets", "spec/conditions", "spec/geometry",
                  "spec/achieved", "spec/measures", "spec/units"},
    ),
    "calibration": (
        "artefact.py", kind("calibration", "CALIBRATION"),
        ARTEFACT | DRAWING | {"report/calibration", "report/drawing", "report/text", "spec/artefacts/calibration"},
    ),
    "realisable": (
        "artefact.py", kind("realisable", "REALISABLE"),
        MEASURED | {"report/realisable", "report/text", "spec/artefacts/realisable", "spec/budgets",
                    "spec/units"},
    ),
    "choices": (
        "artefact.py", kind("choices", "CHOICES"),
        ARTEFACT | {"report/choices", "report/text", "spec/artefacts/choices"},
    ),
    "stack": (
        "artefact.py", kind("stack", "STACK"),
        ARTEFACT | {"csv_text", "report/stack", "report/text", "spec/artefacts/stack"},
    ),
    "attrition": (
        "artefact.py", kind("attrition", "ATTRITION"),
        ARTEFACT | {"data/availability", "data/manifest", "notice", "report/attrition", "report/text",
                    "spec/artefacts/attrition", "spec/units"},
    ),
    "download": ("download.py", [], {"data/download", "files", "program"}),
}  # fmt: skip


@pytest.mark.parametrize(("program", "entries", "modules"), CLOSURES.values(), ids=CLOSURES)
def test_a_program_reaches_these_modules(program: str, entries: list[str], modules: set[str]) -> None:
    scripts = ROOT / "scripts"
    reached = {path.relative_to(scripts).as_posix() for path in closure(scripts, program, entries)}
    assert reached == {program, *(f"avrobust/{module}.py" for module in modules)}


@pytest.mark.parametrize(
    "program",
    [
        "artefact.py",
        "checks.py",
        "rank.py",
        "manifest.py",
        "availability.py",
        "fetch.py",
        "archive.py",
        "download.py",
        "moments.py",
    ],
)
def test_a_program_that_does_not_compute_reaches_no_torch(program: str) -> None:
    scripts = ROOT / "scripts"
    kinds = [
        registered(scripts, part, table, name)
        for part, table in (("spec", "KINDS"), ("report", "WRITERS"))
        for name in registered_names(scripts, part, table)
        if name not in OF_NETS
    ]
    for path in closure(scripts, program, kinds if program == "artefact.py" else ()):
        assert "import torch" not in path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def before() -> dict[tuple[str, ...], str]:
    return codes(unedited())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_project(tmp_path)


def of_attack(digests: Mapping[tuple[str, ...], str], attack: str) -> set[tuple[str, ...]]:
    return {key for key in digests if key[0] == "attack" and key[3] == attack}


# Nets of Table 3 answer to what FGSM, PGD and MIM make with the undefended one.
TRANSFERRED = {
    ("attack", dataset, "concat", attack)
    for dataset in ("music", "kinetics_sounds", "ave")
    for attack in ("fgsm", "pgd", "mim")
}
# Table 2 attacks the net with FiLM on MUSIC by FGSM, and nothing else does.
FILM = {("attack", "music", "film", "fgsm"), ("train", "music", "film")}


def of_nets(digests: Mapping[tuple[str, ...], str]) -> set[tuple[str, ...]]:
    return {key for key in digests if key[0] in ("attack", "train")}


def test_comments_docstrings_and_blank_lines_change_no_digest(before: dict, root: Path) -> None:
    for path in (root / "scripts").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if text.startswith('"""'):
            text = '"""Another docstring: ' + text.removeprefix('"""')
        text = text.replace("\ndef ", "\n\n# A comment.\ndef ").replace("\n    return ", "\n\n    # why\n    return ")
        path.write_text(f"{text}\n# The end.\n", encoding="utf-8")
    assert changed(before, codes(root)) == set()


def test_an_operator_in_mim_changes_the_cells_of_mim_only(before: dict, root: Path) -> None:
    replace(root / "scripts/avrobust/attacks/mim.py", "(Momentum, decay)", "(Momentum, -decay)")
    cells = of_attack(before, "mim") | of_attack(before, "mim_ce")
    nets = {"concat", "audio", "visual", "pcl", "maxsim", "minsim", "exfmem", "minsim_exfmem"}
    nets |= {"concat_continued", "minsim_continued"}
    for dataset in ("music", "kinetics_sounds", "ave"):
        assert {variant for _, where, variant, name in of_attack(before, "mim") if where == dataset} == nets
    assert changed(before, codes(root)) == cells


def test_pgd_changes_the_cells_of_pgd(before: dict, root: Path) -> None:
    path = root / "scripts/avrobust/attacks/pgd.py"
    path.write_text(f"{path.read_text(encoding='utf-8')}\nMORE = 1\n", encoding="utf-8")
    assert changed(before, codes(root)) == of_attack(before, "pgd")


def of_zhang2025(root: Path) -> tuple[Plan, dict[tuple[str, ...], str]]:
    """Return the plan of the demo and the digest of every bundle, training and calibration in it."""
    made = plan(root, papers=["zhang2025"])
    attack, train = (
        made.attack.code("attack.py", "variant", "attack"),
        made.train.code("train.py", "variant", "training"),
    )
    calibrate = made.calibration.code("calibrate.py", "variant", "attack")
    digests = {("calibrate", name): calibrate(SimpleNamespace(budget=name)) for name in made.grid.calibrations}
    for dataset, bundle in made.attack.bundles:
        digests["attack", dataset, bundle] = attack(SimpleNamespace(dataset=dataset, bundle=bundle))
    for dataset, net in made.grid.trained:
        digests["train", dataset, net] = train(SimpleNamespace(dataset=dataset, variant=net))
    return made, digests


def test_tia_changes_what_crafts_with_tia_or_tma(root: Path) -> None:
    """The paper's own trainings craft with TMA, which has TIA's weight of the variance in time."""
    made, digests = of_zhang2025(unedited())
    replace(root / "scripts/avrobust/attacks/tia.py", "LAMBDA1 = 0.01", "LAMBDA1 = 0.02")
    bundles = {
        ("attack", *place)
        for place, keys in made.attack.bundles.items()
        if {"tia", "tma"} & {made.grid.attacks.get(name, ("", {"update": name}))[1]["update"] for _, _, name in keys}
    }
    nets = {net for _, net in made.grid.trained if made.grid.variants[net][1].get("training") == "curriculum"}
    trainings = {("train", *place) for place in made.grid.trained if place[1] in nets}
    assert changed(digests, of_zhang2025(root)[1]) == bundles | trainings
    assert {"AcV+ours", "RsV+ours", "RsV+sample10", "RsV+dm20"} <= nets and not {"AcV", "AcV+at"} & nets
    of_acv = {name.removeprefix("AcV.") for _, dataset, name in bundles if name.startswith("AcV.")}
    assert of_acv == {"temporal"} and ("attack", "kinetics_sounds_721", "AcV.crafted") in digests


@pytest.mark.parametrize(("encoder", "spared"), [("resnet18", "audio"), ("conv1d", "visual")])
def test_an_encoder_changes_every_variant_that_has_it(before: dict, root: Path, encoder: str, spared: str) -> None:
    path = root / f"scripts/avrobust/models/encoders/{encoder}.py"
    path.write_text(f"{path.read_text(encoding='utf-8')}\nMORE = 1\n", encoding="utf-8")
    drawn = {("artefact", kind) for kind in OF_NETS}
    assert changed(before, codes(root)) == {key for key in of_nets(before) if key[2] != spared} | drawn


def test_a_new_line_in_a_registry_changes_nothing(before: dict, root: Path) -> None:
    for part, table in (
        ("attacks", "ATTACKS"),
        ("models", "FUSIONS"),
        ("objectives", "OBJECTIVES"),
        ("defences", "DEFENCES"),
        ("training", "OPTIMISERS"),
        ("training", "PREPARATIONS"),
    ):
        registry = root / f"scripts/avrobust/{part}/registry.py"
        replace(registry, f"{table} = {{\n", f'{table} = {{\n    "new": "avrobust.{part}.new:NEW",\n')
    assert changed(before, codes(root)) == set()


def test_another_meaning_of_a_registered_name_changes_what_uses_it(before: dict, root: Path) -> None:
    registry = root / "scripts/avrobust/attacks/registry.py"
    replace(registry, '"avrobust.attacks.mim:mim"', '"avrobust.attacks.mi_fgsm:mi_fgsm"')
    assert changed(before, codes(root)) == of_attack(before, "mim") | of_attack(before, "mim_ce")


def test_the_memory_changes_the_variants_that_have_one(before: dict, root: Path) -> None:
    replace(root / "scripts/avrobust/defences/ista.py", "import torch\n", "import torch\n\nMORE = 1\n")
    with_memory = {key for key in of_nets(before) if key[2] in ("exfmem", "minsim_exfmem")}
    assert changed(before, codes(root)) == with_memory | TRANSFERRED


@pytest.mark.parametrize(
    ("objective", "variants"),
    [
        ("max_similarity", {"maxsim"}),
        ("similarity", {"maxsim", "minsim", "minsim_continued", "minsim_exfmem"}),
        ("prototype_conformity", {"pcl"}),
    ],
)
def test_an_objective_changes_what_is_trained_and_attacked_with_it(
    before: dict, root: Path, objective: str, variants: set[str]
) -> None:
    path = root / f"scripts/avrobust/objectives/{objective}.py"
    path.write_text(f"{path.read_text(encoding='utf-8')}\nMORE = 1\n", encoding="utf-8")
    of_its_nets = {key for key in of_nets(before) if key[2] in variants}
    assert changed(before, codes(root)) == of_its_nets | TRANSFERRED


@pytest.mark.parametrize(
    ("part", "trained"),
    [("training/prepare/mixup", "film"), ("training/adam", "sum"), ("attacks/i_fgsm", "gated_sum")],
)
def test_how_one_variant_is_trained_changes_its_training_alone(
    root: Path, tmp_path_factory, part: str, trained: str
) -> None:
    """And no cell of its net by itself: those follow from the net that the training makes."""
    told = paper(root)
    told["variants"]["film"]["prepare"] = {"name": "mixup"}
    options = {"attack": {"update": "i_fgsm"}, "budget": 0.1}
    told["variants"]["gated_sum"]["prepare"] = {"name": "adversarial", "options": options}
    told["training"]["adam"] = {"by": "dataset"} | {
        name: {**told["training"]["undefended"]["music"], "optimiser": {"name": "adam"}} for name in told["datasets"]
    }
    told["variants"]["sum"]["training"] = "adam"
    other = copy_project(tmp_path_factory.mktemp("before"))
    for folder in (root, other):
        write_paper(folder, told)
    before = codes(other)
    path = root / f"scripts/avrobust/{part}.py"
    path.write_text(f"{path.read_text(encoding='utf-8')}\nMORE = 1\n", encoding="utf-8")
    assert changed(before, codes(root)) == {key for key in before if key[0] == "train" and key[2] == trained}


def test_an_objective_that_some_attacks_maximise_changes_them_and_the_nets_that_it_trains(
    before: dict, root: Path
) -> None:
    """Cross-entropy, which most nets are trained with."""
    path = root / "scripts/avrobust/objectives/cross_entropy.py"
    path.write_text(f"{path.read_text(encoding='utf-8')}\nMORE = 1\n", encoding="utf-8")
    others = {"pcl", "maxsim", "minsim", "minsim_continued", "minsim_exfmem"}
    trained_with = {key for key in of_nets(before) if key[2] not in others}
    attacked_with = of_attack(before, "fgsm_ce") | of_attack(before, "mim_ce")
    assert changed(before, codes(root)) == trained_with | attacked_with


def test_another_fusion_by_a_name_changes_that_variant(before: dict, root: Path) -> None:
    replace(root / "scripts/avrobust/models/registry.py", "fusions.film:FiLM", "fusions.sum:Sum")
    assert changed(before, codes(root)) == FILM


def test_an_operator_in_a_fusion_changes_the_nets_of_that_fusion_only(before: dict, root: Path) -> None:
    replace(root / "scripts/avrobust/models/fusions/film.py", "* visual +", "* visual -")
    assert changed(before, codes(root)) == FILM


@pytest.mark.parametrize(
    ("part", "tables"),
    [
        ("models", ("FUSIONS",)),
        ("models", ("AUDIO_ENCODERS", "VISUAL_ENCODERS", "HEADS")),
        ("attacks", ("ATTACKS",)),
        ("objectives", ("OBJECTIVES",)),
        ("defences", ("DEFENCES",)),
        ("training", ("OPTIMISERS", "PREPARATIONS")),
        ("spec", ("KINDS",)),
        ("report", ("WRITERS",)),
    ],
)
def test_no_two_entries_share_a_file(part: str, tables: Sequence[str]) -> None:
    """Or an edit of one would train and attack the nets of the other, too."""
    scripts = ROOT / "scripts"
    entries = [
        registered(scripts, part, table, name) for table in tables for name in registered_names(scripts, part, table)
    ]
    files = [entry.split(":")[0] for entry in entries]
    assert sorted(set(files)) == sorted(files)


def test_what_all_programs_share_changes_them_all(before: dict, root: Path) -> None:
    path = root / "scripts/avrobust/program.py"
    path.write_text(f"{path.read_text(encoding='utf-8')}\nMORE = 1\n", encoding="utf-8")
    assert changed(before, codes(root)) == before.keys()


def scripts_with(folder: Path, program: str, **modules: str) -> Path:
    """Write a folder of scripts: program.py and modules of avrobust, `a__b` for avrobust/a/b.py."""
    (folder / "program.py").write_text(program, encoding="utf-8")
    for name, text in modules.items():
        path = folder / "avrobust" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def names(scripts: Path) -> set[str]:
    return {path.relative_to(scripts).as_posix() for path in closure(scripts, "program.py")}


@pytest.mark.parametrize(
    "statement",
    [
        "import avrobust.a.b",
        "import avrobust.a.b as b",
        "import os, avrobust.a.b",
        "from avrobust.a import b",
        "from avrobust.a import b as c",
        "from avrobust.a.b import name",
        "from avrobust.a.b import *",
        "def main():\n    from avrobust.a.b import name",
        "def main():\n    if True:\n        import avrobust.a.b",
        "class Part:\n    from avrobust.a import b",
        "try:\n    import avrobust.a.b\nexcept ImportError:\n    pass",
    ],
)
def test_every_form_of_import_counts(tmp_path: Path, statement: str) -> None:
    assert names(scripts_with(tmp_path, statement, a__b="name = 1")) == {"program.py", "avrobust/a/b.py"}


def test_imports_of_others_a_circle_and_what_only_looks_like_an_import_do_not_matter(tmp_path: Path) -> None:
    program = 'import torch\nimport avrobustness.d\nfrom avrobust import a\nTEXT = "import avrobust.d"\n'
    scripts = scripts_with(tmp_path, program, a="import avrobust.b", b="import avrobust.a", d="")
    assert names(scripts) == {"program.py", "avrobust/a.py", "avrobust/b.py"}


def test_a_registry_hides_what_it_names(tmp_path: Path) -> None:
    scripts = scripts_with(
        tmp_path, "from avrobust.parts.registry import PARTS", parts__registry="import avrobust.parts.a", parts__a=""
    )
    assert names(scripts) == {"program.py"}


def test_the_order_of_imports_is_code_and_the_order_of_entries_is_not(tmp_path: Path) -> None:
    parts = {"a": "x = 1", "b": "x = 2"}
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    forwards = scripts_with(folders[0], "from avrobust.a import x\nfrom avrobust.b import x\n", **parts)
    backwards = scripts_with(folders[1], "from avrobust.b import x\nfrom avrobust.a import x\n", **parts)
    assert names(forwards) == names(backwards)
    assert digest(forwards, "program.py") != digest(backwards, "program.py")
    entries = ["avrobust.a:x", "avrobust.b:x"]
    assert digest(forwards, "program.py", entries) == digest(forwards, "program.py", entries[::-1])
    assert digest(forwards, "program.py", entries) != digest(forwards, "program.py", entries[:1])


def test_the_files_are_told_of_a_digest_by_that_digest(tmp_path: Path) -> None:
    """Results keep only it: see `lib.versions`."""
    made = digest(scripts_with(tmp_path, "import avrobust.a", a="x = 1"), "program.py")
    assert SEEN_DIGESTS[made].keys() == {"program.py", "avrobust/a.py"}


def digest_of(text: str) -> str:
    with TemporaryDirectory() as folder:
        return digest(scripts_with(Path(folder), text), "program.py")


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("x = 1 + 2", "x = 1 - 2"),
        ("x = 'a'", "x = 'b'"),
        ("x = 1", "x = 1.0"),
        ("def f(a, b=1): return a", "def f(a, b=2): return a"),
        ("def f(): return 1", "def f():\n    '''What it does.'''\n    return 2"),
        ("x = '''not a docstring'''", "x = '''not a  docstring'''"),
        ("def f():\n    x = 1\n    'a'\n    return x", "def f():\n    x = 2\n    'a'\n    return x"),
        ("if a:\n    b\n    c", "if a:\n    b\nc"),
    ],
)
def test_code_changes_the_digest(text: str, other: str) -> None:
    assert digest_of(text) != digest_of(other)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("def f():\n    '''Doc.'''", "def f():\n    pass"),
        ("class A:\n    '''Doc.'''\n    x = 1", "class A:\n    x = 1"),
        ("async def f():\n    '''Doc.'''\n    return 1", "async def f(): return 1"),
        ("x = (1 +\n     2)", "x = 1+2"),
        ("x = 'a'", 'x = "a"'),
    ],
)
def test_layout_and_docstrings_do_not(text: str, other: str) -> None:
    assert digest_of(text) == digest_of(other)


def test_options_are_read_from_the_source(tmp_path: Path) -> None:
    """Of a function, a class, a class that inherits its making, a dataclass, and what is imported from elsewhere."""
    package = tmp_path / "avrobust"
    package.mkdir()
    (package / "first.py").write_text(
        "class First:\n    def __init__(self, size, *, rate: float, name: str = 'a'): ...\n"
        "def made(size: int, rate=1): ...\n"
    )
    (package / "second.py").write_text(
        "from avrobust.first import First, made\n"
        "class Second(First):\n    def forward(self, x): ...\n"
        "class Third: ...\n"
        "@dataclass\nclass Fourth:\n    size: int\n    rate: float = 1.0\n"
    )
    first = {"size": ("", True), "rate": ("float", True), "name": ("str", False)}
    for name, wanted in (
        ("first:First", first), ("second:Second", first), ("second:First", first),
        ("second:made", {"size": ("int", True), "rate": ("", False)}), ("second:Third", {}),
        ("second:Fourth", {"size": ("int", True), "rate": ("float", False)}),
    ):  # fmt: skip
        assert options(tmp_path, f"avrobust.{name}") == wanted


MODULE = (ROOT / "scripts/avrobust/attacks/loop.py").read_text(encoding="utf-8")
# Where a comment or a blank line may stand: after each line that ends neither in a string nor in a backslash.
LINE_ENDS = sorted(
    {
        token.start
        for token in tokenize.generate_tokens(io.StringIO(MODULE).readline)
        if token.type in (tokenize.NEWLINE, tokenize.NL)
    }
)
WORDS = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=20).map(lambda words: f"# {words}")
BLANKS = st.text(" \t", max_size=8)


@given(
    st.dictionaries(
        st.sampled_from(LINE_ENDS),
        st.tuples(st.one_of(st.just(""), WORDS, BLANKS), st.lists(st.one_of(WORDS, BLANKS), max_size=3)),
        min_size=1,
        max_size=10,
    )
)
def test_comments_and_blanks_anywhere_in_a_module_change_nothing(insertions: dict) -> None:
    lines = MODULE.splitlines()
    for (row, _), (ending, following) in sorted(insertions.items(), reverse=True):
        lines[row - 1] = (
            f"{lines[row - 1]}  {ending}".rstrip(" ") if ending.startswith("#") else lines[row - 1] + ending
        )
        lines[row:row] = following
    assert digest_of("\n".join(lines)) == digest_of(MODULE)
