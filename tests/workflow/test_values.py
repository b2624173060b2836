"""Values that go by a choice, a dataset or a source, and those of config.yaml: named before any job starts."""

import csv
import json
import math
import re
import shutil
from functools import reduce
from operator import getitem
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from planning import ROOT, copy_project, paper, plan, replace, unedited, write_paper

from avrobust.attacks import mig, pam, transforms
from avrobust.lazy import attribute
from avrobust.models import initialisation, pictures
from avrobust.objectives import similarity
from avrobust.training.prepare import adversarial
from lib import digest
from lib.errors import SettingsError
from lib.variants import NET, OBJECTIVE, TRAINING


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.mark.parametrize(
    ("place", "value", "parts"),
    [
        ("window.test", 0, ("paper.yaml, on music: window.test: 0", "at least 1")),
        ("window.test.ave.whole", "all", ("paper.yaml, on ave: window.test: 'all'", "integer")),
        ("window.test.ave.by", 7, ("window.test.ave: by: 7 is no name", "ave_test_window", "dataset")),
        ("budgets.large.by", ["epsilon"], ("budgets.large: by: ['epsilon'] is no name", "epsilon")),
        ("budgets.strong", math.inf, ("budgets.strong: inf is no strength",)),
        ("evaluation.model_state", "last", ("paper.yaml, on music: evaluation.model_state: 'last'", "best, latest")),
        ("evaluation.epsilon_space", "pixels", ("evaluation.epsilon_space: 'pixels'", "normalised, pixel")),
        ("variants.exfmem.memory.features", "eval", ("exfmem, on music: memory.features: 'eval'", "eval_mode")),
        ("variants.exfmem.memory.steps.music.audio", -1, ("exfmem, on music: memory.steps.audio: -1", "more than 0")),
        ("variants.exfmem.memory.steps.ave", {"audio": 1e-6}, ("exfmem, on ave: memory.steps: visual must be",)),
        ("variants.exfmem.defence.options.penalty", math.nan, ("exfmem.defence", "penalty = nan is no float")),
    ],
)
def test_a_value_is_looked_at_with_every_choice_taken(root: Path, place: str, value: object, parts: tuple) -> None:
    *outer, key = place.split(".")
    told = paper(root)
    reduce(getitem, outer, told)[key] = value
    kept = {file: file.read_bytes() for file in (root / "workflow/papers/tian2021").glob("*.yaml")}
    write_paper(root, told)
    try:
        with pytest.raises(SettingsError) as error:
            plan(root, scale="paper")
    finally:
        for file, text in kept.items():
            file.write_bytes(text)
    assert len(str(error.value).splitlines()) == 1
    for part in ("workflow/papers/tian2021/", *parts):
        assert part in str(error.value)


def test_an_option_of_a_dataset_goes_by_a_choice_of_its_paper(root: Path) -> None:
    file = root / "workflow/datasets/ave.yaml"
    text = file.read_text(encoding="utf-8")
    replace(file, "leaked: {by: ave_leaked}", "leaked: {by: ave_leakd}")
    try:
        with pytest.raises(SettingsError, match=r"ave\.yaml: options\.leaked: by: 'ave_leakd' is none of epsilon, "):
            plan(root)
    finally:
        file.write_text(text, encoding="utf-8")


def test_published_weights_have_an_address_and_a_digest(root: Path) -> None:
    file = root / "workflow/weights.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text}\nmine: {{url: https://here/w.pth}}\n", encoding="utf-8")
    try:
        with pytest.raises(SettingsError, match=r"weights\.yaml: mine: sha256 must be given"):
            plan(root)
    finally:
        file.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "  train: res",
            "  trian: res",
            r"music\.yaml: lists: train must be given as files that are there, or how many `clips`",
        ),
        (
            "protocol: released",
            "protocol: relased",
            r"music\.yaml: protocol: 'relased' is not known; allowed are audioset",
        ),
    ],
)
def test_what_reads_lists_is_there(root: Path, old: str, new: str, message: str) -> None:
    file = root / "workflow/datasets/music.yaml"
    text = file.read_text(encoding="utf-8")
    replace(file, old, new)
    try:
        with pytest.raises(SettingsError, match=message):
            plan(root, scale="paper")
    finally:
        file.write_text(text, encoding="utf-8")


