"""One video of a web site, or a part of it: either a file that was decoded to its end, or a refusal.

yt-dlp reads the site's pages and fetches whole videos, ffmpeg fetches parts. yt-dlp takes long to import, so only
`fetch` does it.
"""

import io
import logging
import math
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import av

from avrobust.data import containers, refusals
from avrobust.data.ffmpeg import ffmpeg_path
from avrobust.data.manifest import readable
from avrobust.files import part_folder
from avrobust.program import UserError

log = logging.getLogger(__name__)

# Seconds by which a video may end before its span does, or before the end that the site states: lists and sites count
# in whole seconds.
TOLERANCE = 1.0

# Seconds: the longest pause before a request is tried again.
LONGEST_PAUSE = 30

# A line of a file of cookies: the fifth value is the time of expiry.
COOKIE = r"(?:[^\t]*\t){4}(?:\d+(?:\.\d+)?)?\t[^\t]*\t[^\t]*"

# A part is encoded again, because it does not begin where the site's file can be cut. These options of ffmpeg leave no
# visible trace, and take about a second for ten at 360 lines.
ENCODING = {"c:v": "libx264", "preset": "veryfast", "crf": 18, "pix_fmt": "yuv420p", "threads": 1}
ENCODING |= {"c:a": "aac", "b:a": "192k", "format": "mp4"}


class Refused(Exception):
    """No file was made: `kind` of avrobust.data.refusals, `reason` in one line or a code where the kind is `media`.

    `retry_after`: how many seconds the server asked to wait, if it did.
    """

    def __init__(self, kind: str, reason: str, retry_after: float | None = None) -> None:
        super().__init__(f"{kind}: {reason}")
        self.kind = kind
        self.reason = reason
        self.retry_after = retry_after


@dataclass(frozen=True)
class WebVideos:
    """How the videos of a site are asked for.

    `url_template`: address of a video's page, with {id}. `format`: of yt-dlp's language. `margin`: seconds fetched
    before and after a span. `retries`: of each request. `socket_timeout`: seconds without an answer. `request_pause`:
    seconds between two requests for one video. `limit_bytes`: of a file. `cookies`: a file in Netscape's format;
    it is read, never written. `extractor_arguments`: of yt-dlp, {"youtube": {"player_client": ["default"]}}.
    `proxy`: http://host:port.

    Raises UserError: one of them cannot be.
    """

    url_template: str = "https://www.youtube.com/watch?v={id}"
    format: str = "bv*[height<=?360][ext=mp4]+ba[ext=m4a]/bv*[height<=?360]+ba/b[height<=?360]"
    margin: float = 5.0
    retries: int = 4
    socket_timeout: float = 30.0
    request_pause: float = 0.75
    limit_bytes: int = 500_000_000
    cookies: str | None = None
    extractor_arguments: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)
    proxy: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url_template)
        has_id = "{id}" in self.url_template and "{id}" not in parts.netloc
        if parts.scheme not in ("http", "https") or not parts.hostname or not has_id:
            raise UserError(
                f"url_template {self.url_template!r} is no address of a video's page; give http(s)://host/...{{id}}"
            )
        for name in ("margin", "retries", "request_pause", "socket_timeout", "limit_bytes"):
            value, positive = getattr(self, name), name in ("socket_timeout", "limit_bytes")
            if not math.isfinite(value) or value < 0 or (positive and not value):
                raise UserError(f"{name} is {value}; give a number {'above' if positive else 'of at least'} 0")
        # ffmpeg, which fetches parts, knows no other kind, and would go to the site without a proxy.
        if self.proxy is not None and urlsplit(self.proxy).scheme not in ("http", "https"):
            raise UserError(f"proxy {refusals.one_line(self.proxy)!r} is no http://host:port")
        if self.cookies is not None and not Path(self.cookies).is_file():
            raise UserError(f"cookies: {self.cookies} is no file")

    @property
    def host(self) -> str:
        """Name of the site's server, which the budget of requests goes by."""
        return urlsplit(self.url_template).hostname

    def address(self, video_id: str) -> str:
        """Return the address of a video's page."""
        return self.url_template.replace("{id}", quote(video_id, safe=""))


class Fetched(NamedTuple):
    """A file that was decoded to its end: its time 0 is second `offset` of the video, and it lasts `seconds`.

    `height`: of the picture, in pixels.
    """

    path: Path
    offset: float
    bytes: int
    seconds: float
    height: int
    ytdlp_version: str


