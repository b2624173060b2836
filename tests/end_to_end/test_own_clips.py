"""A user's own clips: the same tables, unfit files counted and named, mistakes told in one line."""

import csv
import shutil
import subprocess

import imageio_ffmpeg
import pytest
from project import CLASSES, CLIPS, Project, keep_rows

TABLE2, AVAILABILITY = "paper_tables/table2.csv", "paper_tables/availability.csv"
OWN = {"source": "local", "table": "T.csv", "name": "my takes", "folder": "F", "classes": "table"}


@pytest.fixture
def own_clips(finished, fresh_copy) -> Project:
    """The finished run's clips under other names and labels, three of them unfit; Table 2 with one net.

    The first clip of the training split is empty, the second has no sound, the third is missing.
    """
    project = fresh_copy
    project.edit_yaml("config.yaml", lambda config: config.update(datasets={"music": OWN}))
    project.edit_paper(_one_net)
    rendered = finished.results / "data/music"
    (project.root / "F").mkdir()
    with (rendered / "manifest.csv").open(encoding="utf-8", newline="") as file:
        clips = sorted(csv.DictReader(file), key=lambda clip: clip["split"] != "train")
    rows = []
    for number, clip in enumerate(clips):
        shutil.copy2(rendered / "media" / clip["path"], project.root / f"F/take {number}.mp4")
        rows.append((f"own{number}", f"take {number}.mp4", f"my {clip['labels']}", clip["split"]))
    empty, silent, missing = (project.root / row[1].replace("take", "F/take") for row in rows[:3])
    empty.write_bytes(b"")
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y"]
    subprocess.run([*ffmpeg, "-i", missing, "-an", "-c:v", "copy", silent], check=True)
    missing.unlink()
    write_table(project, rows)
    return project


def write_table(project: Project, rows: list[tuple[str, ...]]) -> None:
    """Write the user's table of clips."""
    with (project.root / OWN["table"]).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("clip_id", "path", "label", "split"), *rows])


def read_table(project: Project, name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV of the project."""
    with (project.root / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def error_lines(output: str) -> list[str]:
    """Return the lines in which a program of ours says what is wrong."""
    return [line.strip() for line in output.splitlines() if line.strip().startswith("error:")]


def test_own_clips_make_the_same_table(finished, own_clips):
    """Too few usable clips stop the run before any table; with that allowed, the others make the whole table."""
    output = own_clips.fail("--config", "minimum_share=0.9", "--", TABLE2)
    (line,) = error_lines(output)
    wanted = CLASSES * CLIPS["train"]
    assert f"{wanted - 3} of {wanted}" in line
    assert "train" in line
    for count in ("1 media empty_file", "1 media no_audio_stream", "1 pending no_file"):
        assert count in line
    assert "Traceback" not in output
    assert own_clips.published_bytes() == {}

    own_clips.make(TABLE2, AVAILABILITY)
    came = read_table(own_clips, "results/tiny/local/data/music/availability.csv")
    given = read_table(own_clips, OWN["table"])
    assert [(clip["clip_id"], clip["labels"], clip["split"]) for clip in came] == [
        (clip["clip_id"], clip["label"], clip["split"]) for clip in given
    ]
    reasons = [("media", "empty_file"), ("media", "no_audio_stream"), ("pending", "no_file")]
    assert [(clip["status"], clip["reason"]) for clip in came[:3]] == reasons
    assert {(clip["status"], clip["reason"]) for clip in came[3:]} == {("ok", "")}
    labels = sorted({clip["label"] for clip in given})
    assert (own_clips.results / "local/data/music/classes.txt").read_text(encoding="utf-8").splitlines() == labels

    counted = read_table(own_clips, AVAILABILITY)
    assert {row["dataset"] for row in counted} == {OWN["name"]}
    assert {row["class"] for row in counted} == {*labels, "all"}

    places = ("paper", "fusion", "column", "n", "seeds", "scale")
    made = read_table(own_clips, TABLE2)
    # What the paper prints is not of these clips, and the page says whose they are.
    assert {(row["published"], row["difference"], row["inside"], row["source"]) for row in made} == {
        ("", "", "", "local")
    }
    page = (own_clips.results / "tables/tian2021/table2.md").read_text(encoding="utf-8")
    assert "(my takes in the place of MUSIC)\n" in page.partition("\n")[0] + "\n" and "my takes: n = " in page
    rows = {tuple(row[name] for name in places) for row in made}
    of_rendered_clips = {tuple(row[name] for name in places) for row in read_table(finished, TABLE2)}
    assert rows == {row for row in of_rendered_clips if row[1] == "Sum" and not row[2].startswith("Unimodal")}


def test_an_unknown_label_is_named(own_clips):
    """With the dataset's own classes, a label that is none of them is told with its row, in one line."""
    classes_of_dataset = {**OWN, "classes": "dataset"}
    own_clips.edit_yaml("config.yaml", lambda config: config.update(datasets={"music": classes_of_dataset}))
    rows = [
        (row["clip_id"], row["path"], row["label"].removeprefix("my "), row["split"])
        for row in read_table(own_clips, OWN["table"])
    ]
    rows[4] = (*rows[4][:2], "theremin", rows[4][3])
    write_table(own_clips, rows)
    output = own_clips.fail(TABLE2)
    (line,) = error_lines(output)
    assert "T.csv, row 6: label 'theremin' is none of the classes" in line
    assert "Traceback" not in output
    assert own_clips.published_bytes() == {}


def test_own_clips_leave_the_others_alone(finished_copy):
    """What was made of rendered clips stays when a dataset is taken from a folder, and is there when it is not."""
    project = finished_copy
    clips = read_table(project, "results/tiny/data/music/manifest.csv")
    write_table(project, [(clip["clip_id"], clip["path"], clip["labels"], clip["split"]) for clip in clips])
    media = {**OWN, "folder": "results/tiny/data/music/media"}
    project.edit_yaml("config.yaml", lambda config: config.update(datasets={"music": media}))
    planned = project.plan()
    assert {made for made in planned if "/music/" in made} == {made for made in planned if made.startswith("local/")}
    project.make("data")
    assert len(read_table(project, "results/tiny/local/data/music/availability.csv")) == len(clips)
    project.edit_yaml("config.yaml", lambda config: config.update(datasets={}))
    assert project.plan() == {}


def _one_net(paper: dict) -> None:
    keep_rows(paper, "table2", lambda row: row["variant"] == "sum")
    for columns in paper["artefacts"]["table2"]["columns"]:
        for name in [name for name in columns if name.startswith("Unimodal")]:
            del columns[name]