def test_weights_that_are_no_file_are_named_at_every_scale() -> None:
    for scale in ("demo", "paper"):
        with pytest.raises(SettingsError, match=r"weights.resnet18_imagenet: '/no/such.pth' is no file"):
            plan(unedited(), scale=scale, weights={"resnet18_imagenet": "/no/such.pth"})


@pytest.mark.parametrize("text", ["", "clip_id,path,label,split\n"])
def test_a_table_without_clips_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.csv").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"mine\.csv: has no clip"):
        plan(unedited(), datasets={"music": {"source": "local", "table": str(tmp_path / "mine.csv")}})


def test_a_dataset_that_cannot_be_rendered_is_named(root: Path) -> None:
    file = root / "workflow/datasets/segments.yaml"
    shutil.copy(file.with_name("audioset_balanced.yaml"), file)
    scale = {"extends": "demo", "datasets": {"segments": {"rendered": {"train": 1, "val": 1, "test": 1}}}}
    (root / "workflow/scales/mine.yaml").write_text(yaml.safe_dump(scale), encoding="utf-8")
    try:
        with pytest.raises(SettingsError, match=r"`rendered` under datasets\.segments, must be given"):
            plan(root, datasets={"segments": {}})
        with pytest.raises(SettingsError, match=r"segments\.yaml: classes must be given to render it"):
            plan(root, scale="mine", datasets={"segments": {}})
    finally:
        file.unlink()
        (root / "workflow/scales/mine.yaml").unlink()


