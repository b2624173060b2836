"""Checked downloads over HTTP."""

import hashlib
from collections.abc import Callable
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

    Raises UserError: the server refuses, breaks off, or sends something else.
    """
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=RETRIES))
    try:
        with replacing(output) as temporary:
            with session.get(url, stream=True, timeout=TIMEOUT_SECONDS) as answer, temporary.open("wb") as file:
                answer.raise_for_status()
                length = answer.headers.get("Content-Length")
                total = int(length) // CHUNK + 1 if length else None
                for chunk in progress(answer.iter_content(CHUNK), label="downloading", unit="MiB", total=total):
                    file.write(chunk)
            found = _digest(temporary, hashlib.sha256)
            _check(url, "sha256", found, sha256)
            if git_blob:
                header = b"blob %d\0" % temporary.stat().st_size
                made = _digest(temporary, lambda: hashlib.sha1(header, usedforsecurity=False))
                _check(url, "git blob", made, git_blob)
            return {"url": url, "bytes": temporary.stat().st_size, "sha256": found}
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


def _digest(path: Path, start: Callable) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, start).hexdigest()
