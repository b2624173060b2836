"""Tar parts and zip files made by hand, and a web server on the loopback that serves them well or badly."""

import io
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

from avrobust.data import manifest
from avrobust.data.manifest import Clip


def content(name: str, size: int = 30_000) -> bytes:
    """Return bytes of a clip, which do not pack and are others for each name."""
    return Random(name).randbytes(size)


def regular(name: str, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    """Return a regular file as `tar` takes it."""
    header = tarfile.TarInfo(name)
    header.size = len(data)
    return header, data


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    """Return a link, device, FIFO or folder as `tar` takes it."""
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, target
    return header, b""


def tar(members: Iterable[tuple[tarfile.TarInfo, bytes]], mode: str = "w:gz") -> bytes:
    """Return a tar archive."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:
        for header, data in members:
            archive.addfile(header, io.BytesIO(data))
    return made.getvalue()


def clips_tar(*names: str, mode: str = "w:gz") -> bytes:
    """Return a tar archive of clips with the content of their names."""
    return tar([regular(name, content(name)) for name in names], mode)


def any_part(*videos: str) -> dict[str, set[None]]:
    """Return what a search wants that takes any part of these videos."""
    return {video: {None} for video in videos}


def write_manifest(path: Path, videos: Iterable[str], at: Mapping[str, str] | None = None) -> Path:
    """Write a manifest of a clip per video; `at`: the files that some have."""
    clips = (
        Clip(video, video, 1.0, 11.0, ("a",), "train", "lists", "list.csv", (at or {}).get(video, ""))
        for video in videos
    )
    manifest.write(path, clips)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its content, links as links."""
    return {
        str(path.relative_to(folder)): b"-> link" if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


class Site:
    """What is served: `files` by path. `asked` counts the requests by path.

    `cut`: path -> how often only the first half is sent before the socket is closed (a length is stated all the same).
    `statuses`: path -> status codes of the first answers. `retry_after`: status code -> header. `redirects`: path ->
    where to. `slow`: path -> seconds between sixteenths. `lengthless`: paths of which no length is stated.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()
        self.statuses: dict[str, list[int]] = {}
        self.retry_after: dict[int, str] = {}
        self.redirects: dict[str, str] = {}
        self.slow: dict[str, float] = {}
        self.lengthless: set[str] = set()
        self.url = ""


@contextmanager
def serving() -> Iterator[Site]:
    """Run a site until the end of the block."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            site.asked[path] += 1
            if site.statuses.get(path):
                status = site.statuses[path].pop(0)
                self.send_response(status)
                if status in site.retry_after:
                    self.send_header("Retry-After", site.retry_after[status])
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif path in site.redirects:
                self.send_response(302)
                self.send_header("Location", site.redirects[path])
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif path not in site.files:
                self.send_error(404)
            else:
                self.send(path, site.files[path])

        def send(self, path: str, data: bytes) -> None:
            self.close_connection = True
            self.send_response(200)
            if path not in site.lengthless:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if site.cut[path] > 0:
                site.cut[path] -= 1
                data = data[: len(data) // 2]
            step = len(data) // 16 + 1
            try:
                for start in range(0, len(data), step):
                    self.wfile.write(data[start : start + step])
                    time.sleep(site.slow.get(path, 0.0))
            except OSError:  # who asked was killed
                pass

        def log_message(self, *given: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        site.url = f"http://127.0.0.1:{running.server_port}"
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield site
        finally:
            running.shutdown()
