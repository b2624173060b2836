"""From nothing to published tables, and the same bytes whenever, wherever and on however many cores."""

import csv
import io
import json
import os
import subprocess
import sys
import time
from statistics import fmean
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
from PIL import Image
from project import CLAIMS, CLASSES, CLIPS, FIGURES, PUBLISHED, SCALE, TABLES, Project

from avrobust.spec.units import UNITS

# One training and one attack are all that is made of them: no other net answers to what is made with this one.
OF_ONE_NET = "models/music/film/s1234/model.pt", "cells/music/s1234/film.fgsm.parquet"
STATISTICS = ["published", "ours", "low", "high", "n", "seeds", "scale"]


def rows_of(project: Project, name: str) -> list[dict[str, str]]:
    """Return the rows of a published CSV."""
    return list(csv.DictReader(io.StringIO((project.published / name).read_text(encoding="utf-8"))))


def test_all_publishes_every_file_and_changes_nothing_in_it(finished):
    """paper_tables holds the named files and no other, each with the bytes of the one in results."""
    project = finished
    published = project.published_bytes()
    assert sorted(published) == sorted(PUBLISHED)
    assert {name: (project.results / "tables" / name).read_bytes() for name in PUBLISHED} == published
    index = rows_of(project, "index.csv")
    assert sorted(path for row in index for path in row["files"].split()) == sorted(PUBLISHED)
    assert {(row["status"], row["why"], row["scale"]) for row in index} == {("done", "", "tiny")}
    assert {row["artefact"]: row["n"] for row in index}["tian2021/table1"] == str(CLASSES * CLIPS["test"])


@pytest.mark.parametrize("name", [f"{place}{name}.csv" for name in TABLES for place in ("", "tian2021/")])
def test_a_table_sets_ours_beside_the_published_value(finished, name):
    """Each line has both values, the interval around ours, and says how many clips, seeds and which scale."""
    rows = rows_of(finished, name)
    # A stacked table, which lies beside the papers' folders, names the paper first.
    assert (next(iter(rows[0])) == "paper") == ("/" not in name)
    assert [column for column in rows[0] if column in STATISTICS] == STATISTICS
    for row in rows:
        assert float(row["low"]) <= float(row["ours"]) <= float(row["high"]), row
        assert (row["n"], row["seeds"], row["scale"]) == (str(CLASSES * CLIPS["test"]), "1", "tiny"), row


def test_every_file_of_values_says_their_unit(finished):
    """Each CSV has the column, and in it words that are explained; choices and the index have no values."""
    units = {}
    for name in PUBLISHED:
        if name.endswith(".csv") and not name.endswith("choices.csv"):
            units[name] = {row["unit"] for row in rows_of(finished, name) if row.get("note") != "no clip of this class"}
    assert all(found and found <= {*UNITS} for found in units.values()), units
    assert units["table1.csv"] == units["tian2021/figure3.csv"] == {"percent"}
    assert units["table3.csv"] == {"percent", "points"}
    assert units["claims.csv"] == {"points", "score"}
    assert (units["availability.csv"], units["checks.csv"]) == ({"clips"}, {"clips", "percent"})


def test_tables_have_the_rows_of_the_paper(finished):
    """Table 1 has a row per attack, Table 2 one per fusion; printed values stand where the paper prints one."""
    first, second = rows_of(finished, "table1.csv"), rows_of(finished, "table2.csv")
    attacks = ["FGSM", "MIM", "Random signs (control)", "Any attack"]
    assert list(dict.fromkeys(row["attack"] for row in first)) == attacks
    assert list(dict.fromkeys(row["fusion"] for row in second)) == ["Sum", "Concat", "FiLM"]
    assert {row["paper"] for row in first + second} == {"tian2021"}
    printed = {(row["fusion"], row["column"]): row["published"] for row in second}
    assert printed["Sum", "X_A"] == "35.58"
    assert printed["Sum", "majority_class"] == ""


def test_the_figure_has_a_point_per_strength(finished):
    """The figure's data: attacked series at no strength and the two of the scale, clean ones at none, in percent."""
    strengths = {}
    for row in rows_of(finished, "tian2021/figure3.csv"):
        strengths.setdefault((row["panel"], row["series"]), []).append(float(row["epsilon"]))
        assert 0 <= float(row["low"]) <= float(row["accuracy"]) <= float(row["high"]) <= 100
    assert {panel for panel, _ in strengths} == {"a", "b", "c"}
    for (panel, series), epsilons in strengths.items():
        assert epsilons == ([0] if series.startswith("clean") else [0, 0.006, 0.012]), (panel, series)


