"""Files of published lists in a folder: each clip gets its own cut, by every kind of name, and what is odd is said."""

import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from avrobust.data import local_files
from avrobust.data.local_files import part
from avrobust.data.manifest import Clip
from avrobust.program import UserError


def video(video_id: str, *labels: str) -> Clip:
    return Clip(video_id, video_id, 3.0, 13.0, labels, "test", "youtube", "list.csv", "")


def found(folder: Path, *clips: Clip) -> list[str]:
    return [clip.path for clip in local_files.with_local_files(clips, folder)]


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_files_are_found_in_every_layout(tmp_path, caplog):
    caplog.set_level("INFO")
    touch(tmp_path, "a b/x1.mkv", "c/x1.mp4", "other/-x2_000003_000013.mp4", "x_3.webm", "x_3_1_2.mp4", "x_3.txt")
    (tmp_path / "a b" / "circle").symlink_to(tmp_path)
    wanted = [video("x1", "a_b"), video("-x2", "a_b"), video("x_3", "c"), video("x4", "c")]
    assert found(tmp_path, *wanted) == ["a b/x1.mkv", "other/-x2_000003_000013.mp4", "x_3.webm", ""]
    assert caplog.messages == [f"3 clips have a file in {tmp_path}, which has 5 media files"]


def test_the_folder_of_a_clip_s_class_comes_first(tmp_path):
    touch(tmp_path, "a/x.mp4", "m/a/x.mp4", "m/b/x.mp4", "n/b/x.MP4")
    wanted = [video("x", "a"), video("x", "b"), video("x", "c"), video("x", "c", "b"), video("x", "a", "b")]
    assert found(tmp_path, *wanted) == ["a/x.mp4", "m/b/x.mp4", "a/x.mp4", "m/b/x.mp4", "a/x.mp4"]


def test_a_local_file_changes_nothing_but_the_path(tmp_path):
    touch(tmp_path, "x.mp4")
    (clip,) = local_files.with_local_files([video("x", "a")], tmp_path)
    assert clip == replace(video("x", "a"), path="x.mp4")


def test_a_media_folder_may_be_missing_unless_nothing_else_has_the_files(tmp_path):
    assert found(tmp_path / "none", video("x", "a")) == [""]
    with pytest.raises(UserError, match="none: the media folder is missing"):
        list(local_files.with_local_files([video("x", "a")], tmp_path / "none", required=True))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file: the media folder is missing or no folder"):
        found(tmp_path / "file", video("x", "a"))


def test_memory_grows_with_the_files_and_not_with_the_rows(tmp_path):
    touch(tmp_path, *(f"{number % 7}/f{number}.mp4" for number in range(300)))

    def peak(rows: int) -> int:
        tracemalloc.start()
        clips = (video(f"f{number}", "a") for number in range(rows))
        assert sum(bool(clip.path) for clip in local_files.with_local_files(clips, tmp_path)) == min(rows, 300)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(20_000) - peak(400) < 20_000


def cut(video_id: str, start: float | None, end: float | None, clip_id: str = "", label: str = "a") -> Clip:
    return Clip(clip_id or f"{video_id} {start}", video_id, start, end, (label,), "train", "youtube", "list.csv", "")


def test_each_cut_of_a_video_is_its_own(tmp_path, capsys):
    touch(
        tmp_path, "v_000010_000020.mp4", "v_000050_000060.mp4", "w_000010_000020.mp4", "x_5_15.mp4", "x_30.5_40.5.mkv"
    )
    wanted = [
        cut("v", 50, 60),
        cut("v", 10, 20),
        cut("v", 70, 80),
        cut("w", 40, 50),
        cut("x", 30.5, 40.5),
        cut("x", 5, 15),
    ]
    assert found(tmp_path, *wanted) == [
        "v_000050_000060.mp4", "v_000010_000020.mp4", "", "", "x_30.5_40.5.mkv", "x_5_15.mp4"
    ]  # fmt: skip
    assert capsys.readouterr().out == (
        f"warning: {tmp_path} has only other parts of the video for 2 clips: v 70 [70, 80) (v_000010_000020, "
        "v_000050_000060); w 40 [40, 50) (w_000010_000020); these clips get no file, because no span covers their own\n"
    )


