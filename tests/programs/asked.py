"""How one process lets another run a program for it: what it is told, and what the other answers.

Run as a program it is `python` to the commands of a rule; it imports no more than this, so that its start is short.
"""

import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

LENGTH = 8


def ask(
    place: str,
    arguments: Sequence[str],
    folder: str,
    environment: Mapping[str, str],
    streams: Sequence[int],
    seconds: float | None = None,
) -> int:
    """Return the exit status of `python` with these arguments, as `subprocess` does; `streams`: input, output, errors.

    The socket at `place` is that of `forking.py`. What has not ended after so many seconds is killed.

    Raises:
        ConnectionError: whoever should run it is gone.
    """
    told = json.dumps([list(arguments), folder, dict(environment)]).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(place)
        socket.send_fds(connection, [len(told).to_bytes(LENGTH, "big")], streams)
        connection.sendall(told)
        connection.settimeout(seconds)
        try:
            answer = connection.recv(16)
        except TimeoutError:
            connection.settimeout(None)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(16)
    if not answer:
        raise ConnectionError(f"nothing ran python {' '.join(arguments)}")
    return int(answer)


def heard(connection: socket.socket) -> tuple[list[str], str, dict[str, str], list[int]]:
    """Return what `ask` was told at the other end: arguments, folder, environment, streams."""
    length, streams, *_ = socket.recv_fds(connection, LENGTH, 3)
    waiting, told = int.from_bytes(length, "big"), b""
    while len(told) < waiting:
        told += (part := connection.recv(waiting - len(told)))
        if not part:
            raise ConnectionError("whoever asked is gone")
    arguments, folder, environment = json.loads(told)
    return arguments, folder, environment, streams


def python(place: str, arguments: Sequence[str]) -> NoReturn:
    """Do what `python` does with these arguments, and end as it ends."""
    if not arguments or not arguments[0].endswith(".py"):
        os.execv(sys.executable, [sys.executable, *arguments])
    # Not by pathlib, which takes as long to import as all else here.
    status = ask(place, arguments, os.getcwd(), os.environ, (0, 1, 2))  # noqa: PTH109
    if status < 0:
        with suppress(OSError):  # of SIGKILL, which is as it is
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    # Without the end of an interpreter, which takes as long as its start.
    os._exit(status)


if __name__ == "__main__":
    python(sys.argv[1], sys.argv[2:])
