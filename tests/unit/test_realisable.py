"""The ledger of what is left of attacks in files: verdicts worked by hand, norms beside what was allowed."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from artefacts import make
from cell_files import CLEAN, write_cell

from avrobust import parquet
from avrobust.metrics.rows import cells_by_form, read_cells
from avrobust.metrics.schema import CODED, FLOAT, FORMS, ROUNDED, TRUNCATED
from avrobust.report.realisable import measure
from avrobust.spec.artefacts.realisable import layout
from avrobust.spec.conditions import Condition, Reading

CLIPS = 40
PLACE = {"dataset": "music", "surrogate": "concat", "victim": "concat", "attack": "fgsm"}
AUDIO, VISUAL, BOTH = ("audio", "small"), ("visual", "large"), ("both", "small")
SPEC = {"paper": "tian2021", "citation": "Tian & Xu", "sources": {"music": "render"}}
SPEC |= {"cells": [{**PLACE, "conditions": [AUDIO, BOTH, VISUAL]}]}


def right(count: int) -> list[int]:
    """Labels are 0: so many answers are right, the first ones."""
    return [0] * count + [1] * (CLIPS - count)


def cell(folder, seed: int = 0):
    """As floats all attacks cost; the sound's is left, the frame's becomes stronger, the coder leaves neither."""
    forms = {
        FLOAT: ({CLEAN: 36, AUDIO: 10, VISUAL: 24, BOTH: 12}, {"audio": 0.006, "visual": 0.006}),
        ROUNDED: ({CLEAN: 36, AUDIO: 11, VISUAL: 8, BOTH: 36}, {"audio": 0.006, "visual": 0.01751}),
        TRUNCATED: ({CLEAN: 36, AUDIO: 11, VISUAL: 35, BOTH: 11}, {"audio": 0.006, "visual": 0.01751}),
    }
    tables = []
    for form, (counts, norms) in forms.items():
        answers = {condition: right(count) for condition, count in counts.items()}
        path = write_cell(folder, f"music/concat/{seed}/fgsm", [0] * CLIPS, answers, form=form, norms=norms)
        table = pq.read_table(path).to_pandas()
        for attacked, name in ((AUDIO, "visual"), (VISUAL, "audio"), (CLEAN, "audio"), (CLEAN, "visual")):
            table.loc[(table.modality == attacked[0]), f"norm_{name}"] = 0.0
        if form == ROUNDED:
            table.loc[table.modality == "both", ["norm_audio", "norm_visual"]] = 0.0
        tables.append(pa.Table.from_pandas(table, schema=pq.read_schema(path)))
    coded = {CLEAN: right(30), AUDIO: right(29), VISUAL: right(30)}
    path = write_cell(
        folder, f"music/concat/{seed}/fgsm", [0] * CLIPS, coded, form=CODED, norms={"audio": 0.1, "visual": 0.5}
    )
    tables.append(pq.read_table(path))
    pq.write_table(pa.concat_tables(tables), path, write_page_checksum=True)
    return path


@pytest.fixture
def entries(tmp_path) -> pd.DataFrame:
    path = cell(tmp_path)
    return measure(layout(SPEC), cells_by_form([path])).set_index(["modality", "form"])


def test_a_line_per_attack_and_form_that_was_asked(entries):
    assert [*entries.index] == [
        *(("audio", form) for form in FORMS),
        *(("visual", form) for form in FORMS),
        *(("both", form) for form in FORMS[:3]),
    ]
    assert (entries["n"] == CLIPS).all() and (entries["seeds"] == 1).all() and (entries["source"] == "render").all()


def test_what_is_left_is_against_clean_clips_of_the_same_form(entries):
    audio = entries.loc["audio"]
    assert audio["accuracy"].tolist() == [25.0, 27.5, 27.5, 72.5] and audio["clean"].tolist() == [90, 90, 90, 75]
    assert audio["cost"].tolist() == [65.0, 62.5, 62.5, 2.5]
    assert audio["left"].tolist() == ["", "survives", "survives", "undecided"]
    assert entries.loc["both", "left"].tolist() == ["", "restored", "survives"]
    assert entries.loc["both", "restored"].tolist() == ["", "audio visual", ""]


def test_stronger_and_weaker_are_paired_with_floats(entries):
    visual = entries.loc["visual"]
    assert visual["change"].tolist()[1:] == [-40.0, 27.5, 15.0]
    assert visual["beside_floats"].tolist() == ["", "stronger", "weaker", "weaker"]
    assert entries.loc[("audio", ROUNDED), "beside_floats"] == ""  # one clip of 40
    assert visual["left"].tolist() == ["", "survives", "undecided", "undecided"]


def test_what_leaves_its_ball_is_never_said_to_be_inside(entries):
    visual = entries.loc["visual"]
    assert visual["epsilon_visual"].tolist() == [0.012] * 4
    assert visual["norm_visual"].tolist() == pytest.approx([0.006, 0.01751, 0.01751, 0.5])
    assert visual["inside_ball"].tolist() == ["yes", "no", "no", "no"]
    assert entries.loc["audio", "inside_ball"].tolist() == ["yes", "yes", "yes", "no"]


def test_an_attack_that_costs_nothing_as_floats_has_nothing_to_lose(tmp_path):
    answers = {CLEAN: right(36), AUDIO: right(36)}
    path = write_cell(tmp_path, "music/concat/0/fgsm", [0] * CLIPS, answers, norms={"audio": 0.006})
    table = pq.read_table(path)
    place = table.schema.get_field_index("form")
    rounded = table.set_column(place, "form", pa.array([ROUNDED] * len(table)))
    pq.write_table(pa.concat_tables([table, rounded]), path, write_page_checksum=True)
    spec = {**SPEC, "cells": [{**PLACE, "conditions": [AUDIO]}]}
    found = measure(layout(spec), cells_by_form([path]))
    assert found["left"].tolist() == ["", "undecided as floats"]


def test_what_only_rounding_makes_of_an_attack_is_not_lost(tmp_path):
    floats = write_cell(tmp_path, "music/concat/0/fgsm", [0] * CLIPS, {CLEAN: right(36), AUDIO: right(36)})
    table = pq.read_table(floats)
    costly = write_cell(tmp_path / "r", "music/concat/0/fgsm", [0] * CLIPS, {CLEAN: right(36), AUDIO: right(9)})
    rounded = pq.read_table(costly)
    place = rounded.schema.get_field_index("form")
    rounded = rounded.set_column(place, "form", pa.array([ROUNDED] * len(rounded))).cast(table.schema)
    pq.write_table(pa.concat_tables([table, rounded]), floats, write_page_checksum=True)
    spec = {**SPEC, "cells": [{**PLACE, "conditions": [AUDIO]}]}
    found = measure(layout(spec), cells_by_form([floats]))
    assert found["left"].tolist() == ["", "survives"]
    assert found["beside_floats"].tolist() == ["", "stronger"]


def test_what_no_attack_changes_has_no_line(tmp_path):
    """A net that does not take what is attacked."""
    answers = {CLEAN: right(36), AUDIO: right(36)}
    path = write_cell(tmp_path, "music/concat/0/fgsm", [0] * CLIPS, answers, norms={"audio": 0.0})
    spec = {**SPEC, "cells": [{**PLACE, "conditions": [AUDIO]}]}
    assert measure(layout(spec), cells_by_form([path])).empty


def test_the_program_writes_the_ledger_for_programs_and_readers(tmp_path):
    made = make("realisable", SPEC, tmp_path / "r", cells=[cell(tmp_path)])
    assert made.returncode == 0, made.stderr
    table = pd.read_csv(tmp_path / "r.csv", keep_default_na=False)
    assert len(table) == 11 and (table["scale"] == "demo").all() and (table["unit"] == "percent").all()
    line = table[(table["modality"] == "visual") & (table["form"] == ROUNDED)].iloc[0]
    assert (line["norm_visual"], line["epsilon_visual"], line["inside_ball"]) == (0.01751, 0.012, "no")
    text = (tmp_path / "r.md").read_text()
    audio, visual = (f"1 attack, 1 surviving ({inside} inside the ball)" for inside in (1, 0))
    assert f"- 8 bits, rounded: audio: {audio}; visual: {visual}; both: 1 attack, 1 restored." in text
    assert (table["control"] == "no").all() and "control" not in text + made.stderr
    assert all(f"**{word}**" in text for word in ("Restored", "Survives", "Undecided", "Outside"))
    assert "\n## music\n\n### concat (clean: 90.00)\n\n| attack | attacked | ε (budget) | as floats |" in text
    assert "| fgsm | visual | 0.012 (large) | 60.00 [" in text and "] survives, stronger, outside |" in text


def test_strengths_stand_by_what_is_allowed_whatever_their_names(tmp_path):
    """The sweep's second point is 0.012, its first 0.006 as `small` is; a column for each form that is there."""
    strong, weak, both = ("audio", "large"), ("audio", "sweep/1"), ("both", "sweep/2")
    answers = {CLEAN: right(36), strong: right(10), both: right(9), weak: right(20)}
    path = write_cell(tmp_path, "music/concat/0/fgsm", [0] * CLIPS, answers)
    spec = {**SPEC, "cells": [{**PLACE, "conditions": [both, strong, weak]}]}
    made = make("realisable", spec, tmp_path / "r", cells=[path])
    assert made.returncode == 0, made.stderr
    wanted = [("audio", "sweep/1", 0.006), ("audio", "large", 0.012), ("both", "sweep/2", 0.012)]
    table = pd.read_csv(tmp_path / "r.csv")
    assert [*table[["modality", "budget", "epsilon_audio"]].itertuples(index=False, name=None)] == wanted
    lines = [line.split(" | ") for line in (tmp_path / "r.md").read_text().splitlines() if line.startswith("| ")]
    assert lines[0] == ["| attack", "attacked", "ε (budget)", "as floats |"]
    assert [line[1:3] for line in lines[2:]] == [[name, f"{size} ({budget})"] for name, budget, size in wanted]