def test_published_pictures_and_markdown_open(finished):
    """Other programs read them: Pillow the PNG, an XML parser the SVG; Markdown has a table of equal rows."""
    published = finished.published
    for name in FIGURES:
        with Image.open(published / f"tian2021/{name}.png") as picture:
            picture.load()
            assert picture.format == "PNG"
            assert len(picture.convert("L").getcolors()) > 2, "nothing is drawn"
        root = ElementTree.parse(published / f"tian2021/{name}.svg").getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
    # Below stands how far each attack is from any of them, but for those rows themselves.
    for name, heights in (
        ("table1.md", [4, 3]),
        ("table2.md", [3]),
        ("table3.md", [3 + 1 + 3 + 3, 3 + 1 + 3]),
        ("controls.md", [2]),
    ):
        text = (published / "tian2021" / name).read_text(encoding="utf-8")
        for part, height in zip(text.split("## Above any attack"), heights, strict=True):
            table = [line for line in part.splitlines() if line.startswith("|")]
            assert len(table) == 2 + height, table
            assert len({line.count("|") for line in table}) == 1, table


def test_under_any_attack_no_more_is_recognised_than_under_the_worst(finished):
    """As rows of the same clips say: of each net and column the lowest, less what other attacks take beside it."""
    for name, net in (("table1.csv", ""), ("table3.csv", "defence")):
        rows = [row for row in rows_of(finished, name) if row["column"] in ("X_A", "X_V", "X_AV")]
        rows = [row for row in rows if row["attack"] != "Random signs (control)"]
        worst = {(row["dataset"], row.get(net), row["column"]): row for row in rows if row["attack"] == "Any attack"}
        for row in rows:
            any_attack = worst[row["dataset"], row.get(net), row["column"]]
            assert float(row["ours"]) >= float(any_attack["ours"])
            if row is not any_attack:
                gap = float(row["ours"]) - float(any_attack["ours"])
                assert float(row["above_any"]) == pytest.approx(gap, abs=0.011)
        assert {row["attacks"] for row in worst.values()} == {
            "fgsm mim" if name == "table1.csv" else "fgsm fgsm_ce fgsm_bypass concat/fgsm"
        }


def test_claims_have_verdicts_and_choices_say_what_was_taken(finished):
    """Every kept claim has the effects of the clips that were made; what config.yaml sets is written down as chosen."""
    cells = {
        net: pq.read_table(finished.results / f"cells/music/s1234/{net}.fgsm.parquet").to_pylist()
        for net in ("concat", "audio", "visual")
    }
    clean = {
        net: [row["label"] == row["prediction"] for row in rows if (row["modality"], row["victim"]) == ("clean", net)]
        for net, rows in cells.items()
    }
    looked = pq.read_table(finished.results / "localisation/music/localisation/s1234/fgsm.parquet").to_pylist()

    def mean(measure: str) -> float:
        return fmean(row["value"] for row in looked if row["modality"] == "clean" and row["measure"] == measure)

    effects = {
        "audio_visual_better_clean": [
            100 * (fmean(clean["concat"]) - fmean(clean[net])) for net in ("audio", "visual")
        ],
        "localisation_finds_sources": [
            mean("pointing") - mean("centre_pointing"),
            mean("pointing") - mean("pointing_other_boxes"),
            mean("mass") - mean("mass_other_boxes"),
        ],
    }
    tests = rows_of(finished, "tian2021/claims_tests.csv")
    assert [row["claim"] for row in tests] == [name for name in CLAIMS for _ in effects[name]]
    claims = rows_of(finished, "claims.csv")
    assert [row["claim"] for row in claims] == list(CLAIMS)
    for row in claims:
        judged = [test for test in tests if test["claim"] == row["claim"]]
        for test, effect in zip(judged, effects[row["claim"]], strict=True):
            assert float(test["effect"]) == pytest.approx(effect, abs=0.006), test["test"]
        assert float(row["effect"]) == min(float(test["effect"]) for test in judged)
        assert float(row["low"]) <= float(row["effect"]) <= float(row["high"])
        assert row["speaks_of"] == "clips"
        expected = "holds here" if float(row["low"]) > 0 else "fails here" if float(row["high"]) < 0 else "undecided"
        assert row["verdict"] == expected
    choices = {row["name"]: row["chosen"] for row in rows_of(finished, "choices.csv") if row["name"]}
    assert (choices["ista"], choices["epsilon"]) == ("official", "corrected")


