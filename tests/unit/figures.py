"""Three nets under two attacks, as the tests of figures draw them: cells by hand and layouts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cell_files import CLEAN, write_cell

CLIPS = 20
BOTH = ("both", "small")
NETS = ("AcV", "AsV", "RcR")
# How many of the first clips each victim recognises: clean, and under each attack by each surrogate's gradients.
RECOGNISED = {"AcV": 16, "AsV": 10, "RcR": 20}
LEFT: Mapping[tuple[str, str], Sequence[int]] = {
    ("AcV", "fgsm"): (4, 8, 18), ("AsV", "fgsm"): (12, 2, 16), ("RcR", "fgsm"): (14, 9, 5),
    ("AcV", "noise"): (15, 10, 20), ("AsV", "noise"): (16, 9, 20), ("RcR", "noise"): (16, 10, 19),
}  # fmt: skip


def factor(name: str, *values: str, **said: str) -> dict:
    return {"name": name, "values": {**{value: value for value in values}, **said}}


SPEC = {
    "title": "Figure 5. Success",
    "measure": "success",
    "read": {"dataset": "music", "modality": "both", "budget": "small"},
    "panels": factor("surrogate", *NETS),
    "ticks": factor("victim", *NETS),
    "bars": factor("attack", fgsm="FGSM", noise="Random signs"),
    "controls": ["noise"],
    "also": {"others": "mean(victim != surrogate)", "two": "mean(victim in AcV RcR)"},
    "calibrated": [["music", "AcV", "AcV", "fgsm", "both", "small"]],
    "sizes": {"fgsm": {"copies": [2, 5], "steps": [3, 10]}},
    "sources": {"music": "lists"},
}


def right(count: int) -> list[int]:
    return [0] * count + [1] * (CLIPS - count)


def write_cells(folder: Path, seeds: Sequence[int] = (0,)) -> list[Path]:
    """The first clips of all are recognised, so that whoever recognises less recognises a part of the same."""
    return [
        write_cell(
            *(folder, f"music/{victim}/{seed}/{attack}", [0] * CLIPS),
            {CLEAN: right(RECOGNISED[victim]), BOTH: right(left)},
            surrogate=surrogate,
        )
        for (surrogate, attack), of_victims in LEFT.items()
        for victim, left in zip(NETS, of_victims, strict=True)
        for seed in seeds
    ]
