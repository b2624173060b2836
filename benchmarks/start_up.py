"""Time what a job costs before it does anything: each program of the workflow started to print its help.

python benchmarks/start_up.py
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
# What takes longest to import, of all that the programs use.
HEAVY = ("torch", "pandas", "pyarrow", "numpy", "matplotlib", "sklearn", "av", "yt_dlp")


def started(command: list[str]) -> tuple[float, float]:
    """Run a command and return its seconds and its largest resident memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, command
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def imported(program: Path) -> list[str]:
    """Return the heavy packages that a program has imported when it has read its arguments."""
    # The help ends the program; what it had imported by then is asked for at its exit.
    code = (
        "import atexit, runpy, sys; sys.argv = [sys.argv[1], '--help'];"
        f"atexit.register(lambda: print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr));"
        f"sys.path.insert(0, {str(SCRIPTS)!r}); runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    run = subprocess.run([sys.executable, "-c", code, str(program)], capture_output=True, text=True, check=True)
    return run.stderr.split()


def main() -> None:
    """Run the benchmark and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print("| program | seconds | memory, MB | imports of the heavy packages |")
    print("| --- | ---: | ---: | --- |")
    for program in sorted(SCRIPTS.glob("*.py")):
        figures = [started([sys.executable, str(program), "--help"]) for _ in range(given.rounds)]
        seconds, memory = (statistics.median(values) for values in zip(*figures, strict=True))
        print(f"| {program.stem} | {seconds:.2f} | {memory:.0f} | {', '.join(imported(program))} |")


if __name__ == "__main__":
    main()
