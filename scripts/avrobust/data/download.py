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


def download(url: str, sha256: str, output: Path) -> None:
    """Download `url` to `output`, which appears only when the whole file has the right checksum.

    `sha256`: the checksum in hexadecimal, or its first digits where no more is published.

    Raises:
        UserError: the server refuses, breaks off, or sends something else than `sha256`.
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
            if not seen.hexdigest().startswith(sha256.lower()):
                raise UserError(
                    f"{url} has the sha256 {seen.hexdigest()}, expected {sha256}; it is not the file that was meant, "
                    "or it was damaged on the way"
                )
    except requests.RequestException as error:
        raise UserError(
            f"{url} could not be downloaded ({error}); on a machine without a network, download it elsewhere and "
            "name the file in config.yaml"
        ) from error


def _chunks(answer: requests.Response) -> Iterator[bytes]:
    length = answer.headers.get("Content-Length")
    chunks = answer.iter_content(CHUNK)
    yield from progress(chunks, label="downloading", unit="MiB", total=int(length) // CHUNK + 1 if length else None)
