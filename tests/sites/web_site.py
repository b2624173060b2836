"""A web site with videos on the loopback: its pages and files are real, its faults are those of real sites."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

# Answers one request for a page or a file, which `content` and `kind` (its media type) would be the right answer to.
Answer = Callable[[BaseHTTPRequestHandler, bytes, str], None]


def whole(request: BaseHTTPRequestHandler, content: bytes, kind: str) -> None:
    """Send it, or the range of bytes that is asked for."""
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
    begin, end = 0, len(content)
    if asked:
        begin = int(asked[1])
        end = min(int(asked[2]) + 1, end) if asked[2] else end
    request.send_response(206 if asked else 200)
    if asked:
        request.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(content)}")
    request.send_header("Accept-Ranges", "bytes")
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(end - begin))
    request.end_headers()
    request.wfile.write(content[begin:end])


def refusal(status: int, **headers: str) -> Answer:
    """Send an error; `Retry_After="7"` is a header."""

    def answer(request: BaseHTTPRequestHandler, content: bytes, kind: str) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def cut(request: BaseHTTPRequestHandler, content: bytes, kind: str) -> None:
    """Promise all of what is asked for, and break off in its middle."""
    asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
    begin = int(asked[1]) if asked else 0
    request.send_response(206 if asked else 200)
    if asked:
        request.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(content) - begin))
    request.end_headers()
    request.wfile.write(content[begin : begin + (len(content) - begin) // 2])


def slow(seconds: float) -> Answer:
    """Wait, and then send it."""

    def answer(request: BaseHTTPRequestHandler, content: bytes, kind: str) -> None:
        time.sleep(seconds)
        whole(request, content, kind)

    return answer


def page(request: BaseHTTPRequestHandler, content: bytes, kind: str) -> None:
    """Send a page in place of it, as networks do that want a password first."""
    whole(request, b"<!DOCTYPE html><html><title>Welcome</title><body>Accept our terms</body></html>", kind)


class WebSite:
    """Serves what `offer` was given; `asked` lists the requests: (path, headers).

    A video's page is /watch/<id>, its file /media/<number>/video.mp4.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._offers: dict[str, tuple[bytes, str, list[Answer]]] = {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = unquote(self.path.partition("?")[0])
                site.asked.append((path, dict(self.headers)))
                content, kind, answers = site._offers.get(path, (b"", "text/html", [refusal(404)]))
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                try:
                    answer(self, content, kind)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_HEAD = do_GET

            def log_message(self, *given: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # Answers that are slow need not be waited for.
        self._server.block_on_close = False
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self.template = self.address + "/watch/{id}"

    def __enter__(self) -> "WebSite":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def offer(
        self,
        video_id: str,
        file: Path | bytes,
        seconds: int | None = None,
        of_page: Iterable[Answer] = (whole,),
        of_file: Iterable[Answer] = (whole,),
        files: int = 1,
    ) -> None:
        """Offer a video; `seconds`: what the page says of its length.

        `of_page`, `of_file`: answers to the first, second... request, the last one to all that follow. `files`: how
        many videos the page shows; each is this one.
        """
        content = file if isinstance(file, bytes) else file.read_bytes()
        places = [f"/media/{len(self._offers) + number}/video.mp4" for number in range(files)]
        about = {"@context": "https://schema.org", "@type": "VideoObject", "name": "A video"}
        about |= {"contentUrl": self.address + places[0]} if places else {}
        about |= {} if seconds is None else {"duration": f"PT{seconds}S"}
        shown = "".join(f'<video src="{place}" controls></video>' for place in places)
        if seconds is not None:
            shown = f'<script type="application/ld+json">{json.dumps(about)}</script>'
        text = f"<!DOCTYPE html><html><head><title>A video</title></head><body>{shown}</body></html>"
        self.serve(f"/watch/{video_id}", text.encode(), "text/html", of_page)
        for place in places:
            self.serve(place, content, "video/mp4", of_file)

    def serve(self, path: str, content: bytes, kind: str, answers: Iterable[Answer] = (whole,)) -> None:
        """Answer requests for a path."""
        self._offers[path] = (content, kind, list(answers))