@pytest.mark.parametrize(
    ("over", "said"),
    [
        (
            {"parents": {"Sirene": "Siren"}},
            r"parents: 'Sirene', in Sirene: Siren, is not one of the classes; give one of",
        ),
        (
            {"parents": {"Civil_defense_siren": "Siren", "Pig": "Siren"}},
            "parents: 'Civil_defense_siren' and 'Pig' are both a kind of 'Siren'; a parent has one child",
        ),
        (
            {"parents": {"Pig": "Rain", "Rain": "Bell"}},
            "parents: 'Pig' is a kind of 'Rain', and that of 'Bell'; a parent has no parent",
        ),
        ({"labels": 1}, "parents: a clip of such a class has two labels, but labels is 1; give 2 or more"),
        (
            {"parents": {"Pig": "Music", "Dog": "Frog"}},
            "parents: 'Dog' and 'Pig' would have one sound, because the places of 'Frog' and 'Music' among the classes "
            "are a multiple of 20 apart; move one of these, or leave one out",
        ),
        (
            {"classes": ["Drum", "drum"]},
            "classes 'Drum' and 'drum' give the same file names; rename one",
        ),
        (
            {"classes": ["Drum", "--seed"]},
            "class '--seed' would be an option of a command line; let it start with another sign",
        ),
        ({"classes": ["Drum", "a" * 181]}, "class 'aaaaaaaaaaaaaaaaaaaa'...: longer than 180 bytes"),
        ({"seconds": 1e30}, "seconds 1e+30: a clip lasts 0.5 to 600; give one of these"),
        ({"width": 10**9}, "width 1000000000: give an even number of pixels, 32 or more, 4096 at most"),
    ],
)
def test_what_cannot_be_rendered_is_named_before_any_job(root: Path, over: dict, said: str) -> None:
    scale = {"extends": "demo", "datasets": {"audioset": {"rendered": over}}}
    (root / "workflow/scales/mine.yaml").write_text(yaml.safe_dump(scale), encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        plan(root, scale="mine", datasets={"audioset": {}})
    assert str(raised.value).startswith(f"workflow/scales/mine.yaml: datasets.audioset.rendered: {said}")


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        ({"datasets": {"music": {"rendered": {"labels": 5}}}}, "datasets.music: rendered.labels: 5 must be at most 4"),
        ({"datasets": {"music": {"rendered": {"train": 0}}}}, "datasets.music: rendered.train: 0 must be at least 1"),
        (
            {"datasets": {"music": {"rendered": {"train": 10_000}}}},
            "datasets.music: rendered.train: 10000 must be at most 9999",
        ),
        (
            {"datasets": {"music": {"rendered": {"labels": 2}}}},
            "datasets.music.rendered: labels 2: clips of music have one; give 1, or say `task: multiple` in "
            "workflow/datasets/music.yaml",
        ),
        ({"render": {"seconds": 0.4}}, "render.seconds: 0.4 must be at least 0.5"),
        (
            {"datasets": {"music": {"rendered": {"seconds": 1.25}}}},
            "datasets.music.rendered: clips of 1.25 seconds have no 13 frames at 8 a second, `minimum_frames` of "
            "music, so that none is usable; give more `seconds`, or fewer `minimum_frames`",
        ),
    ],
)
def test_sizes_that_cannot_be_rendered_are_named_with_the_file_that_says_them(
    root: Path, scale: dict, said: str
) -> None:
    (root / "workflow/scales/mine.yaml").write_text(yaml.safe_dump({"extends": "demo", **scale}), encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        plan(root, scale="mine")
    assert str(raised.value) == f"workflow/scales/mine.yaml: {said}"


@pytest.mark.parametrize("over", [{"classes": ["Drum", "Flute"]}, {"parents": {}}, {"parents": {"Pig": "Siren"}}])
def test_parents_are_not_joined_with_those_of_the_scale_that_is_extended(root: Path, over: dict) -> None:
    scale = {"extends": "demo", "datasets": {"audioset": {"rendered": over}}}
    (root / "workflow/scales/mine.yaml").write_text(yaml.safe_dump(scale), encoding="utf-8")
    rendered = plan(root, scale="mine", datasets={"audioset": {}}).settings.datasets["audioset"]["rendered"]
    assert rendered.get("parents", {}) == over.get("parents", {}) and rendered["labels"] == 4


@pytest.mark.parametrize("name", ["audioset", "audioset_balanced"])
def test_a_rendered_audioset_has_classes_of_the_published_one(root: Path, name: str) -> None:
    made = plan(root, datasets={name: {}})
    told = made.data.rendered(SimpleNamespace(dataset=name))
    form = made.data.rendered_form(SimpleNamespace(dataset=name))
    classes = made.settings.datasets[name]["classes"]
    with (root / "resources/audioset/class_labels_indices.csv").open(encoding="utf-8", newline="") as file:
        assert {*classes} < {row["display_name"].replace(" ", "_") for row in csv.DictReader(file)}
    assert len(classes) >= 24
    assert {"Siren", "Civil_defense_siren", "Pig"} < {*classes}
    assert (told["size_ratio"], told["labels"], told["parents"]) == (10, 4, '{"Civil_defense_siren":"Siren"}')
    assert (form["seconds"], form["width"]) == (5, 96)
    # 22 clips of the first class, 2 of the last, by equal factors.
    assert made.data.split_clips(name, "train") == 209


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (
            {"update": "tma", "transforms": ["maskin"]},
            "tma: transforms.0: 'maskin' is not allowed; allowed are identity",
        ),
        ({"update": "tma", "transforms": [{"name": "masking", "option": {}}]}, "tma: transforms.0: unknown key option"),
        ({"update": "tia", "transforms": []}, "tia: transforms: [] should be non-empty"),
        ({"update": "mma", "copies": 0}, "mma: copies: 0 must be at least 1"),
        ({"update": "mig", "points": 0}, "mig: points: 0 must be at least 1"),
        ({"update": "mig", "gradient": "paths"}, "mig: gradient: 'paths' is not allowed; allowed are point, path"),
        ({"update": "pam", "paths": 9}, "pam: paths: 9 must be at most 8"),
        ({"update": "fgsm_masked", "share": -1}, "fgsm_masked: share: -1 must be at least 0"),
        ({"update": "fgsm_masked", "modalities": ["sound"]}, "fgsm_masked: modalities.0: 'sound' is not allowed"),
        ({"update": "masked", "share": 1.5}, "masked: share: 1.5 must be at most 1"),
        ({"update": "pgd", "step_size": 0}, "pgd: step_size: 0 must be more than 0"),
        ({"update": "ni_fgsm", "norm": "l2"}, "ni_fgsm: norm: 'l2' is not allowed; allowed are mean, l1"),
    ],
)
def test_an_option_of_an_attack_that_its_program_would_refuse_is_named_before(
    root: Path, attack: dict, said: str
) -> None:
    told = paper(unedited())
    told["attacks"]["mine"] = attack
    write_paper(root, told)
    with pytest.raises(SettingsError) as error:
        plan(root)
    assert str(error.value).startswith(f"workflow/papers/tian2021/attacks.yaml: attacks.mine: {said}")


