"""Clips out of one archive: a tar stream, gzipped or plain, or a zip file; well-made, damaged or hostile.

A clip is a regular file called `<video id>.<mp4|mkv|webm>` or `<video id>_<start>_<end>.<…>` with six digits each, in
whatever folder: only the last part of a member's name counts. It is written as `<video id>.<suffix>`.
"""

import gzip
import hashlib
import re
import stat
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import IO

from avrobust.data.disk import check_room
from avrobust.data.spans import Span, of_name
from avrobust.program import UserError, is_text

NAME = re.compile(r"(.+)\.(mp4|mkv|webm)", re.DOTALL)
SPANNED = re.compile(r"(.+)_[0-9]{6}_[0-9]{6}", re.DOTALL)

CHUNK = 2**20
GZIP_MARK = b"\x1f\x8b"

# Bytes of a member that is no clip any more: clips of Kinetics have 1.5 MB.
LARGEST_MEMBER = 2**30

# Bytes of a header for a long name (GNU's types L, K) or for extended attributes (pax: x, g; Solaris: X); tarfile takes
# it into memory.
LARGEST_HEADER = 2**20
LONG_HEADERS = b"xgXLK"


class Damaged(Exception):
    """An archive ends too early or is not what it should be."""


@dataclass
class Sieve:
    """What is kept of one archive, and what was not.

    `take`: whether these seconds of a video (None: not said) are wanted; it is asked of all that a clip may be of.
    `folder`: where clips are written, an existing one. `keep_free`: bytes of its disk that stay free. `largest`: bytes
    of a member. `mark`: what tells the temporary files `.part-<mark><name>` from those of other writers in this folder.

    `skipped` counts members: `special` (links, devices, FIFOs, sparse files), `apple_double` (`._*`), `other_name` (no
    clip by its name), `empty`, `too_large`, `repeated` (a second one of a video). `others`: names, without the suffix,
    of clips that are not wanted.
    """

    take: Callable[[str, Span | None], bool]
    folder: Path
    keep_free: int = 0
    largest: int = LARGEST_MEMBER
    mark: str = ""
    skipped: Counter[str] = field(default_factory=Counter, init=False)
    others: set[str] = field(default_factory=set, init=False)
    _kept: set[str] = field(default_factory=set, init=False)

    def target(self, name: str, size: int, special: bool) -> tuple[str, Span | None, Path] | None:
        """Return video, span and file of a member to keep; of any other note why it is not kept."""
        base = re.split(r"[/\\]", name)[-1]
        named = NAME.fullmatch(base)
        reasons = {
            "special": special,
            "apple_double": base.startswith("._"),
            # No wanted video has a name that is not UTF-8.
            "other_name": named is None or not is_text(base),
            "empty": size == 0,
            "too_large": size > self.largest,
        }
        reason = next((reason for reason, holds in reasons.items() if holds), None)
        if not reason:
            stem, suffix = named.groups()
            wanted = next((one for one in possible_videos(stem) if self.take(*one)), None)
            if wanted is None:
                self.others.add(stem)
                return None
            video_id, span = wanted
            if video_id not in self._kept:
                return video_id, span, self.folder / f"{video_id}.{suffix}"
            reason = "repeated"
        self.skipped[reason] += 1
        return None

    def write(self, content: IO[bytes], size: int, video_id: str, span: Span | None, path: Path) -> dict:
        """Copy `size` bytes to a file; one that is there with this content is left alone. Return what it is.

        That is `video_id`, `file` (in the folder), `bytes`, `sha256`, and `start` and `end` if its name has them.

        Raises:
            Damaged: the content is damaged or shorter.
            UserError: fewer than `keep_free` bytes would stay free, or the folder cannot be written to.
        """
        temporary = self.folder / f".part-{self.mark}{path.name}"
        seen, left = hashlib.sha256(), size
        try:
            with temporary.open("wb") as file:
                while left:
                    check_room(self.folder, self.keep_free, left)
                    with _damage():
                        data = content.read(min(CHUNK, left))
                    if not data:
                        raise Damaged(f"{path.name} is {left} bytes short")
                    file.write(data)
                    seen.update(data)
                    left -= len(data)
            if not (path.is_file() and file_sha256(path) == seen.hexdigest()):
                temporary.replace(path)
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror}") from error
        finally:
            temporary.unlink(missing_ok=True)
        self._kept.add(video_id)
        kept = {"video_id": video_id, "file": path.name, "bytes": size, "sha256": seen.hexdigest()}
        return kept | dict(zip(("start", "end"), span or (), strict=False))


def tar_members(stream: BufferedReader, sieve: Sieve) -> Iterator[dict]:
    """Write the wanted clips of a tar stream, gzipped or plain, and yield what `Sieve.write` says of each.

    The stream is read once, in order, to its end.

    Raises:
        Damaged: the stream ends before the tar's end mark, or is no tar; what was yielded is whole and stays.
        UserError: as of `Sieve.write`.
    """
    with _damage():
        # tarfile's own reader of gzip takes a stream that was cut off for one that has ended.
        unpacked = gzip.GzipFile(fileobj=stream) if stream.peek(2).startswith(GZIP_MARK) else stream
        archive = tarfile.open(mode="r|", fileobj=unpacked, tarinfo=_Header)  # noqa: SIM115
    while True:
        with _damage():
            member = archive.next()
        if member is None:
            break
        if member.isdir():
            continue
        target = sieve.target(member.name, member.size, not member.isreg() or member.issparse())
        if target:
            yield sieve.write(archive.extractfile(member), member.size, *target)
    with _damage():
        while unpacked.read(CHUNK):
            pass


def zip_members(path: Path, sieve: Sieve) -> Iterator[dict]:
    """Write the wanted clips of a zip file and yield what `Sieve.write` says of each.

    Raises:
        Damaged: it is no zip file, or a wanted member is damaged; what was yielded is whole and stays.
        UserError: as of `Sieve.write`, or a wanted member is encrypted.
    """
    with _damage():
        archive = zipfile.ZipFile(path)
    with archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            special = stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG)
            target = sieve.target(info.filename, info.file_size, special)
            if not target:
                continue
            if info.flag_bits & 1:
                raise UserError(f"{path}: {target[0]} is encrypted; unpack it with its password and make another zip")
            with _damage():
                content = archive.open(info)
            with content:
                yield sieve.write(content, info.file_size, *target)


def possible_videos(stem: str) -> list[tuple[str, Span | None]]:
    """Return the videos that a clip may be of by its name without the suffix, and which seconds of each."""
    spanned = of_name(stem) if SPANNED.fullmatch(stem) else None
    return [spanned, (stem, None)] if spanned else [(stem, None)]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _damage() -> Iterator[None]:
    """Turn whatever the libraries raise on a damaged archive into Damaged; only their calls stand under it."""
    try:
        yield
    except Damaged:
        raise
    except Exception as error:
        raise Damaged(str(error) or type(error).__name__) from error


class _Header(tarfile.TarInfo):
    """A tar header. tarfile takes an archive that is cut off between members for a whole one; this does not."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> "_Header":
        header = super().frombuf(buf, encoding, errors)
        if header.type in LONG_HEADERS and header.size > LARGEST_HEADER:
            raise Damaged(f"a header of {header.size} bytes")
        return header

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "_Header":
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # the end mark
            raise
        except tarfile.HeaderError as error:
            raise Damaged(f"neither a member nor the end of the archive: {error}") from error
