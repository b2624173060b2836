"""What a file really is that cannot be read as what it was given for, by its first bytes.

A library's own message may advise what we would not: torch's, to load with weights_only=False, which runs any code that
the file brings.
"""

import re
import zipfile
from pathlib import Path

# As much as is looked at.
HEAD = 4096

ZIP, PARQUET, ARROW = "a zip archive", "a Parquet file", "an Arrow file"
TORCH = "a file of torch.save"
SCRIPT = "a TorchScript program (torch.jit.save), which holds code; torch.save of its state_dict() gives the weights"
UNKNOWN = "none of the kinds of file that are known here, or damaged at its beginning"
PICKLE = "a pickle, as old versions of torch.save write"

# The beginnings of files, and what such a file is.
BEGINNINGS = (
    (b"PAR1", PARQUET),
    (b"ARROW1", ARROW),
    (b"\x93NUMPY", "an array of numpy's (.npy)"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"\x1f\x8b", "a gzip file: unpack it"),
    (b"BZh", "a bzip2 file: unpack it"),
    (b"\xfd7zXZ", "an xz file: unpack it"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it"),
    (b"Rar!", "a RAR archive: unpack it"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x80", PICKLE),
)
PAGE = re.compile(
    rb"\s*(?:<!--.*?-->\s*|<\?xml[^>]*>\s*)*<(?:!doctype\s+html|html|head|body|title|script|meta)\b", re.I | re.S
)


def kind(path: str | Path) -> str:
    """Return in words what the file is.

    Raises:
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        head = file.read(HEAD)
    if not head:
        return "empty"
    # Saved with an encoding mark.
    text = head.removeprefix(b"\xef\xbb\xbf")
    if PAGE.match(text):
        return "a web page (HTML), as a server sends for a login, a question or an error"
    if text.startswith(b"version https://git-lfs"):
        return "a pointer of git-lfs; `git lfs pull` fetches the file itself"
    if b"/annex/objects/" in text[:200]:
        return "a pointer of git-annex; `git annex get` fetches the file itself"
    if head.startswith(b"PK"):
        return _zip(path)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return "a file of safetensors"
    return next((name for beginning, name in BEGINNINGS if head.startswith(beginning)), None) or _other(head)


def reason(path: str | Path, error: Exception, *expected: str) -> str:
    """Return why a file cannot be read: what it is, if that is none of `expected`, else the error's first line."""
    try:
        found = kind(path)
    except OSError as unreadable:
        return f"{unreadable.strerror}"
    return first_line(error) if found in expected else f"it is {found}"


def first_line(error: Exception) -> str:
    """Return the first line of an error's text: torch writes pages."""
    return str(error).partition("\n")[0]


def _zip(path: str | Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError):
        return f"{ZIP} (torch.save writes such) that is cut short or damaged"
    if any(name.endswith("/constants.pkl") for name in names):
        return SCRIPT
    return TORCH if any(name.endswith("data.pkl") for name in names) else ZIP


def _other(head: bytes) -> str:
    try:
        # The last character may be cut.
        line = head[:-3].decode() if len(head) == HEAD else head.decode()
    except UnicodeDecodeError:
        return UNKNOWN
    return UNKNOWN if "\0" in line else f"a text that begins {' '.join(line.split())[:40]!r}"
