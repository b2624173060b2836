"""Checked downloads over HTTP."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from avrobust.files import replacing
from avrobust.program import UserError, progress

CHUNK = 2**20
TIMEOUT_SECONDS = 60
RETRIES = Retry(total=4, backoff_factor=1, status_forcelist=(429, 500, 502, 503, 504))


def download(url: str, output: Path, sha256: str = "", git_blob: str = "") -> dict[str, object]:
    """Download `url` to `output`, which appears only when the whole file is the expected one; return what it is.

    `sha256`: the checksum in hexadecimal, or its first digits where no more is published; `git_blob`: the name that git
    has for the content, where only that is known. Empty: any content is taken, and what came is in the result: `url`,
    `bytes`, `sha256`.

    Raises:
        UserError: the server refuses, breaks off, or sends something else.
    """
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=RETRIES))
    seen = hashlib.sha256()
    try:
        with replacing(output) as temporary:
            with session.get(url, stream=True, timeout=TIMEOUT_SECONDS) as answer, temporary.open("wb") as file:
                answer.raise_for_status()
                for chunk in _chunks(answer):
                    file.write(chunk)
                    seen.update(chunk)
            _check(url, "sha256", seen.hexdigest(), sha256)
            _check(url, "git blob", _git_blob(temporary) if git_blob else "", git_blob)
            return {"url": url, "bytes": temporary.stat().st_size, "sha256": seen.hexdigest()}
    except requests.RequestException as error:
        raise UserError(
            f"{url} could not be downloaded ({error}); on a machine without a network, download it elsewhere and "
            "name the file in config.yaml"
        ) from error


def _check(url: str, kind: str, found: str, expected: str) -> None:
    if not found.startswith(expected.lower()):
        raise UserError(
            f"{url} has the {kind} {found}, expected {expected}; it is not the file that was meant, or it was damaged "
            "on the way"
        )


def _git_blob(path: Path) -> str:
    seen = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            seen.update(chunk)
    return seen.hexdigest()


def _chunks(answer: requests.Response) -> Iterator[bytes]:
    length = answer.headers.get("Content-Length")
    chunks = answer.iter_content(CHUNK)
    yield from progress(chunks, label="downloading", unit="MiB", total=int(length) // CHUNK + 1 if length else None)