def test_controls_are_counted_apart_from_attacks(tmp_path):
    """Two cells of the same answers, one of which is noise: its rows stay, and are no attacks in any count."""
    attack, noise = cell(tmp_path), tmp_path / "noise.parquet"
    table = pq.read_table(attack)
    place = table.schema.get_field_index("attack")
    renamed = table.set_column(place, table.schema.field(place), pa.array(["random_sign"] * len(table)))
    pq.write_table(renamed, noise, write_page_checksum=True)
    cells = [*SPEC["cells"], {**SPEC["cells"][0], "attack": "random_sign", "control": True}]
    made = make("realisable", SPEC | {"cells": cells}, tmp_path / "r", cells=[attack, noise])
    assert made.returncode == 0, made.stderr
    table = pd.read_csv(tmp_path / "r.csv")
    assert {*zip(table["attack"], table["control"], strict=True)} == {("fgsm", "no"), ("random_sign", "yes")}
    text = (tmp_path / "r.md").read_text()
    for what in ("attack", "control"):
        (of,) = [part for part in text.split("Of the ")[1:] if part.startswith(f"{what}s that cost accuracy")]
        assert f"- 8 bits, rounded: audio: 1 {what}, 1 surviving (1 inside the ball); visual: 1 {what}," in of
    log = made.stderr.splitlines()[-1]
    assert "tian2021: attacks: 8 bits, rounded: audio: 1 attack, " in log
    assert ". controls: 8 bits, rounded: audio: 1 control, " in log
    assert "| random_sign (control) |" in text and "| fgsm |" in text