class Decoded(NamedTuple):
    """What decoding a file came to, in seconds of the file; 0 where there is nothing.

    `picture`, `sound`: where they end. `header`: how long the file says that it is. `fault`: a code of
    avrobust.data.media, or empty.
    """

    picture: float = 0.0
    sound: float = 0.0
    header: float = 0.0
    height: int = 0
    fault: str = ""


def fetch(video_id: str, span: tuple[float, float] | None, target: Path, settings: WebVideos) -> Fetched:
    """Bring a video, or the seconds `span` of it and a margin on both sides, to a file beside `target`.

    The file has the name of `target`, with the suffix of what the site sent; a part is mp4, and cut exactly: its time 0
    is second span[0] - margin of the video, or 0. It appears only when it was decoded; nothing else is left behind.

    Raises Refused: there is no file, and why. Of the kind `media`, the reason is a code: those of avrobust.data.media,
    `span_outside` where the video ends before the span, or `too_large`.
    """
    part = None if span is None else (max(0.0, span[0] - settings.margin), span[1] + settings.margin)
    offset = part[0] if part else 0.0
    with part_folder(target) as folder:
        path, offered, version = _downloaded(settings.address(video_id), span, part, folder, settings)
        inside = (0.0, math.inf) if span is None else (span[0] - offset, span[1] - offset)
        found = _decoded(path, inside)
        size = path.stat().st_size
        if size > settings.limit_bytes:
            raise Refused(refusals.MEDIA, "too_large")
        _check(found, path, span, offset, offered)
        final = target.with_suffix(path.suffix)
        path.replace(final)
    return Fetched(final, offset, size, max(found.picture, found.sound), found.height, version)


def _downloaded(
    address: str,
    span: tuple[float, float] | None,
    part: tuple[float, float] | None,
    folder: Path,
    settings: WebVideos,
) -> tuple[Path, dict, str]:
    """Return the file that was made in `folder`, what yt-dlp says of the video, and its version."""
    from yt_dlp import YoutubeDL
    from yt_dlp.postprocessor.ffmpeg import FFmpegPostProcessor
    from yt_dlp.version import __version__

    # yt-dlp asks for ffmpeg in places that do not know its parameter.
    FFmpegPostProcessor._ffmpeg_location.set(ffmpeg_path())
    with YoutubeDL(_options(folder, settings)) as ydl:
        try:
            offered = ydl.extract_info(address, download=False)
            if "entries" in offered:
                offered = next(iter(offered["entries"]))
            _check_offer(offered, span)
            if part:
                _cut(ydl, offered, part, folder / "video.mp4", settings)
            else:
                ydl.process_info(offered)
        except Refused:
            raise
        except Exception as error:
            # Even a bug of yt-dlp ends this video only.
            kind, reason = refusals.classify(error)
            raise Refused(kind, reason, refusals.retry_after(error)) from error
    # What has no place among the files is left over of a merge.
    made = [path for path in folder.iterdir() if path.stem == "video"]
    if len(made) != 1:
        raise Refused(refusals.TRANSIENT, f"yt-dlp made {len(made)} files of the video")
    return made[0], offered, __version__


def _cut(ydl, offered: Mapping, part: tuple[float, float], path: Path, settings: WebVideos) -> None:
    """Let ffmpeg fetch the seconds `part` of the formats that yt-dlp chose, and encode them exactly cut."""
    import ffmpeg

    begin, end = part[0], min(part[1], offered.get("duration") or math.inf)
    formats = offered.get("requested_formats") or [offered]
    streams = []
    for media in formats:
        options = _patience(settings)
        if headers := _headers(media, offered):
            options["headers"] = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if cookies := ydl.cookiejar.get_cookies_for_url(media["url"]):
            options["cookies"] = "".join(
                f"{one.name}={one.value}; path={one.path}; domain={one.domain};\r\n" for one in cookies
            )
        if begin:
            options["ss"] = begin
        stream = ffmpeg.input(media["url"], t=end - begin, **options)
        chosen = len(formats) > 1 or media.get("protocol") == "http_dash_segments"
        streams.append(stream[str(media.get("manifest_stream_number", 0))] if chosen else stream)
    # What ffmpeg ends there is larger than the limit, and found to be so.
    output = ffmpeg.output(*streams, f"file:{path}", fs=round(settings.limit_bytes) + 2**20, **ENCODING)
    # Without the last of these ffmpeg takes a broken connection for the end.
    output = output.global_args("-nostdin", "-loglevel", "quiet", "-xerror")
    # In the environment, where other users of the machine cannot read a password.
    proxy = {} if settings.proxy is None else {"http_proxy": settings.proxy, "HTTP_PROXY": settings.proxy}
    done = subprocess.run(ffmpeg.compile(output, cmd=ffmpeg_path()), env=os.environ | proxy, check=False)
    if done.returncode:
        raise _ask(ydl, formats, offered) or OSError(f"ffmpeg exited with code {done.returncode}")