def test_the_checks_notice_the_net_whose_gradients_are_broken_on_purpose(finished):
    """No clip has a gradient, none moves, and clips of the undefended net's gradients are compared with that."""
    rows = [row for row in rows_of(finished, "checks.csv") if row["surrogate"] == "planted_masking"]
    signs = {row["check"]: (row["signs"], row["comparisons"]) for row in rows}
    every = str(CLASSES * CLIPS["test"])
    assert (signs["zero_gradients"], signs["unused_budget"]) == ((every, every), ("3", "3"))
    columns = ("X_A", "X_V", "X_AV")
    attacked = {(row["attack"], row["column"]): float(row["ours"]) for row in rows_of(finished, "controls.csv")}
    assert {attacked["FGSM", column] for column in columns} == {attacked["FGSM", "AV_clean"]}
    stronger = sum(attacked["FGSM, transferred from None", column] < attacked["FGSM", column] for column in columns)
    assert signs["black_box_stronger"] == (str(stronger), "3")


def test_a_search_writes_down_every_candidate_and_training_takes_the_best(finished):
    """PCL's weights: the highest score of the table is what the net was trained with."""
    folder = finished.results / "models/music/pcl"
    rows = list(csv.DictReader(io.StringIO((folder / "search.csv").read_text(encoding="utf-8"))))
    assert len(rows) == 2
    best = max(rows, key=lambda row: float(row["score"]))
    for row in rows:
        mean = sum(float(row[name]) for name in ("audio", "visual", "both")) / 3
        assert float(row["score"]) == pytest.approx(float(row["clean"]) + mean, abs=0.02)
    options = json.loads((folder / "s1234/train.json").read_text(encoding="utf-8"))["objective"]["options"]
    assert options["prox_weight"] == float(best["prox_weight"])


def test_the_second_stage_goes_on_from_the_first_with_its_memory(finished):
    """Every training that has a memory says how many columns it holds and the step that it takes."""
    made = json.loads((finished.results / "models/music/minsim_exfmem/s1234/train.json").read_text(encoding="utf-8"))
    assert made["start"].endswith("music/minsim/s1234/model.pt")
    assert made["model"]["defence"]["options"]["columns"] == 8
    assert all(step > 0 for step in made["memory_steps"].values())


def test_a_second_time_there_is_nothing_to_do(finished_copy):
    """Once made, `all` does nothing: as it is, and with every file of the project newer than the results."""
    assert "Nothing to be done" in finished_copy.make("all")
    for path in finished_copy.root.rglob("*"):
        if path.is_file() and not path.is_relative_to(finished_copy.results) and ".snakemake" not in path.parts:
            os.utime(path)
    assert finished_copy.plan() == {}


def test_touched_results_are_compared_by_content(finished_copy):
    """Times alone make nothing anew where Snakemake compares contents, which it does up to 1 MB a file.

    All results get times in the order that suits least: whatever is read is newer than what was made of it. Larger
    files, such as the shards and nets of larger scales, have only their times: the limit of 0 shows what they cause.
    """
    order = ["benchmarks", "logs", "tables", "cells", "localisation", "embeddings", "models", "data"]
    start = int(time.time()) - 60
    # The file of digests, which lies beside these folders, is read by no job.
    for path in [path for path in finished_copy.results.glob("*/**/*") if path.is_file()]:
        assert path.stat().st_size < 1e6, f"{path.name} is too large for this test"
        seconds = start + order.index(path.relative_to(finished_copy.results).parts[0])
        os.utime(path, (seconds, seconds))
    assert finished_copy.plan() == {}
    assert set(finished_copy.plan("--max-checksum-file-size", "0").values()) >= {"train", "attack", "table", "sweep"}


def test_a_cell_made_again_has_the_same_bytes(finished, finished_copy):
    """The same seeds give the same cell and the same tables.

    The cell is asked for by name: to `all` alone, whose files are there, Snakemake does not miss it.
    """
    cell = "cells/music/s1234/concat.mim.parquet"
    (finished_copy.results / cell).unlink()
    output = finished_copy.make(f"results/tiny/{cell}", "all")
    assert all(f"rule {rule}" in output for rule in ("attack:", "table:", "sweep:", "stack:", "publish_csv_md:")), (
        output
    )
    assert "rule train:" not in output
    assert (finished_copy.results / cell).read_bytes() == (finished.results / cell).read_bytes()
    assert finished_copy.published_bytes() == finished.published_bytes()


def test_clips_made_elsewhere_on_one_core_have_the_same_bytes(finished, fresh_copy):
    """Rendered and packed from nothing in another folder by one process and not two: the same shards and reports."""
    availability = "data/music/availability.csv"
    fresh_copy.make("--cores", "1", f"results/tiny/{availability}")
    for name in ("data/music/shards/0000.arrow", "data/music/shards/0001.arrow", availability):
        assert (fresh_copy.results / name).read_bytes() == (finished.results / name).read_bytes(), name