def test_names_count_whole_seconds_and_the_nearest_cut_is_taken(tmp_path):
    touch(tmp_path, "v_000010_000020.mp4", "v_000011_000021.mp4")
    assert found(tmp_path, cut("v", 10.4, 20.4), cut("v", 10.6, 20.6), cut("v", 11.9, 21.9), cut("v", 12, 22)) == [
        "v_000010_000020.mp4", "v_000011_000021.mp4", "v_000011_000021.mp4", ""
    ]  # fmt: skip


def test_a_longer_file_holds_the_clip_as_a_part(tmp_path):
    touch(tmp_path, "v_0_100.mp4", "v_30_60.mp4", "w_000010_000020.mp4", "y_40_60.mp4", "z.mp4")
    made = list(
        local_files.with_local_files(
            [cut("v", 40, 50), cut("v", 10, 20), cut("w", 10.5, 20.5), cut("y", 40, 59), cut("z", 5, 9)], tmp_path
        )
    )
    assert [(clip.path, part(clip)) for clip in made] == [
        ("v_30_60.mp4", (10, 20)),
        ("v_0_100.mp4", (10, 20)),
        ("w_000010_000020.mp4", (None, None)),
        ("y_40_60.mp4", (0, 19)),
        ("z.mp4", (None, None)),
    ]
    # One second less at either end is another span.
    assert found(tmp_path, cut("y", 38, 50), cut("y", 50, 62)) == ["", ""]


def test_a_file_called_exactly_as_the_clip_comes_before_all_others(tmp_path):
    touch(tmp_path, "v.mp4", "v_30000_40000.mp4", "v.test7.mp4", "v_30_40.mp4")
    wanted = [cut("v", 30, 40, "v_30000_40000"), cut("v", 30, 40, "v.test7"), cut("v", 30, 40, "v_30")]
    made = list(local_files.with_local_files(wanted, tmp_path))
    assert [clip.path for clip in made] == ["v_30000_40000.mp4", "v.test7.mp4", "v_30_40.mp4"]
    assert [part(clip) for clip in made] == [(None, None)] * 3


def test_a_file_with_the_video_s_name_alone_is_one_clip(tmp_path):
    touch(tmp_path, "v.mp4", "w.mp4", "b/u.mp4", "c/u.mp4", "w_50_60.mp4")
    # A cut of its own comes before it, and rows that repeat a span or have none share it.
    wanted = [cut("w", 50, 60), cut("w", 10, 20), cut("v", 5, 15), cut("v", 5.5, 15.5, "again"), cut("v", None, None)]
    # Two clips in two classes' folders have a file each.
    wanted += [cut("u", 1, 11, label="b"), cut("u", 20, 30, label="c")]
    assert found(tmp_path, *wanted) == ["w_50_60.mp4", "w.mp4", "v.mp4", "v.mp4", "v.mp4", "b/u.mp4", "c/u.mp4"]
    with pytest.raises(
        UserError, match=r"1 file: v\.mp4: v 5 \[5, 15\) and v 50 \[50, 60\) would be two clips at once"
    ):
        found(tmp_path, cut("v", 5, 15), cut("v", 50, 60))


def test_a_clip_without_a_time_gets_a_lone_cut_only_if_it_is_a_part(tmp_path, capsys):
    touch(tmp_path, "v_10_20.mp4", "w_10_20.mp4", "w_30_40.mp4", "x_10_20.mp4", "x.mp4")
    wanted = [cut("v", None, None), cut("w", None, None), cut("x", None, None)]
    made = local_files.with_local_files(wanted, tmp_path, parts=True)
    assert [(clip.path, part(clip)) for clip in made] == [
        ("v_10_20.mp4", (None, None)), ("", (None, None)), ("x.mp4", (None, None))
    ]  # fmt: skip
    assert "for 1 clip: w None (w_10_20, w_30_40)" in capsys.readouterr().out
    assert found(tmp_path, *wanted) == ["", "", "x.mp4"]
    assert "for 2 clips: v None (v_10_20); w None" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["v_10.mp4", "v_10_20_30.mp4", "v_a_20.mp4", "v_10_20x.mp4", "xv_10_20.mp4", "V.mp4"])
def test_other_names_are_no_clip(tmp_path, name):
    touch(tmp_path, name)
    assert found(tmp_path, cut("v", 10, 20)) == [""]


