"""Journals that were cut off in the middle of a line."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from avrobust.data import journal
from avrobust.program import UserError

SCRIPTS = Path(__file__).parents[2] / "scripts"
RECORDS = [{"id": "-a"}, {"id": "ü", "number": 2}, {"id": "x" * 100_000}]


@pytest.fixture
def path(tmp_path):
    """A journal of RECORDS in a folder that did not exist."""
    with journal.writing(tmp_path / "folder/journal.jsonl") as write:
        for record in RECORDS:
            write(record)
    return tmp_path / "folder/journal.jsonl"


def test_what_is_written_is_read_and_goes_on(path):
    assert list(journal.read(path)) == RECORDS
    with journal.writing(path) as write:
        write({"id": "later"})
    assert list(journal.read(path)) == [*RECORDS, {"id": "later"}]


def test_no_file_is_an_empty_journal(tmp_path):
    assert list(journal.read(tmp_path / "none.jsonl")) == []


@pytest.mark.parametrize("cut", [1, 2, 70_000, 100_010])
def test_a_torn_line_is_left_out_and_cut_off(path, cut):
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert list(journal.read(path)) == RECORDS[:2]
    with journal.writing(path) as write:
        write({"id": "later"})
    assert list(journal.read(path)) == [*RECORDS[:2], {"id": "later"}]


def test_a_single_torn_line_leaves_nothing(tmp_path):
    (tmp_path / "j").write_bytes(b'{"id": 1')
    with journal.writing(tmp_path / "j") as write:
        write({"id": 2})
    assert list(journal.read(tmp_path / "j")) == [{"id": 2}]


def test_a_damaged_line_in_the_middle_is_named(path):
    path.write_bytes(path.read_bytes().replace(b'{"id": "-a"}', b"{oh}"))
    with pytest.raises(UserError, match="line 1: not a record"):
        list(journal.read(path))


def test_two_processes_are_not_inside_at_a_time(tmp_path):
    """The second one begins when the first has ended, by their own clocks."""
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from avrobust.data import journal\n"
        "with journal.alone(sys.argv[2]):\n"
        "    begin = time.monotonic(); time.sleep(0.3); print(begin, time.monotonic())\n"
    )
    scripts = Path(__file__).parents[2] / "scripts"
    command = [sys.executable, "-c", program, str(scripts), str(tmp_path / "j")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    spans = sorted(tuple(map(float, one.communicate()[0].split())) for one in running)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))


def test_a_second_program_waits_until_the_first_has_brought_its_videos(tmp_path):
    """As beside one that outlived its killed Snakemake."""
    state = tmp_path / "0000.jsonl"
    code = (
        "import logging; from pathlib import Path; from avrobust.data.fetching import fetched; "
        f"logging.basicConfig(level='INFO'); list(fetched([], Path(), Path({str(state)!r}), None))"
    )
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    with journal.alone(state):
        second = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)
        assert f"waiting for another process that works on {state}" in second.stderr.readline()
        assert second.poll() is None
    second.communicate()
    assert second.returncode == 0
