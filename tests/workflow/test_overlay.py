"""What a scale says of papers and datasets: laid over their files before those are checked, one scale over another."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from planning import configuration, copy_project, plan, replace

from lib.overlay import overlaid
from lib.settings import SettingsError

RATES = {"by": "rates", "code": {"audio": 1, "head": 2}, "paper": {"audio": 3, "head": 4}}


@pytest.mark.parametrize(
    ("base", "over", "made"),
    [
        (1, 2, 2),
        ([1, 2], [3], [3]),
        ({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"d": 3, "e": 4}}, {"a": 1, "b": {"c": 1, "d": 3, "e": 4}}),
        ({"a": 1}, {"b": {"c": 1}}, {"a": 1, "b": {"c": 1}}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        # What goes by something: a value takes its place, a mapping is for all alternatives or for those it names.
        ({"by": "rates", "code": 30, "paper": 100}, 7, 7),
        (RATES, {"head": 5}, {"by": "rates", "code": {"audio": 1, "head": 5}, "paper": {"audio": 3, "head": 5}}),
        (RATES, {"paper": {"head": 5}}, {**RATES, "paper": {"audio": 3, "head": 5}}),
        ({"by": "dataset", "ave": RATES}, {"head": 5}, {"by": "dataset", "ave": overlaid(RATES, {"head": 5})}),
        (RATES, {"by": "dataset", "ave": 1}, {"by": "dataset", "ave": 1}),
        ({"by": "rates"}, {"a": 1}, {"a": 1}),
        # Options of one part are none of another's.
        ({"name": "a", "options": {"x": 1}}, {"name": "b", "options": {"y": 2}}, {"name": "b", "options": {"y": 2}}),
        ({"name": "a", "o": {"x": 1}}, {"name": "a", "o": {"y": 2}}, {"name": "a", "o": {"x": 1, "y": 2}}),
        ({"name": "a", "options": {"x": 1}}, {"options": {"x": 2}}, {"name": "a", "options": {"x": 2}}),
        ({"by": "c", "d": {"name": "a", "weights": "w"}}, {"name": "b"}, {"by": "c", "d": {"name": "b"}}),
    ],
)
def test_what_is_laid_over_another(base: object, over: object, made: object) -> None:
    before = json.dumps([base, over])
    assert overlaid(base, over) == made
    assert json.dumps([base, over]) == before


def scale(root: Path, name: str, **told: object) -> None:
    (root / f"workflow/scales/{name}.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project"))


def test_a_scale_may_extend_another_by_what_it_changes(root: Path) -> None:
    scale(root, "mine", extends="demo", seeds=[1, 2], datasets={"music": {"rendered": {"train": 30}}})
    training = {"defence": {"epochs": 3}, "undefended": {"music": {"epochs": 9}}}
    scale(root, "ours", extends="mine", seeds=[7], papers={"tian2021": {"training": training}})
    made = plan(root, scale="ours")
    assert made.settings.scale["seeds"] == [7] and made.settings.scale["shard_size"] == 500
    assert made.settings.datasets["music"]["rendered"] == {
        "train": 30, "val": 4, "test": 8, "clearness": {"sound": 7, "picture": 4.5},
    }  # fmt: skip
    epochs = {
        (variant, dataset): json.loads(made.train.told(SimpleNamespace(dataset=dataset, variant=variant))["recipe"])[
            "epochs"
        ]
        for variant in ("concat", "exfmem")
        for dataset in ("music", "ave")
    }
    # The demo's 16 and 7, where no later layer says otherwise.
    assert epochs == {("concat", "music"): 9, ("concat", "ave"): 16, ("exfmem", "music"): 3, ("exfmem", "ave"): 3}


def test_a_scale_says_of_a_section_only_what_it_changes(root: Path) -> None:
    scale(root, "slow", extends="demo", render={"seconds": 4}, minutes={"train": 600})
    made = plan(root, scale="slow").settings.scale
    assert made["render"] == {"seconds": 4, "width": 96, "height": 72, "seed": 1}
    assert made["minutes"] == {"render": 10, "pack": 10, "train": 600, "attack": 20}


def test_a_scale_may_name_another_view_than_the_one_it_extends(root: Path) -> None:
    clip = {"name": "clip", "options": {"seconds": 2, "frames": 4, "frame_size": 64}}
    scale(root, "clips", extends="demo", view=clip)
    assert plan(root, scale="clips").settings.datasets["music"]["view"] == clip


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (
            {"extends": "demi"},
            "mine.yaml: extends: 'demi' is not known; allowed are audioset, calibration, clips, demo, mine, ours,"
            " paper, slow",
        ),
        ({"extends": "mine"}, "workflow/scales/mine.yaml: extends itself"),
        ({"seeds": [1]}, "mine.yaml: top level: source, short_side"),
        ({"extends": "demo", "minutes": {"trian": 1}}, "mine.yaml: minutes: unknown key trian = 1; allowed are attack"),
        ({"extends": "demo", "seeds": ["a"]}, "mine.yaml: seeds.0: 'a' must be of type integer"),
        # A program is told 2.0, which is no number of threads.
        ({"extends": "demo", "seeds": [1234.0]}, "mine.yaml: seeds.0: 1234.0 must be of type integer"),
        ({"extends": "demo", "threads": {"render": 2.0}}, "mine.yaml: threads.render: 2.0 must be of type integer"),
        ({"extends": "demo", "papers": {"tian2012": {}}}, "mine.yaml: papers: 'tian2012' is not known"),
        (
            {"extends": "demo", "papers": {"tian2021": {"trainings": {}}}},
            "mine.yaml: papers.tian2021: 'trainings' is not known; allowed are citation, datasets",
        ),
        (
            {"extends": "demo", "papers": {"tian2021": {"variants": {"exfmem": {"memory": {"columns": 0}}}}}},
            "mine.yaml: papers.tian2021: variants.exfmem.memory.columns: 0 must be at least 1",
        ),
        (
            {"extends": "demo", "papers": {"tian2021": {"variants": {"film": {"colour": 0}}}}},
            "mine.yaml: papers.tian2021: variants.film: unknown key colour = 0",
        ),
        (
            {"extends": "demo", "bundles": {"all": {"surrogates": ["concatt"]}}},
            "workflow/scales/mine.yaml: bundles.all.surrogates: 'concatt' is not known; allowed are AcR, ",
        ),
        (
            {"extends": "demo", "bundles": {"all": {"attacks": ["fgms"]}}},
            "workflow/scales/mine.yaml: bundles.all.attacks: 'fgms' is not known; allowed are fgsm, ",
        ),
        (
            {"extends": "demo", "bundles": {"pgd": {"attacks": ["pgd", "mim"]}}},
            "workflow/scales/mine.yaml: bundles.pgd: an attack is called so, and what it makes alone",
        ),
        (
            {"extends": "demo", "datasets": {"ave": {"rendered": {"tests": 1}}}},
            "mine.yaml: datasets.ave: rendered: unknown key tests = 1; allowed are classes, ",
        ),
        # What is only seen once a paper is put together.
        (
            {"extends": "demo", "papers": {"tian2021": {"variants": {"film": {"start": "flim"}}}}},
            "workflow/scales/mine.yaml: papers.tian2021: variants.film.start: 'flim' is none of ",
        ),
        (
            {"extends": "demo", "papers": {"tian2021": {"budgets": {"strong": {"from": "nowhere"}}}}},
            "workflow/scales/mine.yaml: papers.tian2021: budgets.strong.from: 'nowhere' is not known",
        ),
        (
            {"extends": "demo", "papers": {"zhang2025": {"lists": {"own": "mine"}}}},
            "workflow/scales/mine.yaml: papers.zhang2025: ",
        ),
        (
            {
                "extends": "demo",
                "papers": {"zhang2025": {"artefacts": {"figure8": {"series": [{"attack": ["$mine"]}]}}}},
            },
            "workflow/scales/mine.yaml: papers.zhang2025: artefacts.figure8",
        ),
        (
            {"extends": "demo", "papers": {"li2022": {"lists": {"audioset": []}}}},
            "workflow/scales/mine.yaml: papers.li2022: artefacts.table1: dataset: $audioset names no dataset; give one",
        ),
    ],
)
def test_a_mistake_in_a_scale_is_named_with_its_file(root: Path, told: dict, message: str) -> None:
    scale(root, "mine", **told)
    scale(root, "ours", extends="demo")
    with pytest.raises(SettingsError) as error:
        plan(root, scale="mine", papers=[name for name in ("zhang2025", "li2022") if name in str(told)] or ["tian2021"])
    assert message in str(error.value)
    assert configuration(root)["scale"] == "demo"


def test_a_mistake_of_a_papers_own_is_named_with_its_file_whatever_a_scale_lays_over_it(tmp_path: Path) -> None:
    own = copy_project(tmp_path)
    replace(own / "workflow/papers/tian2021/variants.yaml", "fusion: film}", "fusion: film, start: flim}")
    scale(own, "mine", extends="demo", papers={"tian2021": {"variants": {"sum": {"start": "concat"}}}})
    with pytest.raises(SettingsError) as error:
        plan(own, scale="mine")
    assert str(error.value).startswith("workflow/papers/tian2021/variants.yaml: variants.film.start: 'flim' is none of")


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "variants",
            "fusion: film}",
            "fusion: film, objective: {name: cross_entropy, options: {colour: 1}}}",
            "variants.film.objective: cross_entropy: unknown option colour = 1",
        ),
        ("attacks", "strong: 0.02", "strong: -1", "budgets.strong"),
    ],
)
def test_a_mistake_of_a_papers_own_is_not_taken_for_one_of_the_scale_that_brings_its_clips(
    tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    own = copy_project(tmp_path)
    replace(own / f"workflow/papers/tian2021/{file}.yaml", old, new)
    with pytest.raises(SettingsError) as error:
        plan(own, scale="demo")
    assert str(error.value).startswith(f"workflow/papers/tian2021/{file}.yaml: {message}")
