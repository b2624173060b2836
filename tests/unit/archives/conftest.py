"""What tests of archives share: a server of parts and a folder for what is kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_site import Site, serving


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "kept"
    made.mkdir()
    return made