def test_what_is_known_of_options_is_of_those_that_are_there() -> None:
    known = json.loads((ROOT / "workflow/schemas/options.json").read_text(encoding="utf-8"))
    scripts = ROOT / "scripts"
    places = {table: part for part, table in (*NET.values(), OBJECTIVE, *TRAINING.values())}
    places |= {"ATTACKS": "attacks", "VIEWS": "views"}
    tables = {name: of for name, of in known.items() if name[0] not in "$t"}
    assert tables.keys() <= places.keys()
    for table, parts in tables.items():
        for name, options in parts.items():
            entry = digest.registered(scripts, places[table], table, name)
            assert options.keys() <= digest.options(scripts, entry).keys(), name
            if "stride" in options:
                assert options["stride"]["enum"] == [*attribute(entry).strides, None]
    assert digest.keys(scripts, "avrobust.attacks.transforms:TRANSFORMS") == list(transforms.TRANSFORMS)
    assert known["$defs"]["gradient"]["enum"] == list(mig.GRADIENTS) == sorted(pam.GRADIENTS, reverse=True)
    assert known["$defs"]["statistics"]["enum"] == list(adversarial.STATISTICS)
    assert known["$defs"]["cosine"]["enum"] == list(similarity.SIMILARITIES)
    assert known["ATTACKS"]["pam"]["paths"]["maximum"] == len(pam.COLOURS)
    assert known["$defs"]["pooling"]["enum"] == list(pictures.POOLINGS)
    assert known["$defs"]["initialisation"]["enum"] == [*initialisation.WAYS, None]
    front = digest.options(scripts, "avrobust.models.log_mel:LogMel")
    assert known["$defs"]["front"]["properties"].keys() == front.keys()
    assert known["$defs"]["front"]["required"] == [name for name, (_, needed) in front.items() if needed]


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(
    ("modality", "name", "least", "others"),
    [
        ("audio", "conv1d", 1 / 64, {}),
        ("audio", "csn", 1 / 32, {"passes": 0}),
        *(("visual", name, 1 / 64, {}) for name in ("alexnet", "resnet18", "vgg11_bn")),
        ("visual", "r2plus1d18", 0.0223, {"frames_per_window": 2}),
    ],
)
def test_the_least_width_of_a_net_is_what_leaves_it_a_channel(
    modality: str, name: str, least: float, others: dict
) -> None:
    known = json.loads((ROOT / "workflow/schemas/options.json").read_text(encoding="utf-8"))
    part, table = NET[modality]
    said = known[table][name]["width"]
    assert said.get("minimum", known["$defs"]["width"]["minimum"]) == least
    kind = attribute(digest.registered(ROOT / "scripts", part, table, name))
    assert all(parameter.numel() for parameter in kind(width=least, **others).parameters())
    assert not all(parameter.numel() for parameter in kind(width=0.99 * least, **others).parameters())