def _options(folder: Path, settings: WebVideos) -> dict:
    """Return yt-dlp's parameters, which its class YoutubeDL describes."""

    def limit(progress: Mapping) -> None:
        if max(progress.get("total_bytes") or 0, progress.get("downloaded_bytes") or 0) > settings.limit_bytes:
            raise Refused(refusals.MEDIA, "too_large")

    options = {
        "quiet": True,
        "noprogress": True,
        "color": "no_color",
        "logger": _Log(),
        "cachedir": False,
        "noplaylist": True,
        "format": settings.format,
        "paths": {"home": str(folder)},
        "outtmpl": {"default": "video.%(ext)s"},
        "updatetime": False,
        **dict.fromkeys(("retries", "fragment_retries", "extractor_retries"), settings.retries),
        "retry_sleep_functions": dict.fromkeys(("http", "fragment", "extractor"), lambda n: min(2.0**n, LONGEST_PAUSE)),
        "skip_unavailable_fragments": False,
        "socket_timeout": settings.socket_timeout,
        "sleep_interval_requests": settings.request_pause,
        "progress_hooks": [limit],
        "ffmpeg_location": ffmpeg_path(),
        "extractor_args": settings.extractor_arguments,
        "js_runtimes": {"deno": _deno()},
    }
    given = {"proxy": settings.proxy, "cookiefile": settings.cookies and _cookies(Path(settings.cookies))}
    return options | {name: value for name, value in given.items() if value is not None}


def _cookies(path: Path) -> io.StringIO:
    """Return a copy of a file of cookies, into which yt-dlp may write what the site sets.

    What is wrong with the file yt-dlp would print, cookies and all.
    """
    with readable(path):
        lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or not re.match(r"#( Netscape)? HTTP Cookie File", lines[0]):
        raise UserError(f"{path}, line 1: not '# Netscape HTTP Cookie File'; give cookies in Netscape's format")
    for number, line in enumerate(lines, start=1):
        entry = line.removeprefix("#HttpOnly_")
        if entry.strip() and not entry.startswith("#") and not re.fullmatch(COOKIE, entry):
            raise UserError(
                f"{path}, line {number}: no cookie in Netscape's format: 7 values between tabs, the fifth a number"
            )
    return io.StringIO("\n".join(lines) + "\n")


def _patience(settings: WebVideos) -> dict[str, object]:
    """Return ffmpeg's options for an input: it waits 0, 1, 3, 7... seconds before it connects again."""
    options = {"rw_timeout": round(settings.socket_timeout * 1e6)}
    if settings.retries:
        longest = min(2 ** (settings.retries - 1) - 1, LONGEST_PAUSE)
        options |= {"reconnect": 1, "reconnect_on_network_error": 1, "reconnect_on_http_error": "5xx"}
        options["reconnect_delay_max"] = longest
    return options


def _deno() -> dict[str, str]:
    """Return where the JavaScript runtime is that the package `deno` brings, nothing if it is not installed."""
    try:
        from deno import find_deno_bin

        return {"path": os.fsdecode(find_deno_bin())}
    except (ImportError, FileNotFoundError):
        return {}


class _Log:
    """What yt-dlp says, for whoever looks at details."""

    def debug(self, message: str) -> None:
        log.debug("%s", refusals.one_line(message))

    warning = error = debug


