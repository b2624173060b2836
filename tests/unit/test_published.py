"""The printed values: proofread, complete, and consistent with themselves but for the known misprints."""

import csv
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from avrobust.spec.published import Published, read_published

PAPERS = Path(__file__).parents[2] / "workflow/papers"
FOLDER = PAPERS / "tian2021/published"
PROOFREAD = Path(__file__).with_name("proofread.csv")
UNIMODAL = ["Unimodal_A_clean", "Unimodal_V_clean"]
ATTACKED = ["X_A", "X_V", "X_AV"]
DEFENDED = ["AV_clean", *ATTACKED, "Avg", "RI"]
LAYOUTS = {
    # name: keys, rows, columns, and the columns over which the paper takes Avg
    "table1": (["dataset", "attack"], 6, ["AV_clean", *ATTACKED, "Avg", *UNIMODAL], ATTACKED),
    "tableA1": (["dataset", "attack"], 3, ["AV_clean", *ATTACKED, "Avg", *UNIMODAL], ATTACKED),
    "table2": (["fusion", "attack"], 5, ["AV_clean", *ATTACKED, "Avg"], ["AV_clean", *ATTACKED]),
    "table3": (["dataset", "defence", "attack"], 16, DEFENDED, ATTACKED),
    "tableA2": (["dataset", "defence", "attack"], 8, DEFENDED, ATTACKED),
    "tableA3": (["dataset", "defence", "attack"], 18, DEFENDED, ATTACKED),
}
# Clips in the test set: every printed accuracy is a whole number of them.
CLIPS = {"MUSIC": 104, "KS": 3104, "AVE": 402}


def read(name: str) -> dict[tuple[str, ...], Published]:
    return read_published(FOLDER / f"{name}.csv", LAYOUTS[name][0])


def misfits(name: str, parts: Sequence[str]) -> list[tuple[tuple[str, ...], float]]:
    """Rows whose Avg is not the mean of their printed columns, with what it should be."""
    values = {place: one.value for place, one in read(name).items()}
    found = []
    for place, value in values.items():
        if place[-1] == "Avg":
            mean = sum(values[*place[:-1], part] for part in parts) / len(parts)
            # Each printed number may be off by 0.005: the mean of the parts, and Avg itself.
            if abs(mean - value) > 0.01 + 1e-9:
                found.append((place[:-1], round(mean, 2)))
    return found


def misfits_of_improvement(name: str) -> list[tuple[tuple[str, ...], float]]:
    """Rows whose RI is not what their printed AV_clean and Avg say, with what it should be."""
    values = {place: one.value for place, one in read(name).items()}
    found = []
    for (dataset, defence, attack, column), value in values.items():
        if column == "RI":
            totals = [
                values[dataset, one, attack, "AV_clean"] + values[dataset, one, attack, "Avg"]
                for one in (defence, "None")
            ]
            # The paper has it from the printed numbers, without any rounding left.
            if abs(totals[0] - totals[1] - value) > 1e-9:
                found.append(((dataset, defence, attack), round(totals[0] - totals[1], 2)))
    return found


def proofread() -> dict[str, str]:
    """What was compared with its paper -> its digest then."""
    with PROOFREAD.open(encoding="utf-8", newline="") as file:
        return {row["what"]: row["sha256"] for row in csv.DictReader(file)}


def told() -> dict[str, str]:
    """The digests, now, of the printed values and the claims of the papers that were compared."""
    found = {}
    for paper in sorted({what.partition("/")[0] for what in proofread()}):
        for path in sorted((PAPERS / paper / "published").glob("*.csv")):
            found[path.relative_to(PAPERS).as_posix()] = path.read_bytes()
        for claim in yaml.safe_load((PAPERS / paper / "claims.yaml").read_text(encoding="utf-8"))["claims"]:
            found[f"{paper}/claims.yaml: {claim['name']}"] = json.dumps(claim, sort_keys=True).encode()
    return {what: hashlib.sha256(content).hexdigest() for what, content in found.items()}


