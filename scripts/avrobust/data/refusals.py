"""What the failure of a download means: whether to wait, to try again, or to give the video up.

The phrases, in refusals.csv, are those of yt-dlp and of the sites that it reads, as of 2026. "Sign in" and "use
--cookies" decide nothing: they stand in messages about private videos, about the viewer's age and about robots alike.
yt-dlp's errors are known by the names of their classes, because to import it takes long.
"""

import csv
import email.utils
import re
import time
from collections.abc import Iterator
from pathlib import Path

# The whole host is refused for a while; the video is not to blame.
THROTTLED = "throttled"
# May work another time.
TRANSIENT = "transient"
# yt-dlp, or what it needs, is missing or too old.
TOOL = "tool"
# Removed, private, or for those who pay or belong: nobody who asks as we do will ever get it.
GONE = "gone"
# Said to be unavailable, which sites say of living videos now and then, too.
GONE_MAYBE = "gone?"
# Not for this country.
GEO = "geo"
# Not without an account, or not without that of an adult.
AGE = "age"
# What the site itself said of the video, in words that stand in no table here.
UNKNOWN = "unknown"
# It came, and is unfit.
MEDIA = "media"

KINDS = (THROTTLED, TRANSIENT, TOOL, GONE, GONE_MAYBE, GEO, AGE, MEDIA, UNKNOWN)

LONGEST_REASON = 200

# Characters of an address's path that are kept in a reason; the longer ones of media servers hold signatures.
LONGEST_PATH = 64

# (kind, phrase in lower case) in the order of testing: a site that refuses the host, and one that fails, begin with
# "Video unavailable", too. Jobs do not run anew when this table changes: what was refused is asked again as it is said.
with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as _table:
    _, *PHRASES = map(tuple, csv.reader(_table))

_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc\uff07", "''''")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-_])")
_ADDRESS = re.compile(
    r"([a-z][a-z0-9+.-]*://)(?:[^\s/'\"<>@]*@)?([^\s/?#'\"<>]+)([^\s?#'\"<>]*)([?#][^\s'\"<>]*)?", re.I
)
_QUERY = re.compile(r"[?&][\w.%-]+=[^\s'\"<>]*")
_HEADER = re.compile(r"\b((?:set-)?cookie|(?:proxy-)?authorization)\s*[:=].*", re.I)
_PAIR = re.compile(r"\b([\w.-]+)=[^\s'\",;)>]{8,}")
_SECRET = re.compile(
    r"\b([\w-]*(?:token|cookie|secret|password|signature|session|api_?key)[\w-]*)(['\"]?\s*[:=]\s*)"
    r"(?:'[^']*'|\"[^\"]*\"|[^\s'\",;)>]+)",
    re.I,
)


def classify(error: BaseException) -> tuple[str, str]:
    """Return (kind, reason) of the failure of a download: one of KINDS, and one line as `one_line` makes it.

    `error` is what yt-dlp raised; what it was raised for is looked at, too. What is not known is transient, or unknown
    where yt-dlp says that the site meant it, so that no video is given up at once for a message that nobody has read.
    """
    chain = list(_chain(error))
    # Without yt-dlp's "[youtube] <id>: ", so that the same reason is the same text for every video.
    reason = _OF_VIDEO.sub("", one_line(str(error))) or type(error).__name__
    names = {cls.__name__ for one in chain for cls in type(one).__mro__}
    text = "\n".join(str(one) for one in chain).lower().translate(_APOSTROPHES)
    statuses = {one.status for one in chain if isinstance(getattr(one, "status", None), int)}
    kind = _kind(names, statuses, text)
    # yt-dlp's word for an answer of the site, in place of a fault of its own.
    meant = any(getattr(one, "expected", False) is True for one in chain)
    return (UNKNOWN if kind is None and meant else kind or TRANSIENT), reason


def retry_after(error: BaseException) -> float | None:
    """Return how many seconds the server asked to wait (HTTP's Retry-After, seconds or a date), None if it did not."""
    for one in _chain(error):
        headers = getattr(getattr(one, "response", None), "headers", None) or {}
        text = (headers.get("Retry-After") or "").strip()
        if text.isascii() and text.isdigit():
            return float(text)
        if text:
            try:
                return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
            except ValueError:
                continue
    return None


_OF_VIDEO = re.compile(r"^\[[\w:+-]+\] [^\s:]+: ")


def one_line(text: str) -> str:
    """Return the message for a table: no colours, no line break, nothing secret, at most LONGEST_REASON characters.

    Addresses lose user, password, query, and a path of more than LONGEST_PATH characters; `name=value` with a value of
    eight characters or more, and what follows the name of a secret, are left out wherever they stand.
    """
    lines = _ESCAPES.sub("", text).splitlines()
    text = " ".join(_HEADER.sub(r"\1: ...", line) for line in lines)
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    text = _ADDRESS.sub(lambda at: at[1] + at[2] + (at[3] if len(at[3]) <= LONGEST_PATH else "/..."), text)
    text = _SECRET.sub(r"\1\2...", _PAIR.sub(r"\1=...", _QUERY.sub("", text)))
    text = text.removeprefix("ERROR: ").strip()
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 3].rstrip() + "..."


def _kind(names: set[str], statuses: set[int], text: str) -> str | None:
    said = next((kind for kind, phrase in PHRASES if phrase in text), None)
    if statuses & {429, 402} or said == THROTTLED:
        return THROTTLED
    if "GeoRestrictedError" in names:
        return GEO
    # That an address of the site's programming interface is gone says nothing about the video.
    if statuses & {404, 410} and "api page" not in text:
        return GONE_MAYBE
    if "NoSupportingHandlers" in names:
        return TOOL
    if "TransportError" in names or any(status == 403 or 500 <= status < 600 for status in statuses):
        return TRANSIENT
    return said


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it was raised for; yt-dlp keeps that in `exc_info` or `cause`."""
    chain = [error]
    # It grows while it is gone through.
    for one in chain:
        yield one
        inner = [getattr(one, "cause", None), (getattr(one, "exc_info", None) or (None, None))[1], one.__cause__]
        inner.append(None if one.__suppress_context__ else one.__context__)
        chain += [other for other in inner if isinstance(other, BaseException) and not any(other is o for o in chain)]
