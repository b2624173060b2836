"""A mistake in the configuration: one line that names the place, the value and what is allowed, and no job."""

import math
import os
import re
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from planning import Run, configuration, copy_project, replace, snakemake, unedited

from lib.settings import MAY_LACK, PAPER_FILES, SettingsError, load_settings, paper_names, read_config

PAPER = "workflow/papers/tian2021"


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda root: replace(root / name, old, new)


def nothing(root: Path) -> None:
    """Leave the copy as it is: the mistake stands on the command line."""


FUSIONS = "variant: [sum, concat, film, gated_sum, gated_concat]"

# Mistake: what is edited, what the command line says, what the line must hold.
MISTAKES: dict[str, tuple[Callable[[Path], None], tuple[str, ...], tuple[str, ...]]] = {
    "unknown key": (
        edit("config.yaml", "\n#device: auto", "\ndevise: auto\ndevice: auto"),
        (),
        ("config.yaml", "devise", "auto", "datasets, device, download, failed_clips"),
    ),
    "key twice": (
        edit("config.yaml", "\n#datasets: {}", "\ndatasets: {ave: {source: render}}\ndatasets: {}"),
        (),
        ("config.yaml", "datasets is given twice, in lines"),
    ),
    "misspelt dataset": (
        nothing,
        ("datasets={musik: {source: local}}",),
        ("--config: ", "datasets", "musik", "ave, ave_clips, kinetics_sounds"),
    ),
    "negative width of a memory": (
        edit(f"{PAPER}/variants.yaml", "columns: 1024", "columns: -1024"),
        (),
        (f"{PAPER}/variants.yaml", "variants.exfmem.memory.columns", "-1024", "at least 1"),
    ),
    "unknown variant": (
        edit(f"{PAPER}/artefacts.yaml", FUSIONS, FUSIONS.replace("film", "flim")),
        (),
        (f"{PAPER}/artefacts.yaml", "table2", "flim", "sum, concat, film"),
    ),
    "unknown weights": (
        nothing,
        ("weights={resnet50: /x.pth}",),
        ("--config: weights", "resnet50", "alexnet_imagenet"),
    ),
    "unknown weights of an encoder": (
        edit(
            f"{PAPER}/variants.yaml",
            "weights: resnet18_imagenet, options: {pooling: {by",
            "weights: r, options: {pooling: {by",
        ),
        (),
        (f"{PAPER}/variants.yaml", "variants.visual.visual.weights", "'r'", "resnet18_imagenet"),
    ),
    "unknown key of an encoder": (
        edit(f"{PAPER}/variants.yaml", "&frame {name: resnet18,", "&frame {name: resnet18, width: 1,"),
        (),
        (f"{PAPER}/variants.yaml", "variants.concat.visual", "width = 1", "name, options, weights"),
    ),
    "net that is not there in a diagram": (
        edit(
            f"{PAPER}/artefacts.yaml",
            "&concat {dataset: music, variant: concat}",
            "&concat {dataset: music, variant: conkat}",
        ),
        (),
        (f"{PAPER}/artefacts.yaml", "figure2", "conkat", "sum"),
    ),
    "unknown scale": (nothing, ("scale=huge",), ("--config: ", "scale", "huge", "demo, paper")),
    "unknown paper": (nothing, ("papers=[tian2022]",), ("--config: ", "papers", "tian2022", "tian2021")),
    "wrong choice": (
        nothing,
        ("tian2021={epsilon: huge}",),
        ("--config: ", "tian2021.epsilon", "huge", "corrected, printed"),
    ),
    "local without table": (
        nothing,
        ("datasets={music: {source: local}}",),
        ("--config: ", "datasets.music", "local", "table"),
    ),
    "no such table": (
        nothing,
        ("datasets={music: {source: local, table: nowhere.csv}}",),
        ("nowhere.csv", "no such file"),
    ),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Every mistake through the real command line, as many at a time as there are cores."""

    def run(name: str) -> Run:
        change, config, _ = MISTAKES[name]
        root = unedited() if change is nothing else copy_project(tmp_path_factory.mktemp(name.replace(" ", "_")))
        change(root)
        return snakemake(root, "-n", *(("--config", *config) if config else ()), "--", "all")

    unedited()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(MISTAKES, pool.map(run, MISTAKES), strict=True))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_no_job(runs: Mapping[str, Run], mistake: str) -> None:
    run = runs[mistake]
    assert run.status != 0
    assert "Traceback" not in run.text
    assert run.jobs == []
    assert len(run.errors) == 1, run.text
    for part in MISTAKES[mistake][2]:
        assert part in run.errors[0]


def refusal(root: Path, config: Mapping) -> str:
    with pytest.raises(SettingsError) as error:
        load_settings(root, config)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"minimum_share": -0.1}, ("minimum_share", "-0.1", "at least 0")),
        ({"minimum_share": 1.5}, ("minimum_share", "1.5", "at most 1")),
        ({"minimum_share": "most"}, ("minimum_share", "most", "number")),
        ({"minimum_share": math.nan}, ("minimum_share", "nan", "number")),
        ({"device": "gpu"}, ("device", "gpu", "auto, cpu, cuda")),
        ({"failed_clips": None}, ("failed_clips", "None", "drop, zero_fill")),
        ({"datasets": None}, ("datasets", "None", "object")),
        ({"datasets": {"music": {"source": "web"}}}, ("datasets.music.source", "web", "render, lists, local")),
        ({"datasets": {"ave": {"classes": "all"}}}, ("datasets.ave.classes", "all", "dataset, table")),
        (
            {"datasets": {"music": {"source": "lists", "sources": ["archive"]}}},
            ("datasets.music", "source archive needs `archive`"),
        ),
        ({"datasets": {"ave": {"folder": "/data/AVE"}}}, ("datasets.ave", "folder", "lists", "local", "render")),
        ({"datasets": {"ave": {"sources": ["local"]}}}, ("datasets.ave", "sources", "`source: lists`", "render")),
        ({"papers": []}, ("papers",)),
        ({"papers": "tian2021"}, ("papers", "tian2021", "array")),
        ({"scale": 1}, ("scale", "1", "string")),
        ({"scale": "../scales/demo"}, ("scale", "../scales/demo", "demo, paper")),
        ({"tian2021": {"speed": "high"}}, ("tian2021", "speed", "epsilon", "model_state")),
        ({"tian2021": None}, ("tian2021", "None", "object")),
        ({"tian2021": {"ista": ["official"]}}, ("tian2021.ista", "['official']", "official, per_sample")),
    ],
)
def test_a_wrong_value_names_its_key(changes: Mapping, parts: tuple[str, ...]) -> None:
    message = refusal(unedited(), configuration(unedited(), **changes))
    for part in ("config.yaml", *parts):
        assert part in message


def test_a_missing_key_is_named() -> None:
    config = configuration(unedited())
    del config["device"]
    assert refusal(unedited(), config) == "config.yaml: top level: device must be given"


def test_a_file_that_is_not_yaml_is_named(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    (root / "workflow/scales/mine.yaml").write_text("seeds: [1, 2", encoding="utf-8")
    assert "workflow/scales/mine.yaml: not YAML" in refusal(root, configuration(root, scale="mine"))
    (root / "workflow/scales/mine.yaml").write_text("", encoding="utf-8")
    assert "workflow/scales/mine.yaml" in refusal(root, configuration(root, scale="mine"))


def test_a_scale_of_ones_own_is_a_file(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    shutil.copy(root / "workflow/scales/demo.yaml", root / "workflow/scales/mine.yaml")
    replace(root / "workflow/scales/mine.yaml", "seeds: [1234]", "seeds: [1, 2]")
    settings = load_settings(root, configuration(root, scale="mine"))
    assert (settings.scale_name, settings.scale["seeds"]) == ("mine", [1, 2])


def test_a_mistake_is_told_with_who_made_it(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    (root / "more.yaml").write_text("tian2021: {ista: fast}\ndownload: {connections: 0}\n", encoding="utf-8")

    def message(*words: str, more: bool = False) -> str:
        return refusal(root, read_config(root, words, [root / "more.yaml"] if more else []))

    assert message("tian2021={ista: fast}").startswith("--config: tian2021.ista: 'fast' is not allowed")
    assert message("download={connections: 0}").startswith("--config: download.connections: 0 must be")
    assert message("devise=cpu").startswith("--config: unknown key devise")
    assert message("datasets={ave: {table: a.csv}}").startswith("--config: datasets.ave: table needs")
    assert message("scale=demo", more=True).startswith("more.yaml: download.connections: 0")
    # The last word is the command line's, and what it says nothing about the file's.
    assert message("download={connections: 4}", more=True).startswith("more.yaml: tian2021.ista: 'fast'")
    replace(root / "config.yaml", "\n#device: auto", "\ndevice: gpu")
    assert message("scale=paper").startswith("config.yaml: device: 'gpu'")


def test_only_the_datasets_of_named_papers_and_of_the_configuration_are_read(tmp_path: Path) -> None:
    root = copy_project(tmp_path)

    def datasets(**given: dict) -> list[str]:
        return sorted(load_settings(root, configuration(root, scale="paper", datasets=given)).datasets)

    assert datasets() == ["ave", "kinetics_sounds", "music"]
    assert datasets(music_videos={}, ave={}) == ["ave", "kinetics_sounds", "music", "music_videos"]
    # Clips of one's own need no more than their names of classes, or none where the table has these.
    (root / "workflow/datasets/mine.yaml").write_text("classes: [dog, cat]\n", encoding="utf-8")
    own = {"source": "local", "table": "a.csv"}
    made = load_settings(root, configuration(root, datasets={"mine": own})).datasets["mine"]
    assert (made["classes"], made["lists"], made["sources"]) == (["dog", "cat"], {}, [])
    message = refusal(root, configuration(root, datasets={"mine": {"source": "lists"}}))
    assert message == (
        "workflow/datasets/mine.yaml: protocol, lists, media, sources, megabytes_per_video must be given "
        "where clips come from lists"
    )
    (root / "workflow/datasets/mine.yaml").write_text("{}\n", encoding="utf-8")
    assert load_settings(root, configuration(root, datasets={"mine": own | {"classes": "table"}})).datasets["mine"]
    assert "either classes or class_index must be given" in refusal(root, configuration(root, datasets={"mine": own}))


def test_clips_of_an_unknown_dataset_are_not_rendered_for_nothing(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    replace(root / "workflow/scales/demo.yaml", "  music: {rendered", "  musik: {rendered")
    assert "workflow/scales/demo.yaml: datasets: 'musik' is not known" in refusal(root, configuration(root))


def test_an_unknown_dataset_of_a_paper_is_told_with_those_that_are_known(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    replace(root / f"{PAPER}/paper.yaml", "datasets: [music, ", "datasets: [musik, ")
    known = ", ".join(sorted(path.stem for path in (root / "workflow/datasets").glob("*.yaml")))
    message = f"{PAPER}/paper.yaml: datasets: 'musik' is not known; allowed are {known}"
    assert refusal(root, configuration(root)) == message


def test_where_clips_come_from_is_said_by_the_scale_unless_config_says_otherwise() -> None:
    own = {"kinetics_sounds": {"source": "local", "table": "a.csv", "folder": "/media", "classes": "table"}}
    datasets = load_settings(unedited(), configuration(unedited(), scale="paper", datasets=own)).datasets
    assert (datasets["music"]["source"], datasets["music"]["folder"]) == ("lists", "data/music")
    assert datasets["music"]["class_names_from"] == "dataset"
    ours = datasets["kinetics_sounds"]
    assert (ours["source"], ours["table"], ours["folder"]) == ("local", "a.csv", "/media")
    assert ours["class_names_from"] == "table"
    assert len(ours["classes"]) == 27


@pytest.mark.parametrize(
    ("scale", "given", "message"),
    [
        ("demo", {"folder": "/media"}, "datasets.music: folder needs `source: lists` or `source: local`"),
        ("paper", {"folder": "/media", "sources": ["youtube"]}, r"folder is of no use, because sources .* lack local"),
        ("paper", {"archive": {"zip": "a.zip"}}, r"archive is of no use, because sources \['local', 'youtube'\] lack"),
        ("paper", {"archive": {"zip": "a.zip"}, "source": "local", "table": "t.csv"}, "archive needs `source: lists`"),
    ],
)
def test_nothing_that_is_said_of_a_dataset_is_passed_over(scale: str, given: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(unedited(), configuration(unedited(), scale=scale, datasets={"music": given}))
    fine = {"folder": "/media", "sources": ["local", "archive"], "archive": {"zip": "a.zip"}}
    assert load_settings(unedited(), configuration(unedited(), scale="paper", datasets={"music": fine}))


def test_a_section_that_is_not_there_means_the_defaults() -> None:
    config = configuration(unedited())
    chosen = load_settings(unedited(), config).chosen["tian2021"]
    del config["tian2021"]
    assert load_settings(unedited(), config).chosen["tian2021"] == chosen


def test_config_names_every_key_and_choice_with_what_holds_where_it_is_not_given() -> None:
    text = (unedited() / "config.yaml").read_text(encoding="utf-8")
    shown = yaml.safe_load(re.sub(r"^( *)#(?=\S)", r"\1", text, flags=re.MULTILINE))
    papers = paper_names(unedited())
    made = load_settings(unedited(), configuration(unedited(), papers=papers))
    for name in papers:
        choices = {choice["name"]: choice["default"] for choice in made.papers[name]["choices"] if "name" in choice}
        assert shown.pop(name) == made.chosen[name] == choices
    told = configuration(unedited())
    assert shown == {key: value for key, value in told.items() if key not in papers}
    assert all(told[name] == {} for name in papers) and set(yaml.safe_load(text)) == {"scale", "papers"}


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.integers(), max_size=3)
KEYS = st.text(max_size=12) | st.integers()
# Characters that YAML can hold, for what is written to a file and read again.
PRINTABLE = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=12)


def inside(whole: dict, path: tuple) -> dict:
    for name in path:
        whole = whole[name]
    return whole


@given(
    path=st.sampled_from([(), ("tian2021",), ("datasets", "music")]),
    unknown=st.dictionaries(KEYS, VALUES, min_size=1, max_size=3),
)
def test_unknown_keys_of_the_configuration_are_refused(path: tuple[str, ...], unknown: dict) -> None:
    music = {
        "source": "render", "table": "", "name": "mine", "folder": "", "classes": "table", "sources": ["local"],
        "lists": {}, "archive": {"zip": ""}, "options": {},
    }  # fmt: skip
    config = configuration(unedited(), datasets={"music": music})
    place = inside(config, path)
    known = set(place)
    unknown = {name: value for name, value in unknown.items() if name not in known}
    place.update(unknown)
    if not unknown:
        return
    message = refusal(unedited(), config)
    assert message.startswith("config.yaml: ")
    assert ".".join(path) in message
    assert ", ".join(sorted(known)) in message


LEVELS = [
    *(("workflow/scales/demo.yaml", path) for path in (
        (), ("render",), ("threads",), ("memory_mb",), ("minutes",),
    )),
    *(("workflow/datasets/kinetics_sounds.yaml", path) for path in ((), ("archive",))),
    *((f"{PAPER}/{file}.yaml", path) for file, path in (
        *((file, ()) for file in PAPER_FILES if file not in MAY_LACK), ("paper", ("window",)),
        ("paper", ("evaluation",)),
        ("variants", ("variants", "film")), ("artefacts", ("artefacts", "figure3")),
        ("artefacts", ("artefacts", "table1", "rows")), ("claims", ("claims", 0)),
        ("claims", ("twins", "official")), ("choices", ("choices", 3)),
    )),
]  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project"))


@given(level=st.sampled_from(LEVELS), key=PRINTABLE, value=VALUES)
def test_unknown_keys_of_a_file_are_refused(root: Path, level: tuple, key: str, value: object) -> None:
    name, path = level
    text = (root / name).read_text(encoding="utf-8")
    whole = yaml.load(text, Loader=yaml.CSafeLoader)
    inside(whole, path)[f"x{key}"] = value
    (root / name).write_text(yaml.dump(whole, Dumper=yaml.CSafeDumper), encoding="utf-8")
    try:
        message = refusal(root, configuration(root))
    finally:
        (root / name).write_text(text, encoding="utf-8")
    assert message.startswith(f"{name}: ")
    assert ".".join(map(str, path)) in message
    assert f"x{key}".split()[0] in message
