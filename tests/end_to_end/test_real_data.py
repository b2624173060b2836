"""The four datasets from their lists to packed clips, with servers on the loopback in place of archives and YouTube.

A folder, tar parts, a zip and a web site each have some of the clips; others are missing, unfit or refused.
"""

import csv
import io
import subprocess
import zipfile
from collections import Counter

import archive_site
import pytest
from archive_site import regular, tar
from imageio_ffmpeg import get_ffmpeg_exe
from project import Project, kill_tree, wait_for
from web_site import WebSite, refusal

from avrobust.data.store import Store

CLASS_INDEX = 'index,mid,display_name\n0,/m/a,"Speech"\n1,/m/b,"Male speech, man speaking"\n2,/m/c,"Dog"\n'
HEADER = "# one\n# two\n# three\n"
# Beside the one of the paper.
OTHERS = ("kinetics_sounds", "ave", "audioset_balanced")


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> dict[str, bytes]:
    """A video of twelve seconds, the same without sound, and half of its bytes."""
    folder = tmp_path_factory.mktemp("videos")
    picture = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=12")
    sound = ("-f", "lavfi", "-i", "sine=frequency=440:duration=12")
    for name, inputs in (("good", (*picture, *sound)), ("silent", picture)):
        command = [get_ffmpeg_exe(), "-nostdin", "-v", "error", *inputs, "-pix_fmt", "yuv420p"]
        subprocess.run([*command, "-movflags", "+faststart", str(folder / f"{name}.mp4")], check=True)
    made = {name: (folder / f"{name}.mp4").read_bytes() for name in ("good", "silent")}
    return made | {"broken": made["good"][:200]}


@pytest.fixture
def project(fresh_copy: Project) -> Project:
    """A copy whose datasets come from lists, with few classes."""
    fresh_copy.edit_yaml("config.yaml", lambda config: config.update(datasets={name: {} for name in OTHERS}))
    fresh_copy.edit_yaml(
        "workflow/scales/tiny.yaml", lambda scale: scale.update(source="lists", shard_size=5, minimum_frames=40)
    )
    return fresh_copy


def write(project: Project, name: str, text: str) -> None:
    """Write a file of the project."""
    path = project.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def released(project: Project, dataset: str, rows: dict[str, list[tuple[str, str]]], **facts: object) -> None:
    """Give a dataset other lists in the form of Tian & Xu's: split -> (class, video id)."""
    lists = {split: f"lists/{dataset}_{split}.csv" for split in rows}
    for split, path in lists.items():
        text = "".join(f"/{label}/{video}.wav,/{label}/{video}.mp4,82\n" for label, video in rows[split])
        write(project, path, text)
    classes = sorted({label for of_split in rows.values() for label, _ in of_split})
    path = f"workflow/datasets/{dataset}.yaml"
    project.edit_yaml(path, lambda yaml: yaml.update(classes=classes, lists=lists, **facts))


