"""What a journal says is found, and which parts are read again."""

from pathlib import Path

import pytest
from archive_site import any_part, clips_tar, content, regular, tar, tree, write_manifest

from avrobust.data import journal
from avrobust.data.archive_parts import Reading, read_parts
from avrobust.data.archive_search import Search, wanted_videos
from avrobust.program import UserError


def read(search, *addresses, tries=1):
    return list(read_parts(addresses, search, Reading(tries=tries, wait=0.0), connections=1))


def records(state):
    return list(journal.read(state))


def test_a_journal_leads_to_the_parts_that_are_needed(tmp_path, folder):
    places = {}
    for name in ("1", "2", "3"):
        places[name] = str(tmp_path / name)
        (tmp_path / name).write_bytes(clips_tar(f"x{name}.mp4", f"y{name}.mp4"))
    state = tmp_path / "s"

    def unread(*wanted):
        return [Path(place).name for place in Search(any_part(*wanted), folder, state).unread(places.values())]

    assert unread("x1", "x2") == ["1", "2", "3"]
    read(Search(any_part("x1", "x2"), folder, state), *places.values())
    assert unread("x1", "x2") == []
    assert unread("x1", "nowhere") == ["3"]  # it was unneeded, and so not read
    read(Search(any_part("x1", "nowhere"), folder, state), places["3"])
    assert unread("x1", "nowhere") == [] and unread("x2", "y1") == ["1"]
    (folder / "x2.mp4").write_bytes(b"cut")
    assert unread("x1", "x2") == ["2"]
    read(Search(any_part("x1", "x2"), folder, state), places["2"])
    assert unread("x1", "x2") == [] and tree(folder)["x2.mp4"] == content("x2.mp4")


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_torn_line_of_the_journal_is_a_part_not_read(tmp_path, folder, cut):
    for name in ("1", "2"):
        (tmp_path / name).write_bytes(clips_tar(f"x{name}.mp4"))
    state, places = tmp_path / "s", [str(tmp_path / "1"), str(tmp_path / "2")]
    read(Search(any_part("x1", "x2"), folder, state), *places)
    state.write_bytes(state.read_bytes()[:-cut])
    search = Search(any_part("x1", "x2"), folder, state)
    assert search.unread(places) == places[1:] and list(search.found) == ["x1"]
    read(search, *search.unread(places))
    assert [record["part"] for record in records(state)] == places


@pytest.mark.parametrize("line", ['{"video_id": "a"}', "[]", "3"])
def test_another_journal_is_refused(tmp_path, folder, line):
    (tmp_path / "s").write_text(line + "\n")
    with pytest.raises(UserError, match="not the journal of an archive"):
        Search(any_part("a"), folder, tmp_path / "s")


def test_only_the_first_part_gives_a_video(tmp_path, folder):
    for name, data in (("1", "first"), ("2", "second")):
        (tmp_path / name).write_bytes(tar([regular("a.mp4", content(data)), regular(f"{name}.mp4", content(name))]))
    search = Search(any_part("a", "1", "2"), folder, tmp_path / "s")
    read(search, str(tmp_path / "1"), str(tmp_path / "2"))
    assert search.found["a"]["part"] == str(tmp_path / "1") and tree(folder)["a.mp4"] == content("first")
    # Its file lost, both parts could give it again.
    (folder / "a.mp4").unlink()
    again = Search(any_part("a", "1", "2"), folder, tmp_path / "s")
    assert again.unread([str(tmp_path / "1"), str(tmp_path / "2")]) == [str(tmp_path / "1"), str(tmp_path / "2")]


def test_what_a_failed_part_took_another_may_give(site, tmp_path, folder):
    site.files, site.cut["/1"] = {"/1": clips_tar("a.mp4", "b.mp4", "c.mp4"), "/2": clips_tar("a.mp4")}, 99
    search = Search(any_part("a", "b"), folder, tmp_path / "s")
    read(search, f"{site.url}/1", f"{site.url}/2")
    assert {video: row["part"][-1] for video, row in search.found.items()} == {"a": "2"}


def test_a_failed_part_keeps_what_an_earlier_run_had_of_it(site, tmp_path, folder):
    site.files = {"/1": clips_tar("a.mp4", "b.mp4", "c.mp4")}
    read(Search(any_part("a"), folder, tmp_path / "s"), f"{site.url}/1")
    site.cut["/1"] = 99
    search = Search(any_part("a", "b", "c"), folder, tmp_path / "s")
    (outcome,) = read(search, f"{site.url}/1")
    assert outcome.status == "failed" and list(search.found) == ["a"]


def test_wanted_are_the_videos_without_a_file(tmp_path):
    path = write_manifest(tmp_path / "m.csv", ["b", "-a", "b", "here"], {"here": "here.mp4"})
    assert wanted_videos(path) == {"b": {(1.0, 11.0)}, "-a": {(1.0, 11.0)}}


def test_a_part_gives_a_video_only_the_seconds_that_a_clip_needs(tmp_path, folder):
    names = ("a_000001_000011.mp4", "a_000050_000060.mp4", "b_000000_000030.mp4", "c_000001_000011.mp4", "d.mp4")
    (tmp_path / "1").write_bytes(clips_tar(*names))
    wanted = {"a": {(50.0, 60.0)}, "b": {(5.0, 15.0)}, "c": {(20.0, 30.0)}, "d": {(1.0, 11.0)}}
    place, state = str(tmp_path / "1"), tmp_path / "s"
    search = Search(wanted, folder, state)
    read(search, place)
    assert {video: (row.get("start"), row.get("end")) for video, row in search.found.items()} == {
        "a": (50.0, 60.0), "b": (0.0, 30.0), "d": (None, None)
    }  # fmt: skip
    assert tree(folder)["a.mp4"] == content(names[1])
    # The part has no other clip of these, and is not read once more for them.
    assert Search(wanted, folder, state).unread([place]) == []
    assert list(Search(wanted, folder, state).found) == ["a", "b", "d"]
    # Whoever wants other seconds of a video gets them by reading it again.
    assert Search({"a": {(1.0, 11.0)}}, folder, state).unread([place]) == [place]
    assert Search({"c": {None}}, folder, state).unread([place]) == [place]