def test_what_papers_print_and_claim_is_as_it_was_compared_with_them() -> None:
    """Most of it is told by nothing else that they say: a digit, a sign or a net's name may be any other.

    A claim or a file of one's own beside them is one's own business.
    """
    now = told()
    differing = [f"{what},{now.get(what, '')}" for what, digest in proofread().items() if now.get(what) != digest]
    assert not differing, f"compare these with their paper, then change {PROOFREAD.name}: {'; '.join(differing)}"


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_place_is_there_in_printed_order(name: str) -> None:
    _, rows, columns, _ = LAYOUTS[name]
    places = list(read(name))
    assert [place[-1] for place in places] == columns * rows
    assert len({place[:-1] for place in places}) == rows


def test_averages_fit_but_for_the_known_misprint() -> None:
    found = {name: misfits(name, parts) for name, (*_, parts) in LAYOUTS.items()}
    assert found == {
        "table1": [(("MUSIC", "PGD"), 5.13)],
        "tableA1": [],
        "table2": [],
        "table3": [(("MUSIC", "PCL", "FGSM"), 51.92)],
        "tableA2": [],
        "tableA3": [],
    }


def test_relative_improvements_fit_but_for_the_known_misprints() -> None:
    assert misfits_of_improvement("table3") == [(("KS", "MinSim", "FGSM"), 8.90)]
    assert misfits_of_improvement("tableA2") == []
    assert misfits_of_improvement("tableA3") == [(("MUSIC", "MaxSim", "MIM"), 12.82)]
    # The misprinted Avg of PCL went into its RI, which therefore fits the printed Avg.
    # In whole clips of 104: 87, 85, 39, 38 for PCL and 92, 54, 47, 16 for None.
    assert round(100 / 104 * (87 - 92 + (85 + 39 + 38 - 54 - 47 - 16) / 3), 2) == 9.62


def test_misprints_are_marked() -> None:
    notes = {(name, *place): one.note for name in LAYOUTS for place, one in read(name).items() if one.note}
    assert notes == {
        ("table1", "MUSIC", "PGD", "Avg"): "misprint: 5.13 by its own columns",
        ("table1", "KS", "FGSM", "X_AV"): "8.09 in Table 3 for the same model and attack",
        ("table3", "MUSIC", "PCL", "FGSM", "Avg"): "misprint: 51.92 by its own columns",
        ("table3", "MUSIC", "PCL", "FGSM", "RI"): "follows from the misprinted Avg: 9.62 by its own columns",
        ("table3", "KS", "None", "FGSM", "X_AV"): "8.18 in Table 1 for the same model and attack",
        ("table3", "KS", "MinSim", "FGSM", "RI"): "misprint: 8.90 by its own columns",
        ("tableA3", "MUSIC", "Unimodal V", "MIM", "X_V"): "the same as under FGSM in Table 3",
        ("tableA3", "MUSIC", "MaxSim", "MIM", "RI"): "misprint: 12.82 by its own columns",
    }


def test_table_2_average_includes_the_clean_column() -> None:
    assert len(misfits("table2", ATTACKED)) == 5


@pytest.mark.parametrize("name", LAYOUTS)
def test_accuracies_are_whole_numbers_of_clips(name: str) -> None:
    for (*keys, column), one in read(name).items():
        clips = CLIPS.get(keys[0], 104)
        if column not in ("Avg", "RI"):
            assert 100 * round(one.value * clips / 100) / clips == pytest.approx(one.value, abs=0.005 + 1e-9)


