"""Manifests cut into shards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avrobust.data import manifest
from avrobust.data.manifest import Clip
from avrobust.program import UserError


def clips(count: int) -> list[Clip]:
    """Clips with names that CSV has to quote."""
    return [
        Clip(f'-{n},"é"', f"v{n}", float(n), n + 10.0, ("a", "b")[: 1 + n % 2], "train", "youtube", "l", "")
        for n in range(count)
    ]


@given(count=st.integers(1, 30), shards=st.integers(1, 30))
def test_shards_are_the_manifest_in_pieces_of_nearly_one_size(tmp_path_factory, count, shards):
    path = tmp_path_factory.mktemp("m") / "m.csv"
    manifest.write(path, clips(count))
    pieces = [manifest.shard(path, ("a", "b"), index, shards) for index in range(shards)]
    assert [clip for piece in pieces for clip in piece] == clips(count)
    assert {len(piece) for piece in pieces} <= {count // shards, -(-count // shards)}


def test_a_bad_row_of_a_shard_is_named_by_its_place_in_the_file(tmp_path):
    manifest.write(tmp_path / "m.csv", clips(6))
    with pytest.raises(UserError, match=r"m\.csv, row 5: label 'b'"):
        manifest.shard(tmp_path / "m.csv", ("a",), 1, 2)


def test_a_name_with_a_line_break_is_refused(tmp_path):
    (one,) = clips(1)
    odd = Clip("two\nlines", *[getattr(one, name) for name in list(one.__slots__)[1:]])
    with pytest.raises(UserError, match="line break"):
        manifest.write(tmp_path / "m.csv", [one, odd])
    assert not (tmp_path / "m.csv").exists()
