"""The bytes of a part of an archive from its address: a path, https:// (or http://), or a file of Google Drive.

Users, passwords and queries of addresses are nowhere to be seen: in no message, and not in what `shown` returns.
"""

import hashlib
import io
import ipaddress
import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3

from avrobust.program import UserError

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 60


class NotThere(Exception):
    """The server does not have this part."""


class Refused(Exception):
    """Nothing comes, or no more; `wait`: seconds after which the server wants to be asked again, 0 if it is silent."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class Body(io.RawIOBase):
    """What an address holds, as it comes: its bytes are counted and summed up.

    `heard` is told how many came each time; what it raises breaks the reading off.
    """

    def __init__(self, raw: FileIO | urllib3.HTTPResponse, heard: Callable[[int], None]) -> None:
        self._raw, self._heard = raw, heard
        self.bytes, self.sha256 = 0, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        try:
            data = self._raw.read(len(buffer))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Refused(f"it broke off: {_scrubbed(str(error))}") from error
        buffer[: len(data)] = data
        self.sha256.update(data)
        self.bytes += len(data)
        self._heard(len(data))
        return len(data)


def is_remote(address: str) -> bool:
    """Whether an address is one of the web, and not a path."""
    return address.lower().startswith(("https://", "http://"))


def check_address(address: str) -> None:
    """Raise UserError if an address is no file that is there and not https; http is for this machine only."""
    if not is_remote(address):
        if not Path(address).is_file():
            raise UserError(f"{_scrubbed(address)}: no such file; give a file or an address that begins with https://")
        return
    try:
        whole = urlsplit(address)
    except ValueError as error:
        raise UserError(f"{_scrubbed(address)}: no address: {error}") from None
    if not whole.hostname:
        raise UserError(f"{_scrubbed(address)}: an address without a host")
    if whole.scheme == "http" and not _is_loopback(whole.hostname):
        raise UserError(f"{shown(address)}: not encrypted; use https://")


def shown(address: str) -> str:
    """Return an address as it may be seen: no user, no password; of a query only a digest, which tells two apart."""
    if not is_remote(address):
        return address
    try:
        whole = urlsplit(address)
    except ValueError:
        return _scrubbed(address)
    host = whole.netloc.rpartition("@")[2]
    return urlunsplit((whole.scheme, host, whole.path, "", address_digest(whole.query) if whole.query else ""))


def address_digest(text: str) -> str:
    """Return 12 hexadecimal digits that stand for an address, or a part of one, in names of files and in records."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def is_drive(address: str) -> bool:
    """Whether an address is one of Google Drive, which hands out a file a few times a day only."""
    return is_remote(address) and urlsplit(address).hostname == "drive.google.com"


@contextmanager
def opened(address: str, heard: Callable[[int], None] = lambda size: None) -> Iterator[Body]:
    """Yield what an address holds, from its beginning; `heard` as of `Body`.

    Raises:
        NotThere: the server does not have it.
        Refused: it cannot be read, now or while it comes, or leads to an address that `check_address` does not allow.
    """
    if not is_remote(address):
        try:
            file = Path(address).open("rb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise Refused(f"cannot be read: {error.strerror}") from error
        with file:
            yield Body(file, heard)
        return
    with requests.Session() as session:
        try:
            # What is counted and summed up is the archive and not a packed form of it.
            headers = {"Accept-Encoding": "identity"}
            answer = session.get(address, stream=True, timeout=TIMEOUT_SECONDS, headers=headers)
            for step in (*answer.history[1:], answer):
                check_address(step.url)
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            raise Refused(_scrubbed(str(error))) from error
        except UserError as error:
            raise Refused(f"leads elsewhere: {error}") from None
        if answer.status_code in (404, 410):
            raise NotThere(f"HTTP {answer.status_code}")
        if answer.status_code != 200:
            after = answer.headers.get("Retry-After", "")
            raise Refused(f"HTTP {answer.status_code}", float(after) if after.isdecimal() else 0.0)
        yield Body(answer.raw, heard)


def fetch_from_drive(address: str, path: Path) -> None:
    """Write a file of Google Drive to `path`. Raises UserError if Google refuses."""
    import gdown

    log.info("fetching %s from Google Drive", shown(address))
    try:
        # Without resume each stopped download would stay on the disk.
        gdown.download(address, str(path), quiet=not sys.stderr.isatty(), resume=True)
    except Exception as error:
        raise UserError(
            f"Google Drive does not hand out {shown(address)} ({_scrubbed(str(error))}); run the same command later, "
            "or download it with a browser and give the path of the zip"
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _scrubbed(text: str) -> str:
    """Take users, passwords and queries of addresses out of a message, and line breaks."""
    text = re.sub(r"//[^/\s@]*@", "//", text)
    return " ".join(re.sub(r"\?[^\s'\")]*", "", text).split())
