"""What tests of archives share: a server of parts and a folder for what is kept."""

from collections.abc import Iterator
from pathlib import Path

import gdown
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


@pytest.fixture
def drive(site, monkeypatch):
    """The real gdown, with the loopback in place of Google Drive."""
    download, there = gdown.download, "https://drive.google.com"

    def from_here(address, path, **options):
        site.told = options
        return download(address.replace(there, site.url), path, **options)

    monkeypatch.setattr(gdown, "download", from_here)
    return site
