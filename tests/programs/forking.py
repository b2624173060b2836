"""Run as a program by the tests: forks a process that has imported much for each program that it is asked for.

Arguments: `socket=module,module,...` each, for the programs that are asked for at that socket. What is imported is so
at the first of them. It ends with whoever started it, whose end of the pipe to standard input is the only one.
"""

import atexit
import gc
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from asked import heard

# Ended by the end of the pipe alone: who is asked for nothing more has ended what it ran before.
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# The status of a program that did not come to start.
NOT_STARTED = 70


def main() -> None:
    """Run the program."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in IGNORED}
    modules = {}
    for told in sys.argv[1:]:
        place, _, names = told.partition("=")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(place)
        listener.listen()
        modules[listener] = names.split(",")
    print(flush=True)
    while ready := _asked(modules):
        for listener in ready:
            names = modules.pop(listener)
            if not os.fork():
                for other in modules:
                    other.close()
                _import(names)
                _fork_for_each(listener, before)
            # Whoever asks there is refused once the fork is gone.
            listener.close()


def _asked(listeners: Iterable[socket.socket]) -> list[socket.socket]:
    """Wait until something is asked for, and return where; nothing once this process is to end."""
    ready, _, _ = select.select([sys.stdin, *listeners], [], [])
    return [] if sys.stdin in ready else ready


def _import(names: Iterable[str]) -> None:
    for name in names:
        import_module(name)
    # Else each fork looks through all that was imported for garbage, and so copies it.
    gc.collect()
    gc.freeze()


def _fork_for_each(listener: socket.socket, before: Mapping) -> NoReturn:
    while _asked([listener]):
        connection, _ = listener.accept()
        # Several programs run at a time; those that have ended are let go of.
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not os.fork():
            listener.close()
            _answer(connection, before)
        connection.close()
    os._exit(0)


def _answer(connection: socket.socket, before: Mapping) -> NoReturn:
    told = heard(connection)
    woken, waking = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child = os.fork()
    if not child:
        signal.set_wakeup_fd(-1)
        for number, handler in {**before, signal.SIGCHLD: signal.SIG_DFL}.items():
            signal.signal(number, handler)
        connection.close()
        _become(*told)
    for stream in told[-1]:
        os.close(stream)
    # SIGCHLD also comes of one that is stopped.
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        ready, _, _ = select.select([woken, connection], [], [])
        if connection in ready:  # whoever asks says nothing more: this is its end
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
                os.killpg(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
            break
        with suppress(BlockingIOError):
            os.read(woken, 4096)
    with suppress(OSError):
        connection.sendall(str(os.waitstatus_to_exitcode(ended[1])).encode())
    os._exit(0)


def _become(arguments: list[str], folder: str, environment: Mapping[str, str], streams: list[int]) -> NoReturn:
    """Be `python` with these arguments: `-m module ...` or `program.py ...`."""
    try:
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        if known := sys.modules.get("multiprocessing.process"):
            # Where its own processes find the program's file.
            known.ORIGINAL_DIR = folder
        if arguments[0] == "-m":
            sys.argv, sys.path[0] = arguments[1:], folder
            run = partial(runpy.run_module, alter_sys=True)
        else:
            sys.argv, sys.path[0] = arguments, str(Path(arguments[0]).resolve().parent)
            run = runpy.run_path
    except BaseException:
        traceback.print_exc()
        os._exit(NOT_STARTED)
    status = _status_of(partial(run, sys.argv[0], run_name="__main__"))
    # All that Python does at an end, but to take apart what was imported, which takes half a second.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _status_of(run: Callable[[], object]) -> int:
    try:
        run()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main()