ZHANG = "workflow/papers/zhang2025/variants.yaml"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("schedule: cosine}", "schedule: cosin}", "variants.RsV+ours: prepare: curriculum: schedule is linear"),
        ("sampled: [5, 20], dropped: [5, 20], schedule: cosine}", "sampled: [5, 200]}", "sampled is a percentage or"),
        ("sampled: [5, 20], dropped: [5, 20], schedule: cosine}", "sampled: five}", "sampled is a percentage or"),
        ("density: quantile", "density: quantil", "selected_mixup: density: 'quantil' is not allowed"),
        ("batch_norm: batch", "batch_norm: bach", "adversarial: batch_norm: 'bach' is not allowed"),
    ],
)  # fmt: skip
def test_an_option_of_a_training_that_its_program_would_refuse_is_named_before(
    root: Path, old: str, new: str, said: str
) -> None:
    text = (root / ZHANG).read_text(encoding="utf-8")
    assert old in text
    (root / ZHANG).write_text(text.replace(old, new), encoding="utf-8")
    try:
        with pytest.raises(SettingsError) as error:
            plan(root, papers=["zhang2025"])
    finally:
        (root / ZHANG).write_text(text, encoding="utf-8")
    assert said in str(error.value), str(error.value)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"audio": {"name": "conv1d", "options": {"width": 0}}}, "audio: conv1d: width: 0 must be at least 0.015625"),
        ({"audio": {"name": "csn", "options": {"heads": 0}}}, "audio: csn: heads: 0 must be at least 1"),
        ({"audio": {"name": "csn", "options": {"passes": -1}}}, "audio: csn: passes: -1 must be at least 0"),
        ({"audio": {"name": "csn", "options": {"dropout": 1}}}, "audio: csn: dropout: 1 must be less than 1"),
        (
            {"audio": {"name": "log_mel_steps", "options": {"steps": 4, "front": {"sample_rate": 8000, "hops": 1}}}},
            "audio: log_mel_steps: front: unknown key hops = 1; allowed are hop",
        ),
        (
            {"visual": {"name": "resnet18", "options": {"stride": 5}}},
            "visual: resnet18: stride: 5 is not allowed; allowed are 32, 16, 8, None",
        ),
        (
            {"visual": {"name": "resnet18", "options": {"projection": "wide"}}},
            "visual: resnet18: option projection = 'wide' is no int | None",
        ),
        (
            {"visual": {"name": "resnet18", "options": {"projection": True}}},
            "visual: resnet18: option projection = True is no int | None",
        ),
        (
            {"visual": {"name": "resnet18", "options": {"stride": None, "projection": None, "width": 0}}},
            "visual: resnet18: width: 0",
        ),
    ],
)
def test_an_option_of_a_net_that_its_training_would_refuse_or_ignore_is_named_before(
    root: Path, part: dict, said: str
) -> None:
    told = paper(unedited())
    told["variants"]["concat"].update(part)
    write_paper(root, told)
    with pytest.raises(SettingsError) as error:
        plan(root)
    assert str(error.value).startswith(f"workflow/papers/tian2021/variants.yaml: variants.concat.{said}")


@pytest.mark.parametrize("entry", ["avrobust.attacks.mine:mine", "avrobust.attacks.mim:min"])
def test_a_line_of_a_registry_that_names_nothing_is_named(tmp_path: Path, entry: str) -> None:
    root = copy_project(tmp_path)
    registry = root / "scripts/avrobust/attacks/registry.py"
    text = registry.read_text(encoding="utf-8")
    registry.write_text(text.replace("ATTACKS = {", f'ATTACKS = {{\n    "mine": "{entry}",', 1), encoding="utf-8")
    told = paper(unedited())
    told["attacks"]["own"] = {"update": "mine"}
    write_paper(root, told)
    with pytest.raises(SettingsError, match=f"ATTACKS: 'mine' is {entry}, but scripts/.* has no mi(ne|n)"):
        plan(root)


def test_cells_that_nothing_plans_are_named_where_they_are_asked_for() -> None:
    made = plan(unedited())
    with pytest.raises(SettingsError, match=r"no\.parquet: no such cells are planned on music; it has .*undefended"):
        made.check_targets(["-n", "results/demo/cells/music/s1234/no.parquet"])
    made.check_targets(["-n", "results/demo/cells/music/s1234/undefended.parquet", "results/demo/cells"])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("paper_tables/tian2021/tabel2.csv", r"nothing makes it; like it are paper_tables/tian2021/table2\.csv, "),
        ("paper_tables/li2022/table2.csv", "papers: li2022 is none of those that are made, tian2021; add it"),
        ("paper_tables/checkz.csv", r"nothing makes it; like it are paper_tables/checks\.csv"),
    ],
)
def test_a_page_that_nothing_makes_is_named_with_those_like_it(asked: str, message: str) -> None:
    made = plan(unedited())
    with pytest.raises(SettingsError, match=f"^{re.escape(asked)}: {message}"):
        made.check_targets(["-n", "--", asked])
    made.check_targets(["-n", *made.targets["tian2021"], "paper_tables/reference/demo/table1.csv"])


def test_a_transform_of_ones_own_is_one_and_what_goes_by_a_dataset_is_not_looked_at(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    file = root / "scripts/avrobust/attacks/transforms.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace('"identity": identity,', '"identity": identity, "noisy": identity,', 1), encoding="utf-8"
    )
    told = paper(unedited())
    by = {"by": "dataset", **dict.fromkeys(told["datasets"], "masking")}
    told["attacks"]["mine"] = {"update": "tma", "copies": 2, "transforms": ["identity", "noisy", by]}
    write_paper(root, told)
    plan(root)