def _check_offer(info: Mapping, span: tuple[float, float] | None) -> None:
    """Refuse what need not be fetched, because it has no end, is several videos, or ends before the span."""
    if (info.get("playlist_count") or info.get("n_entries") or 1) > 1:
        raise Refused(refusals.TOOL, "the page has several videos")
    if info.get("is_live") or info.get("live_status") in ("is_live", "is_upcoming"):
        raise Refused(refusals.TRANSIENT, "the video is live, or will be")
    if span and info.get("duration") and span[1] > info["duration"] + TOLERANCE:
        raise Refused(refusals.MEDIA, "span_outside")


def _ask(ydl, formats: Sequence[Mapping], offered: Mapping) -> Exception | None:
    """Ask the media's server for a byte and return the error; ffmpeg does not say all that the server answered."""
    from yt_dlp.networking import Request

    for media in formats:
        headers = {**_headers(media, offered), "Range": "bytes=0-0"}
        try:
            ydl.urlopen(Request(media["url"], headers=headers)).close()
        except Exception as error:
            return error
    return None


def _headers(media: Mapping, offered: Mapping) -> Mapping[str, str]:
    return media.get("http_headers") or offered.get("http_headers") or {}


def _decoded(path: Path, inside: tuple[float, float]) -> Decoded:
    """Decode the first video and audio stream of a file; `inside`: the span that must hold frames and samples."""
    if not path.stat().st_size:
        return Decoded(fault="empty_file")
    try:
        container = containers.opened(path)
    except Exception:
        return Decoded(fault="unreadable")
    ends, lacking, height = {"video": 0.0, "audio": 0.0}, {"video": "no_frames", "audio": "no_samples"}, 0
    with container:
        begin = containers.origin(container)
        *both, missing = containers.picture_and_sound(container)
        for frame in _frames(container, [stream for stream in both if stream is not None]):
            start = containers.in_seconds(frame.pts, frame.time_base) - begin
            if isinstance(frame, av.VideoFrame):
                kind, end = "video", start + containers.in_seconds(frame.duration or 0, frame.time_base)
                height = frame.height
            else:
                kind, end = "audio", start + frame.samples / frame.sample_rate
            ends[kind] = max(ends[kind], end)
            if start < inside[1] and end > inside[0]:
                lacking.pop(kind, None)
        header = (container.duration or 0) / av.time_base
    return Decoded(ends["video"], ends["audio"], header, height, next(iter([*missing, *lacking.values()]), ""))


def _frames(container: av.container.InputContainer, streams: list[av.stream.Stream]) -> Iterator[av.frame.Frame]:
    """Yield the frames that can be decoded and have a time."""
    packets = container.demux(streams) if streams else iter(())
    while True:
        packet, frames = None, []
        # Whatever libav says of it: a packet that is broken has no frame.
        with suppress(Exception):
            packet = next(packets, None)
        if packet is None:
            return
        with suppress(Exception):
            frames = containers.decoded(packet)
        yield from (frame for frame in frames if frame.pts is not None)


def _check(found: Decoded, path: Path, span: tuple[float, float] | None, offset: float, offered: Mapping) -> None:
    """Refuse a file that is not what the site offered, or that is unfit."""
    no_media = found.fault in ("empty_file", "unreadable")
    if no_media and path.read_bytes()[:512].lstrip()[:1] == b"<":
        # A server between us and the site that wants something first.
        raise Refused(refusals.TRANSIENT, "a page came in place of the video")
    if no_media or found.fault.endswith("_decoder"):
        raise Refused(refusals.MEDIA, found.fault)
    length = offered.get("duration") or (0.0 if span else found.header)
    wanted = min(span[1], length or span[1]) if span else length
    # A whole video may have a picture that ends before its sound; that of a part goes on to the end of the span.
    end = found.picture if span else max(found.picture, found.sound)
    # ffmpeg leaves out the streams, too, of which nothing lies in the part.
    nothing = not found.picture and not found.sound
    if offset + end < wanted - TOLERANCE and (nothing or found.fault not in ("no_video_stream", "no_audio_stream")):
        if not length:
            raise Refused(refusals.MEDIA, "span_outside")
        raise Refused(refusals.TRANSIENT, f"the file ends at {offset + end:.1f} s, the video at {length:.1f} s")
    codec = {"no_video_stream": "vcodec", "no_audio_stream": "acodec"}.get(found.fault, "")
    if offered.get(codec) not in (None, "none"):
        raise Refused(refusals.TRANSIENT, f"{found.fault} in the file, although the site has one")
    if found.fault:
        raise Refused(refusals.MEDIA, found.fault)
