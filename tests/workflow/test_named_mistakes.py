"""Mistakes in a paper's or a dataset's files that only one option or one kind of artefact knows of, each one line."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from planning import copy_project, paper, plan, unedited, write_paper

from lib.settings import SettingsError


def zhang_listing(told: dict) -> None:
    read = {"dataset": "kinetics_sounds_721", "variant": "AcV"}
    told["artefacts"]["figure99"] = {"kind": "listing", "title": "A listing", "caption": "", "read": read}


def downloaded_lists(facts: dict) -> None:
    del facts["clips"]
    facts["lists"] = {split: {"url": f"https://x.y/{split}.csv"} for split in ("train", "val", "test")}


def twin_of_the_best(told: dict) -> None:
    told["twins"] = {"official": {"said": "as released", "note": "As released.", "attacks": {"mi_fgsm": "ni_fgsm"}}}
    claim = next(one for one in told["claims"] if "best(" in str(one))
    claim["also"] = ["official"]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "li2022",
            lambda told: told["training"]["fused"].update(prepare={"options": {"geometry": "csn"}}),
            "li2022/variants.yaml: training.fused: geometry: csn must be said in `prepare` of each variant",
        ),
        (
            "li2022",
            lambda told: told["attacks"]["released_random"].update(
                as_long_as={"by": "surrogate", "csn": "projected", "others": "released"}
            ),
            r"attacks.released_random.as_long_as: \{.*\} must be the name of one attack",
        ),
        (
            "li2022",
            lambda told: told["variants"]["mid_fusion+mixup"].update(prepare={"name": "selected_mixup"}),
            "the option geometry must be given",
        ),
        ("zhang2025", zhang_listing, "zhang2025/paper.yaml: window must be given, the samples that a listing is of"),
        *(
            (
                "tian2021",
                lambda told, caption=caption: told["artefacts"]["figure5"].update(caption=caption),
                "figure5: caption: braces are around the name of a budget",
            )
            for caption in ("epsilon { of", "of {}", "{small.x}")
        ),
        (
            "tian2021",
            lambda told: told["attacks"].update(fgsm_float32={"update": "fgsm"}),
            "attacks.fgsm_float32: so the one is called that is fgsm in float32; give another name",
        ),
        (
            "tian2021",
            lambda told: told["search"].update(budget="much"),
            "search.budget: 'much' is none; give one of small, ",
        ),
    ],
)
def test_it_is_named_before_any_job(tmp_path: Path, name: str, change: Callable[[dict], object], message: str) -> None:
    root = copy_project(tmp_path)
    told = paper(root, name)
    told.setdefault("attacks", {})
    told["float32"]["attack"] = "fgsm" if name == "tian2021" else told["float32"]["attack"]
    change(told)
    write_paper(root, told, name)
    with pytest.raises(SettingsError, match=message):
        plan(root, papers=[name], scale="paper")


def test_a_twin_of_the_best_of_several_attacks_is_of_the_others(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    told = paper(root, "zhang2025")
    twin_of_the_best(told)
    write_paper(root, told, "zhang2025")
    made = plan(root, papers=["zhang2025"]).settings.papers["zhang2025"]["claims"]
    assert any("official" in one["name"] for one in made)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            downloaded_lists,
            "lists: train, val, test must be given as files that are there, or how many `clips` there are",
        ),
        (
            lambda facts: facts.update(class_index="resources/absent.csv"),
            "class_index: 'resources/absent.csv' is no file",
        ),
    ],
)
def test_a_dataset_that_does_not_say_how_many_clips_or_which_classes_is_named(
    tmp_path: Path, change: Callable[[dict], object], message: str
) -> None:
    root = copy_project(tmp_path)
    file = root / "workflow/datasets/audioset_balanced.yaml"
    facts = yaml.safe_load(file.read_text(encoding="utf-8"))
    change(facts)
    file.write_text(yaml.safe_dump(facts), encoding="utf-8")
    with pytest.raises(SettingsError, match=message):
        plan(root, papers=["li2022"], scale="paper")


def test_what_an_extractor_holds_may_be_a_name_alone(tmp_path: Path) -> None:
    """As in a variant's part."""
    root = copy_project(tmp_path)
    file = root / "workflow/datasets/kinetics_sounds_31.yaml"
    facts = yaml.safe_load(file.read_text(encoding="utf-8"))
    facts["extractors"]["log_mel_r2plus1d"]["audio"] = {
        "name": "log_mel",
        "options": {"net": "resnet19", "samples_per_step": 9, "front": {"sample_rate": 16000}},
    }
    file.write_text(yaml.safe_dump(facts), encoding="utf-8")
    with pytest.raises(SettingsError, match="resnet19"):
        plan(root, papers=["li2022"], scale="paper")


def test_a_twin_in_float32_is_asked_what_its_cell_is_asked() -> None:
    """Of features no file holds anything, so that victims answer to floats alone."""
    made = plan(unedited(), papers=["li2022"], scale="paper").grid
    (twin,) = (key for key in made.cells if key[2].endswith("_float32"))
    own = (*twin[:2], twin[2].removesuffix("_float32"))
    assert twin in made.ranked and own in made.ranked
    assert {key for key, _ in made.filed} & {twin, own} == set()
    assert made.has_first_seed_alone(twin) == made.has_first_seed_alone(own)