def read(project: Project, name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV of the results."""
    with (project.results / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def check(project: Project, dataset: str, expected: dict[str, tuple[str, str]]) -> None:
    """The availability is the manifest row by row, with these (status, reason) and `ok` else; the store has the ok."""
    wanted, came = (read(project, f"data/{dataset}/{name}.csv") for name in ("manifest", "availability"))
    names = ("clip_id", "split", "labels")
    assert [[row[name] for name in names] for row in came] == [[row[name] for name in names] for row in wanted]
    found = {row["clip_id"]: (row["status"], row["reason"]) for row in came if row["status"] != "ok"}
    assert found == expected
    shards = sorted((project.results / f"data/{dataset}/shards").glob("*.arrow"))
    assert Store(shards).clip_ids == [row["clip_id"] for row in came if row["status"] == "ok"]


def use(project: Project, site: WebSite) -> None:
    """Let the project ask this site as fast as it likes."""
    web = {"url_template": site.template, "request_pause": 0}
    download = {"videos_per_hour": 360_000, "keep_free_gb": 0.01, "connections": 2, "retry": "transient", "web": web}
    project.edit_yaml("config.yaml", lambda config: config.update(minimum_share=0.3, download=download))


def test_all_sources_and_failures_add_up(project: Project, videos: dict[str, bytes]) -> None:
    good = videos["good"]
    released(
        project, "music",
        {
            "train": [("flute", "-a"), ("tuba", "b"), ("flute", "silent"), ("tuba", "gone")],
            "val": [("flute", "c")],
            "test": [("tuba", "d"), ("flute", "refused")],
        },
    )  # fmt: skip
    project.edit_paper(_any_class)
    released(
        project, "kinetics_sounds",
        {"train": [("singing", "k1"), ("bowling", "-k2"), ("bowling", "k3")], "val": [("singing", "k4")],
         "test": [("singing", "k5"), ("bowling", "k6")]},
    )  # fmt: skip
    released(
        project, "ave",
        {"train": [("Bus", "v1"), ("Cat", "v2"), ("Cat", "v3")], "val": [("Bus", "v4")], "test": [("Cat", "v1")]},
        options={},
    )  # fmt: skip
    write(project, "lists/index.csv", CLASS_INDEX)
    train = "".join(f'd{n:02d}, {n}.000, {n + 10}.000, "{"/m/a,/m/b" if n % 2 else "/m/c"}"\n' for n in range(12))
    # By its hash d04 is the one held out for validation.
    write(project, "lists/balanced.csv", HEADER + train + '-w, 1.000, 9.000, "/m/a"\n')
    write(project, "lists/eval.csv", HEADER + 'e1, 0.000, 10.000, "/m/c"\nzz, 0.000, 10.000, "/m/a"\n')
    (project.root / "data/audioset_balanced").mkdir(parents=True)
    for name in (*(f"d{n:02d}_{n}_{n + 10}" for n in range(12)), "e1"):
        (project.root / f"data/audioset_balanced/{name}.mp4").write_bytes(good)
    members = {"k1": good, "-k2": good, "k3": videos["broken"], "k4": good, "k5": good}
    with archive_site.serving() as archives, WebSite() as site:
        # Half of the parts' clips in each, under the paths that the official ones have; one part breaks off once.
        for number, names in enumerate((("k1", "-k2"), ("k3", "k4", "k5"))):
            archives.files[f"/part_{number}.tar.gz"] = tar(
                [regular(f"./train/{name}_000010_000020.mp4", members[name]) for name in names]
            )
        archives.cut["/part_1.tar.gz"] = 1
        archives.files["/parts.txt"] = f"{archives.url}/part_0.tar.gz\n{archives.url}/part_1.tar.gz\n".encode()
        archives.files["/AVE.zip"] = _zip({f"AVE_Dataset/AVE/{name}.mp4": good for name in ("v1", "v2", "v4")})
        project.edit_yaml(
            "workflow/datasets/kinetics_sounds.yaml",
            lambda yaml: yaml.update(archive={"part_lists": [f"{archives.url}/parts.txt"]}),
        )
        project.edit_yaml(
            "workflow/datasets/ave.yaml", lambda yaml: yaml.update(archive={"zip": f"{archives.url}/AVE.zip"})
        )
        project.edit_yaml(
            "workflow/datasets/audioset_balanced.yaml",
            lambda yaml: yaml.update(
                lists={"balanced": "lists/balanced.csv", "eval": "lists/eval.csv"},
                class_index="lists/index.csv",
                clips=15,
            ),
        )
        for name in ("-a", "b", "c", "d", "-w"):
            site.offer(name, good)
        site.offer("silent", videos["silent"])
        site.offer("refused", good, of_page=[refusal(403)])
        use(project, site)
        project.make("data")
        check(
            project, "music",
            {"silent": ("media", "no_audio_stream"), "gone": ("pending", _reason(project, "music", "gone")),
             "refused": ("pending", _reason(project, "music", "refused"))},
        )  # fmt: skip
        check(
            project,
            "kinetics_sounds",
            {"k3": ("media", "no_video_stream+no_audio_stream"), "k6": ("pending", "no_file")},
        )
        check(project, "ave", {"v3": ("pending", "no_file")})
        zz = "zz_0_10000"
        check(project, "audioset_balanced", {zz: ("pending", _reason(project, "audioset_balanced", zz))})
        labels = {row["clip_id"]: row["labels"] for row in read(project, "data/audioset_balanced/availability.csv")}
        assert labels["d01_1000_11000"] == "Speech|Male_speech,_man_speaking"
        shard = Store(sorted((project.results / "data/audioset_balanced/shards").glob("*.arrow")))
        # Eight seconds of the web's video, cut exactly; the folder's file as a whole.
        lengths = {name: len(shard.audio(index)) for index, name in enumerate(shard.clip_ids)}
        assert lengths["-w_1000_9000"] == 8 * 16_000
        assert abs(lengths["e1_0_10000"] - 12 * 16_000) < 1000

        asked = Counter(path for path, _ in site.asked if path.startswith("/watch/"))
        assert "Nothing to be done" in project.make("data")
        # Again, and only what may be another time is asked for: not what was unfit, nor what came.
        site.asked.clear()
        site.offer("refused", good)
        project.make("--forcerun", "fetch", "--", "data")
        again = {path for path, _ in site.asked if path.startswith("/watch/")}
        assert again == {"/watch/refused"} and again < set(asked)
        statuses = {row["clip_id"]: row["status"] for row in read(project, "data/music/availability.csv")}
        assert statuses["refused"] == "ok" and statuses["silent"] == "media" and statuses["gone"] == "pending"


def test_killed_in_the_middle_it_asks_for_nothing_twice(project: Project, videos: dict[str, bytes]) -> None:
    names = [f"m{number}" for number in range(5)]
    project.edit_yaml("config.yaml", lambda config: config.update(datasets={}))
    rows = [("flute", name) for name in names]
    released(project, "music", {"train": [*rows[:3], ("tuba", "t")], "val": rows[3:4], "test": rows[4:]})
    project.edit_paper(_any_class)
    project.edit_yaml("workflow/scales/tiny.yaml", lambda scale: scale.update(shard_size=50))
    with WebSite() as site:
        for name in (*names, "t"):
            site.offer(name, videos["good"])
        use(project, site)
        state = project.results / "data/music/locations/0000.jsonl"
        running = project.start("data")
        try:
            wait_for(lambda: state.exists() and state.read_bytes().count(b"\n") >= 2, running)
        finally:
            kill_tree(running)
        done = state.read_bytes().count(b"\n")
        site.asked.clear()
        project.make("--unlock")
        project.make("--rerun-incomplete", "data")
        pages = [path for path, _ in site.asked if path.startswith("/watch/")]
        assert len(pages) == len(set(pages)) == 6 - done
        check(project, "music", {})
        left = {path.name for path in (project.root / "results/media/music").iterdir()}
        assert left == {f"{name}.mp4" for name in (*names, "t")}


def _reason(project: Project, dataset: str, clip_id: str) -> str:
    (row,) = [row for row in read(project, f"data/{dataset}/availability.csv") if row["clip_id"] == clip_id]
    assert "40" in row["reason"]  # 403 or 404: what the site said is told
    return row["reason"]


def _zip(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def _any_class(paper: dict) -> None:
    """Take the artefacts out that name a class."""
    paper["artefacts"].pop("figure1", None)
