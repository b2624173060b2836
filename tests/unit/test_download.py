"""Downloads from a real HTTP server on the loopback."""

import hashlib
import json
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from urllib3.exceptions import MaxRetryError
from urllib3.response import HTTPResponse

from avrobust.data import download as module
from avrobust.data.download import download
from avrobust.program import UserError

SCRIPTS = Path(__file__).parents[2] / "scripts"
CONTENT = bytes(range(256)) * 5000
SUM = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """/whole sends the file, /cut breaks off, /busy is busy twice and then sends it, all else is not found."""

    busy = 2

    def do_GET(self) -> None:
        if self.path == "/busy" and Handler.busy:
            Handler.busy -= 1
            self.send_error(503)
            return
        if self.path not in ("/whole", "/cut", "/busy"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // (2 if self.path == "/cut" else 1)])

    def log_message(self, *given: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(module, "RETRIES", module.RETRIES.new(backoff_factor=0))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.parametrize("digits", [8, 64])
def test_a_whole_file_with_the_right_sum_gets_its_name(server, tmp_path, digits):
    made = download(f"{server}/whole", tmp_path / "file", SUM[:digits])
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert made == {"url": f"{server}/whole", "bytes": len(CONTENT), "sha256": SUM}


def test_gits_name_of_the_content_is_a_checksum_too(server, tmp_path):
    made = subprocess.run(["git", "hash-object", "--stdin"], input=CONTENT, capture_output=True, check=True)
    download(f"{server}/whole", tmp_path / "file", git_blob=made.stdout.decode().strip())
    with pytest.raises(UserError, match="git blob"):
        download(f"{server}/whole", tmp_path / "other", git_blob="0" * 40)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_busy_server_is_asked_again(server, tmp_path):
    Handler.busy = 2
    download(f"{server}/busy", tmp_path / "file", SUM)
    assert (tmp_path / "file").read_bytes() == CONTENT and Handler.busy == 0


@pytest.mark.parametrize(
    ("path", "checksum", "message"),
    [("/gone", SUM, "404"), ("/cut", SUM, "could not be downloaded"), ("/whole", "0" * 64, "expected 000")],
)
def test_anything_else_leaves_no_file(server, tmp_path, path, checksum, message):
    with pytest.raises(UserError, match=message):
        download(server + path, tmp_path / "file", checksum)
    assert not list(tmp_path.iterdir())


def test_a_busy_server_is_asked_four_times_more_and_ever_later():
    """At once, then after 2, 4 and 8 seconds."""
    asked, waits = module.RETRIES, []
    for _ in range(4):
        asked = asked.increment("GET", "/busy", response=HTTPResponse(status=503))
        waits.append(asked.get_backoff_time())
    assert waits == [0, 2, 4, 8]
    with pytest.raises(MaxRetryError):
        asked.increment("GET", "/busy", response=HTTPResponse(status=503))


@pytest.mark.parametrize("told", [["--sha256", SUM[:8]], ["--sha256", "", "--git-blob"], []])
def test_the_program_keeps_the_file_and_says_what_came(server, tmp_path, told):
    """As its rules call it: a sum that is not known is an empty word, or none."""
    words = ["--url", f"{server}/whole", *told, "--output", "lists/file", "--provenance", "lists/file.json"]
    made = subprocess.run(
        [sys.executable, SCRIPTS / "download.py", *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "lists/file").read_bytes() == CONTENT
    said = json.loads((tmp_path / "lists/file.json").read_text())
    age = datetime.now(UTC) - datetime.fromisoformat(said.pop("downloaded"))
    assert timedelta(seconds=-1) < age < timedelta(minutes=5)
    assert said == {"url": f"{server}/whole", "bytes": len(CONTENT), "sha256": SUM}
    assert made.stderr.splitlines()[-1].endswith(f"lists/file: {len(CONTENT)} bytes, sha256 {SUM}")


def test_the_program_leaves_nothing_of_a_file_with_another_sum(server, tmp_path):
    words = ["--url", f"{server}/whole", "--sha256", "0" * 8, "--output", "file", "--provenance", "file.json"]
    made = subprocess.run(
        [sys.executable, SCRIPTS / "download.py", *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert made.returncode == 1 and "error: " in made.stderr
    assert list(tmp_path.iterdir()) == []
