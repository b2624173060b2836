"""Choices: the ledger's order and completeness, what was taken, mistakes, and the program as users run it."""

import csv
import io
from pathlib import Path

import pytest
from artefacts import make

from avrobust.program import UserError
from avrobust.report.choices import COLUMNS, markdown, tidy
from avrobust.report.text import csv_of
from avrobust.spec.artefacts.choices import choices

SCRIPTS = Path(__file__).parents[2] / "scripts"


def choice(number: int, **more: object) -> dict:
    plain = {"question": f"Which {number}?", "default": "this", "alternatives": [], "set_in": "fixed"}
    return {"number": number, **plain, "why": "Because.", "sensitivity": "None.", **more}


EPSILON = {"name": "epsilon", "default": "corrected", "alternatives": ["printed"]}
TRAINING = {"name": "training", "default": "code", "alternatives": ["paper", "mine"]}
SPEC = {
    "paper": "tian2021",
    "choices": [
        choice(10, **TRAINING, set_in="config.yaml: tian2021.training"),
        choice(2, default="drop", alternatives=["zero_fill"], set_in="config.yaml: failed_clips"),
        choice(1, **EPSILON, set_in="config.yaml: tian2021.epsilon"),
        choice(3, question="This | that?", alternatives=["mim_official"], set_in="the attack of a row"),
        choice(9, **TRAINING, set_in="config.yaml: tian2021.training"),
    ],
    "chosen": {"epsilon": "printed", "training": "code", "failed_clips": "zero_fill"},
}


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_every_choice_by_number_with_what_was_taken() -> None:
    rows = lines(csv_of(tidy(choices(SPEC))))
    assert tuple(rows[0]) == COLUMNS
    assert [row["number"] for row in rows] == ["1", "2", "3", "9", "10"]
    assert [row["chosen"] for row in rows] == ["printed", "zero_fill", "this", "code", "code"]
    assert [row["name"] for row in rows] == ["epsilon", "", "", "training", "training"]
    assert rows[3] == {
        "number": "9",
        "name": "training",
        "question": "Which 9?",
        "default": "code",
        "alternatives": "paper; mine",
        "chosen": "code",
        "set_in": "config.yaml: tian2021.training",
        "why": "Because.",
        "sensitivity": "None.",
        "scale": "",
    }


def test_what_is_set_outside_the_papers_section_may_be_left_to_config() -> None:
    spec = {**SPEC, "chosen": {"epsilon": "corrected", "training": "mine"}}
    assert [row["chosen"] for row in lines(csv_of(tidy(choices(spec))))] == [
        "corrected",
        "what config.yaml says",
        "this",
        "mine",
        "mine",
    ]


def test_markdown_shows_what_is_not_the_default() -> None:
    text = markdown(choices({**SPEC, "citation": "Hand et al"}))
    assert text.startswith("# Choices for Hand et al\n\n5 points that the paper leaves open")
    assert "Taken otherwise than by default: epsilon (1), failed_clips (2).\n" in text
    assert "| 1 | **printed** (default: corrected) | Which 1? | corrected | config.yaml: tian2021.epsilon |" in text
    assert "| 3 | this | This \\| that? | mim_official |" in text
    assert "| 9 | code | Which 9? | paper; mine |" in text
    assert "has its own" not in text
    text = markdown(choices({**SPEC, "scale": "tiny", "set_by_scale": ["training", "sweep"]}))
    assert "> Scale `tiny` has its own training, sweep: where these differ, they are used" in text
    plain = {**SPEC, "chosen": {"epsilon": "corrected", "training": "code"}}
    assert "Taken otherwise than by default: none.\n" in markdown(choices(plain))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chosen": {"epsilon": "printed"}}, "chosen: training must be given"),
        (
            {"chosen": {**SPEC["chosen"], "speed": "high"}},
            "no choice is called speed; add it to the choices of tian2021",
        ),
        (
            {"chosen": {**SPEC["chosen"], "training": "yours"}},
            "choice 9: training is 'yours', which is none of code, paper, mine",
        ),
        ({"choices": [{"number": 1}]}, "choice 1: alternatives, default, question, .* must be given"),
        ({"choices": [choice(1, colour="red")]}, "choice 1: unknown colour"),
        ({"extra": 1}, "choices: unknown extra"),
    ],
)
def test_mistakes_are_named(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        choices({**SPEC, **change})


def test_the_program(tmp_path: Path) -> None:
    made = make("choices", SPEC, tmp_path / "out/choices")
    assert made.returncode == 0, made.stderr
    assert "tian2021: 5 choices" in made.stderr
    assert (tmp_path / "out/choices.csv").read_text() == csv_of(tidy(choices(SPEC)))
    assert (tmp_path / "out/choices.md").read_text() == markdown(choices(SPEC))
    failed = make("choices", {**SPEC, "chosen": {}}, tmp_path / "nothing/choices")
    assert failed.returncode == 1
    assert failed.stderr == "error: chosen: epsilon, training must be given\n"
    assert not (tmp_path / "nothing").exists()