def test_a_dataset_of_the_users_own_is_called_by_its_name(tmp_path):
    own = SPEC | {"sources": {"music": "local"}, "names": {"music": "my takes"}}
    made = make("realisable", own, tmp_path / "r", cells=[cell(tmp_path)])
    assert made.returncode == 0, made.stderr
    table = pd.read_csv(tmp_path / "r.csv")
    assert {*zip(table["dataset"], table["source"], strict=True)} == {("my takes", "local")}
    text = (tmp_path / "r.md").read_text()
    assert "Scale `demo`. my takes in the place of music." in text and "\n## my takes\n" in text


def test_readers_of_cells_see_floats_unless_they_ask_otherwise(tmp_path):
    path = cell(tmp_path)
    (floats,), (rounded,) = read_cells(path), read_cells(path, ROUNDED)
    assert [sum(one.answers[next(iter(one.answers))].predictions == 0) for one in (floats, rounded)] == [10, 11]
    assert len(read_cells(path, CODED)[0].answers) == 3
    alone = write_cell(tmp_path / "alone", "music/concat/0/fgsm", [0], {CLEAN: [0]})
    assert read_cells(alone, CODED) == []


def test_a_file_is_read_once_for_all_forms(tmp_path, monkeypatch):
    path, read, seen = cell(tmp_path), parquet.read, []
    monkeypatch.setattr(parquet, "read", lambda file, *more: seen.append(file) or read(file, *more))
    by_form = cells_by_form([path])
    reading = Reading(*PLACE.values(), Condition(*AUDIO))
    recognised = {form: cells.outcomes([reading]).correct.sum() for form, cells in by_form.items()}
    assert recognised == {FLOAT: 10, ROUNDED: 11, TRUNCATED: 11, CODED: 29} and seen == [path]


def test_one_clip_out_of_its_ball_is_enough(tmp_path):
    path = cell(tmp_path)
    table = pq.read_table(path)
    norms = table["norm_audio"].to_pylist()
    place = next(n for n, row in enumerate(table.to_pylist()) if (row["modality"], row["form"]) == (AUDIO[0], FLOAT))
    norms[place] = 0.0061
    table = table.set_column(table.schema.get_field_index("norm_audio"), "norm_audio", pa.array(norms, pa.float32()))
    pq.write_table(table, path, write_page_checksum=True)
    found = measure(layout(SPEC), cells_by_form([path]))
    assert found["inside_ball"].tolist()[0] == "no" and found["norm_audio"].tolist()[0] == pytest.approx(0.0061)
