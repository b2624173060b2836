"""Ask VideoLLaMA2 about clips, clean and attacked, as scripts/export.py wrote them, and keep its answers.

Runs in an environment of its own (envs/videollama.yaml).
"""

import argparse
import logging
import platform
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from avrobust.asked.answers import CLEAN, Answer, write_answers
from avrobust.asked.videollama2 import COMMIT, VideoLLaMA2
from avrobust.csv_text import read_csv
from avrobust.files import write_json
from avrobust.program import UserError, json_argument, named_path, progress, run

log = logging.getLogger("videollama")


class Clip(NamedTuple):
    """A file and what it is of."""

    path: Path
    label: str


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--clips", type=named_path, nargs="+", required=True, metavar="ATTACK=CSV", help=f"tables; {CLEAN}=CSV first"
    )
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--key", type=json_argument, required=True, help='JSON: {"dataset": ..., "surrogate": ...}')
    parser.add_argument("--weights", type=Path, required=True, help="folder of the checkpoint VideoLLaMA2.1-7B-AV")
    parser.add_argument("--repository", type=Path, required=True, help=f"checkout of VideoLLaMA2 at {COMMIT}")
    parser.add_argument("--code", default="", help="digest of the code, written down")
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--provenance", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given, start = arguments(), time.perf_counter()
    tables = {attack: read_clips(path) for attack, path in given.clips}
    clip_ids = common_clips(tables)
    model = VideoLLaMA2(given.weights, given.repository)
    asked = [(clip_id, attack) for clip_id in clip_ids for attack in tables]

    def answers() -> Iterator[Answer]:
        for clip_id, attack in progress(asked, label="asking", unit="clips", total=len(asked)):
            clip = tables[attack][clip_id]
            answer = model.ask(clip.path, given.prompt)
            yield Answer(**given.key, clip_id=clip_id, label=clip.label, attack=attack, answer=answer)

    write_answers(given.answers, answers())
    made = {"prompt": given.prompt, "weights": str(given.weights), "commit": COMMIT, "clips": len(clip_ids)}
    made |= {"attacks": list(tables), "code": given.code, "seconds": round(time.perf_counter() - start, 1)}
    write_json(given.provenance, {**made, **given.key, "python": platform.python_version()})
    log.info("%d clips, %d answers", len(clip_ids), len(asked))


def read_clips(path: Path) -> dict[str, Clip]:
    """Return the clips of a table, whose paths are relative to its folder, by their names.

    Raises:
        UserError: the table has other columns, or a file is not there.
    """
    header, lines = read_csv(path)
    if missing := [name for name in ("clip_id", "path", "label") if name not in header]:
        raise UserError(f"{path}: no column {', '.join(missing)}; give a table of scripts/export.py")
    clips = {line["clip_id"]: Clip(path.parent / line["path"], line["label"]) for line in lines}
    for clip in clips.values():
        if not clip.path.is_file():
            raise UserError(f"{path}: {clip.path} is not there; remove the table, and let snakemake export it anew")
    return clips


def common_clips(tables: Mapping[str, Mapping[str, Clip]]) -> list[str]:
    """Return the names of the clips of all tables, sorted.

    Raises:
        UserError: the tables are not of the same clips.
    """
    first, *others = tables
    for other in others:
        if differing := tables[first].keys() ^ tables[other].keys():
            raise UserError(f"clips of {first} and {other} are not the same: {sorted(differing)[0]} is in one alone")
    return sorted(tables[first])


if __name__ == "__main__":
    run(main)