# The tables typed from the paper and its appendix, not from the files: each line in the paper's order of columns.
TYPED = {
    "table1": """
MUSIC FGSM   88.46 50.00 25.00 15.38 30.12 59.62 81.73
MUSIC PGD    88.46 13.46  1.92  0.00  5.09 59.62 81.73
MUSIC MIM    88.46  6.73  1.92  0.00  2.88 59.62 81.73
KS FGSM      72.42 33.38 15.08  8.18 18.88 35.99 66.08
KS PGD       72.42  6.22  1.90  0.77  2.96 35.99 66.08
KS MIM       72.42  3.87  1.55  0.32  1.91 35.99 66.08
""",
    "tableA1": """
AVE FGSM     70.40 40.55 24.88  8.71 24.71 29.85 65.17
AVE PGD      70.40 20.15 11.44  1.99 11.19 29.85 65.17
AVE MIM      70.40 15.17 10.20  0.25  8.54 29.85 65.17
""",
    "table2": """
Sum FGSM          88.46 35.58 45.19  3.85 43.27
Concat FGSM       88.46 51.92 45.19 15.38 50.24
FiLM FGSM         83.65 28.85 39.42  3.85 38.95
Gated-Sum FGSM    89.42 33.65 44.23  4.81 43.03
Gated-Concat FGSM 89.42 45.19 43.27 13.46 47.84
""",
    "table3": """
MUSIC None FGSM          88.46 51.92 45.19 15.38 37.50   0.00
MUSIC Unimodal_A FGSM    59.62  0.00 59.62  0.00 19.87 -46.47
MUSIC Unimodal_V FGSM    81.73 81.73 11.54 11.54 34.94  -9.29
MUSIC PCL FGSM           83.65 81.73 37.50 36.54 51.91   9.60
MUSIC MaxSim FGSM        89.42 52.88 45.19 31.73 43.27   6.73
MUSIC MinSim FGSM        91.35 70.19 46.15 36.54 50.96  16.35
MUSIC ExFMem FGSM        89.42 53.85 50.00 20.19 41.34   4.80
MUSIC MinSim+ExFMem FGSM 90.38 73.08 53.85 42.31 56.41  20.83
KS None FGSM             72.42 36.40 26.35  8.09 23.61   0.00
KS Unimodal_A FGSM       35.99  1.87 35.99  1.87 13.24 -46.80
KS Unimodal_V FGSM       66.08 66.08 18.72 18.72 34.50   4.55
KS PCL FGSM              64.50 63.43 29.28 28.67 40.46   8.93
KS MaxSim FGSM           71.39 34.95 29.57 21.46 28.66   4.02
KS MinSim FGSM           70.88 52.42 28.12 21.62 34.05   8.99
KS ExFMem FGSM           72.71 41.56 29.93 10.44 27.31   3.99
KS MinSim+ExFMem FGSM    71.33 55.96 30.57 24.90 37.14  12.44
""",
    "tableA2": """
AVE None FGSM            70.40 40.55 24.88  8.71 24.71   0.00
AVE Unimodal_A FGSM      29.85  1.24 29.85  1.24 10.77 -54.49
AVE Unimodal_V FGSM      65.17 65.17 17.66 17.66 33.50   3.56
AVE PCL FGSM             61.94 61.69 17.91 17.91 32.50  -0.67
AVE MaxSim FGSM          71.64 35.82 25.62 16.42 25.95   2.48
AVE MinSim FGSM          70.90 57.21 25.37 21.39 34.66  10.45
AVE ExFMem FGSM          71.39 44.78 28.11 10.95 27.94   4.22
AVE MinSim+ExFMem FGSM   71.39 58.21 29.35 26.62 38.06  14.34
""",
    "tableA3": """
MUSIC None MIM           88.46 20.19 16.35  0.00 12.18   0.00
MUSIC Unimodal_A MIM     59.62  0.00 59.62  0.00 19.87 -21.15
MUSIC Unimodal_V MIM     81.73 81.73 11.54 11.54 34.94  16.03
MUSIC PCL MIM            83.65 79.81 17.31 17.31 38.14  21.15
MUSIC MaxSim MIM         89.42 25.00 31.73 15.38 24.04  12.84
MUSIC Ours_(Full) MIM    90.38 64.42 27.88 18.27 36.86  26.60
KS None MIM              72.42 11.18  9.63  0.32  7.04   0.00
KS Unimodal_A MIM        35.99  0.10 35.99  0.10 12.06 -31.41
KS Unimodal_V MIM        66.08 66.08  5.77  5.77 25.87  12.49
KS PCL MIM               64.50 62.98 20.26 19.97 34.40  19.44
KS MaxSim MIM            71.39 17.65 18.78 13.89 16.77   8.70
KS Ours_(Full) MIM       71.33 44.72 16.04  9.99 23.58  15.45
AVE None MIM             70.40 15.17 10.20  0.25  8.54   0.00
AVE Unimodal_A MIM       29.85  0.00 29.85  0.00  9.95 -39.14
AVE Unimodal_V MIM       65.17 65.17  5.22  5.22 25.20  11.43
AVE PCL MIM              61.94 61.44  7.21  6.97 25.21   8.21
AVE MaxSim MIM           71.64 15.17 12.94  8.96 12.36   5.06
AVE Ours_(Full) MIM      71.39 52.99 14.43 11.44 26.29  18.74
""",
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_value_is_the_papers(name: str) -> None:
    """Two columns exchanged would leave every mean and sum as it is."""
    keys, _, columns, _ = LAYOUTS[name]
    typed = {}
    for line in TYPED[name].split("\n")[1:-1]:
        words = line.replace("Unimodal_", "Unimodal ").replace("Ours_", "Ours ").split()
        values, place = [float(word) for word in words[-len(columns) :]], words[: -len(columns)]
        # Names of two words stand second: dataset, defence, attack.
        place = [place[0], " ".join(place[1:-1]), place[-1]] if len(keys) == 3 else place
        typed |= {(*place, column): value for column, value in zip(columns, values, strict=True)}
    assert {place: one.value for place, one in read(name).items()} == typed


def test_values_against_the_text() -> None:
    """What sections 4.3 and 4.6 and the tables' neighbours say of single values."""
    table1, table2, table3 = (read(name) for name in ("table1", "table2", "table3"))
    # "XA of Unimodal A and XV of Unimodal V achieve 0.00% and 11.54%, while XAV of the audio-visual model is 15.38%".
    assert table3["MUSIC", "Unimodal A", "FGSM", "X_A"].value == 0
    assert table3["MUSIC", "Unimodal V", "FGSM", "X_V"].value == 11.54
    assert table3["MUSIC", "None", "FGSM", "X_AV"].value == table1["MUSIC", "FGSM", "X_AV"].value == 15.38
    # The same net, clean and under the same attack, in two tables.
    for column in ("AV_clean", *ATTACKED):
        assert table2["Concat", "FGSM", column].value == table3["MUSIC", "None", "FGSM", column].value


def test_a_net_has_one_clean_accuracy_in_all_tables() -> None:
    clean: dict[tuple[str, str], set[float]] = {}
    for name in ("table3", "tableA2", "tableA3"):
        for (dataset, defence, _, column), one in read(name).items():
            if column == "AV_clean":
                clean.setdefault((dataset, defence.replace("Ours (Full)", "MinSim+ExFMem")), set()).add(one.value)
    for name in ("table1", "tableA1"):
        for (dataset, _, column), one in read(name).items():
            if column in ("AV_clean", "Unimodal_A_clean", "Unimodal_V_clean"):
                net = {"AV_clean": "None"}.get(column, column.replace("_clean", "").replace("_", " "))
                clean[dataset, net].add(one.value)
    assert len(clean) == 24
    assert {net: values for net, values in clean.items() if len(values) > 1} == {}


def test_a_unimodal_net_does_not_see_the_other_modality() -> None:
    for name in ("table3", "tableA2", "tableA3"):
        values = {place: one.value for place, one in read(name).items()}
        for (dataset, defence, attack, column), value in values.items():
            if defence == "Unimodal A" and column in ("X_V", "X_AV"):
                assert value == values[dataset, defence, attack, {"X_V": "AV_clean", "X_AV": "X_A"}[column]]
            if defence == "Unimodal V" and column in ("X_A", "X_AV"):
                assert value == values[dataset, defence, attack, {"X_A": "AV_clean", "X_AV": "X_V"}[column]]