def test_the_number_of_cores_changes_no_net_and_no_cell(finished_copy):
    """Where the scale gives a job two threads, one core and two make the same net and the same cell."""
    net, cell = OF_ONE_NET
    finished_copy.edit_yaml("workflow/scales/tiny.yaml", lambda scale: scale["threads"].update(train=2, attack=2))
    made = []
    for cores in ("1", "2"):
        for name in (net, cell):
            (finished_copy.results / name).unlink()
        finished_copy.make_alone("--cores", cores, f"results/tiny/{cell}")
        made.append([(finished_copy.results / name).read_bytes() for name in (net, cell)])
    assert made[0] == made[1]


def test_the_instructions_of_the_environment_change_no_net_and_no_cell(finished, finished_copy, monkeypatch):
    """As if the processor had no AVX: each part of torch is told so, and the programs take what they always take."""
    for variable, value in {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "AVX2",
    }.items():
        monkeypatch.setenv(variable, value)
    made = OF_ONE_NET
    for name in made:
        (finished_copy.results / name).unlink()
    finished_copy.make_alone(f"results/tiny/{made[-1]}")
    for name in made:
        assert (finished_copy.results / name).read_bytes() == (finished.results / name).read_bytes(), name


def test_an_attack_whose_result_depends_on_its_batch_has_one_of_its_own(finished, tmp_path):
    """Official MIM takes as many clips at a time as its spec says, whatever --batch-size says."""
    made = []
    for size in ("8", "3"):
        cell = tmp_path / f"{size}.parquet"
        told = {"surrogate": "concat", "attack": "mim_official", "victims": {"concat": [["both", "small"]]}}
        told |= {"spec": {"update": "mim_official", "batch_size": 8}}
        program = [sys.executable, "scripts/attack.py", "--cells", json.dumps([told])]
        program += ["--nets", "concat=results/tiny/models/music/concat/s1234/model.pt"]
        program += ["--shards", *sorted(map(str, (finished.results / "data/music/shards").glob("*.arrow")))]
        small = {name: {"norm": "linf", "epsilon": 0.006} for name in ("audio", "visual")}
        program += ["--budgets", json.dumps({"small": small})]
        program += ["--view", json.dumps(SCALE["view"])]
        program += ["--key", json.dumps({"dataset": "music", "seed": "1234"})]
        program += ["--rows", str(cell), "--provenance", str(tmp_path / "attack.json")]
        program += ["--batch-size", size, "--split", "train"]
        subprocess.run(program, cwd=finished.root, check=True)
        made.append(cell.read_bytes())
    assert pq.read_metadata(cell).num_rows // 2 > 8
    assert made[0] == made[1]


def test_a_search_takes_no_attack_that_has_a_batch_of_its_own(untouched):
    given = dict.fromkeys(("model-spec", "recipe", "objective", "view", "budget"), "{}") | {"candidates": "[]"}
    given |= {"variant": "concat", "seed": "1"}
    given |= dict.fromkeys(("shards", "class-list", "provenance", "start", "chosen", "candidates-csv"), "nothing")
    given["attack-spec"] = '{"update": "mim_official"}'
    program = [sys.executable, "scripts/search.py", *(part for name in given for part in (f"--{name}", given[name]))]
    done = subprocess.run(program, cwd=untouched.root, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: --attack-spec: mim_official mixes the clips of its batch")


def test_a_failing_job_leaves_the_published_tables(finished, finished_copy):
    """A table that cannot be computed any more fails loudly; what was published stays as it was."""
    finished_copy.edit_code("report/table.py", "measure", "raise RuntimeError('broken on purpose')")
    assert "RuntimeError: broken on purpose" in finished_copy.fail("--keep-going", "all")
    assert finished_copy.published_bytes() == finished.published_bytes()
    said = {row["artefact"]: (row["status"], row["why"]) for row in rows_of(finished_copy, "index.csv")}
    failed = ("failed", "table: RuntimeError: broken on purpose")
    of_tables = {f"{paper}{name}" for name in TABLES for paper in ("", "tian2021/")}
    assert said == {name: failed if name in of_tables else ("done", "") for name in said}
    # What a run is not asked for keeps its line.
    finished_copy.make("paper_tables/claims.csv", "--forcerun", "publish_csv")
    assert said == {row["artefact"]: (row["status"], row["why"]) for row in rows_of(finished_copy, "index.csv")}


def test_a_copy_that_fails_leaves_the_published_files(finished, finished_copy):
    """Of two files one cannot be read: neither is replaced, and none is removed."""
    made = finished_copy.results / "tables/tian2021/table2.md"
    whole = made.read_bytes()
    made.unlink()
    made.mkdir()
    assert "cp" in finished_copy.fail("paper_tables/tian2021/table2.csv", "--forcerun", "publish_csv_md")
    assert finished_copy.published_bytes() == finished.published_bytes()
    made.rmdir()
    made.write_bytes(whole)
