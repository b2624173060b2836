"""What a journal says is found, and which parts are read again."""

from pathlib import Path

import pytest
from archive_site import clips_tar, content, regular, tar, tree, write_manifest

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
        return [Path(place).name for place in Search(wanted, folder, state).unread(places.values())]

    assert unread("x1", "x2") == ["1", "2", "3"]
    read(Search(["x1", "x2"], folder, state), *places.values())
    assert unread("x1", "x2") == []
    assert unread("x1", "nowhere") == ["3"]  # it was unneeded, and so not read
    read(Search(["x1", "nowhere"], folder, state), places["3"])
    assert unread("x1", "nowhere") == [] and unread("x2", "y1") == ["1"]
    (folder / "x2.mp4").write_bytes(b"cut")
    assert unread("x1", "x2") == ["2"]
    read(Search(["x1", "x2"], folder, state), places["2"])
    assert unread("x1", "x2") == [] and tree(folder)["x2.mp4"] == content("x2.mp4")


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_torn_line_of_the_journal_is_a_part_not_read(tmp_path, folder, cut):
    for name in ("1", "2"):
        (tmp_path / name).write_bytes(clips_tar(f"x{name}.mp4"))
    state, places = tmp_path / "s", [str(tmp_path / "1"), str(tmp_path / "2")]
    read(Search(["x1", "x2"], folder, state), *places)
    state.write_bytes(state.read_bytes()[:-cut])
    search = Search(["x1", "x2"], folder, state)
    assert search.unread(places) == places[1:] and list(search.found) == ["x1"]
    read(search, *search.unread(places))
    assert [record["part"] for record in records(state)] == places


@pytest.mark.parametrize("line", ['{"video_id": "a"}', "[]", "3"])
def test_another_journal_is_refused(tmp_path, folder, line):
    (tmp_path / "s").write_text(line + "\n")
    with pytest.raises(UserError, match="not the journal of an archive"):
        Search(["a"], folder, tmp_path / "s")


def test_only_the_first_part_gives_a_video(tmp_path, folder):
    for name, data in (("1", "first"), ("2", "second")):
        (tmp_path / name).write_bytes(tar([regular("a.mp4", content(data)), regular(f"{name}.mp4", content(name))]))
    search = Search(["a", "1", "2"], folder, tmp_path / "s")
    read(search, str(tmp_path / "1"), str(tmp_path / "2"))
    assert search.found["a"]["part"] == str(tmp_path / "1") and tree(folder)["a.mp4"] == content("first")
    # Its file lost, both parts could give it again.
    (folder / "a.mp4").unlink()
    again = Search(["a", "1", "2"], folder, tmp_path / "s")
    assert again.unread([str(tmp_path / "1"), str(tmp_path / "2")]) == [str(tmp_path / "1"), str(tmp_path / "2")]


def test_what_a_failed_part_took_another_may_give(site, tmp_path, folder):
    site.files, site.cut["/1"] = {"/1": clips_tar("a.mp4", "b.mp4", "c.mp4"), "/2": clips_tar("a.mp4")}, 99
    search = Search(["a", "b"], folder, tmp_path / "s")
    read(search, f"{site.url}/1", f"{site.url}/2")
    assert {video: row["part"][-1] for video, row in search.found.items()} == {"a": "2"}


def test_a_failed_part_keeps_what_an_earlier_run_had_of_it(site, tmp_path, folder):
    site.files = {"/1": clips_tar("a.mp4", "b.mp4", "c.mp4")}
    read(Search(["a"], folder, tmp_path / "s"), f"{site.url}/1")
    site.cut["/1"] = 99
    search = Search(["a", "b", "c"], folder, tmp_path / "s")
    (outcome,) = read(search, f"{site.url}/1")
    assert outcome.status == "failed" and list(search.found) == ["a"]


def test_wanted_are_the_videos_without_a_file(tmp_path):
    path = write_manifest(tmp_path / "m.csv", ["b", "-a", "b", "here"], {"here": "here.mp4"})
    assert wanted_videos(path) == {"b", "-a"}