def test_a_folder_in_which_no_name_matches_is_described(tmp_path, capsys):
    touch(tmp_path, *(f"Train/c/YT-v{number}_000010.mp4" for number in range(5)))
    text = (
        f"{tmp_path} has 5 media files, and none is called as a clip of the lists; there: Train/c/YT-v0_000010.mp4, "
        "Train/c/YT-v1_000010.mp4, Train/c/YT-v2_000010.mp4, ...; looked for: a/v0.mp4, a/v1.mp4, a/v2.mp4, ... or "
        "<id>_<start>_<end>.mp4 in any folder; rename them, or write a table of your own (source: local)"
    )
    clips = [cut(f"v{number}", 10, 20) for number in range(5)]
    with pytest.raises(UserError) as error:
        list(local_files.with_local_files(clips, tmp_path, required=True))
    assert str(error.value) == text
    # Where media may come from elsewhere, it is a warning.
    assert found(tmp_path, *clips) == [""] * 5
    assert capsys.readouterr().out == f"warning: {text}\n"
    touch(tmp_path, "v4.mp4")
    assert found(tmp_path, *clips) == ["", "", "", "", "v4.mp4"] and capsys.readouterr().out == ""


def test_frames_in_place_of_videos_are_called_what_they_are(tmp_path, capsys):
    touch(tmp_path, "a/v/0001.jpg", "a/v/0002.jpg", "a/w/0001.PNG", "a/w/v.wav")
    with pytest.raises(UserError) as error:
        list(local_files.with_local_files([cut("v", 1, 11)], tmp_path, required=True))
    assert (
        "has no media file (.mp4, .mkv, .webm), but 2 .jpg, 1 .png, 1 .wav; pictures, for example in a/v, have no"
        in str(error.value)
    )
    capsys.readouterr()
    touch(tmp_path, "u.mp4")
    assert found(tmp_path, cut("u", 1, 11), cut("v", 1, 11), cut("x", 1, 11), cut("y", 1, 11, "w")) == [
        "u.mp4",
        "",
        "",
        "",
    ]
    assert capsys.readouterr().out.startswith(
        f"warning: {tmp_path} has pictures in place of a video for 2 clips: a/v; a/w; frames have no sound"
    )
    # A picture beside a video is a thumbnail, also in a folder with the name of a clip that is not there.
    touch(tmp_path, "a/v/u2.mp4")
    assert found(tmp_path, cut("v", 1, 11), cut("u2", 1, 11)) == ["", "a/v/u2.mp4"] and capsys.readouterr().out == ""


def test_an_empty_folder_and_other_kinds_of_files(tmp_path, capsys):
    with pytest.raises(UserError, match=r"has no media file \(\.mp4, \.mkv, \.webm\); looked for: a/v\.mp4, \.\.\."):
        list(local_files.with_local_files([cut("v", 1, 11)], tmp_path, required=True))
    assert found(tmp_path, cut("v", 1, 11)) == [""] and capsys.readouterr().out == ""
    touch(tmp_path, "v.AVI", "w.avi", "x.mov", "v.txt", "y.mp4")
    assert found(tmp_path, cut("v", 1, 11), cut("y", 1, 11)) == ["", "y.mp4"]
    assert "2 .avi, 1 .mov files are not looked at, only .mp4, .mkv, .webm are" in capsys.readouterr().out


def test_names_that_are_not_utf8_are_left_out_and_named(tmp_path, capsys):
    touch(tmp_path, "dos\udce9/v.mp4", "w\udcff.mp4", "d\xe9j\xe0/v.mp4")
    assert found(tmp_path, cut("v", 1, 11), cut("w", 1, 11)) == ["d\xe9j\xe0/v.mp4", ""]
    assert capsys.readouterr().out == (
        f"warning: left out, because their names are not UTF-8: 2 names: '{tmp_path}/dos\\xe9'; "
        f"'{tmp_path}/w\\xff.mp4'; rename them\n"
    )
    (tmp_path / "d\xe9j\xe0" / "v.mp4").unlink()
    with pytest.raises(UserError, match=r"no media file .* not UTF-8 are left out: 2 names: '.*/dos\\xe9'; "):
        list(local_files.with_local_files([cut("v", 1, 11)], tmp_path, required=True))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any folder")
def test_a_folder_that_cannot_be_read_is_named(tmp_path, capsys):
    touch(tmp_path, "v.mp4", "closed/w.mp4")
    (tmp_path / "closed").chmod(0)
    assert found(tmp_path, cut("v", 1, 11), cut("w", 1, 11)) == ["v.mp4", ""]
    (tmp_path / "closed").chmod(0o755)
    assert f"cannot be read: 1 folder: '{tmp_path}/closed' (Permission denied)" in capsys.readouterr().out
