"""Keep the wanted clips of archives that are far too large to keep: tar parts, read while they arrive, or a zip.

Killed at any point, the same command goes on with the parts that were not read to their end.
"""

import argparse
import logging
import time
from collections import Counter
from pathlib import Path

from avrobust.data import journal
from avrobust.data.archive_parts import FAILED, MISSING, Outcome, Reading, part_list, read_parts, read_zip
from avrobust.data.archive_search import Search, wanted_videos, write_table
from avrobust.program import UserError, positive, progress, run

log = logging.getLogger("archive")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="its clips without a file are wanted")
    parser.add_argument("--folder", type=Path, required=True, help="where kept files go, as <video id>.<suffix>")
    parser.add_argument(
        "--state", type=Path, required=True, help="journal of the parts that were read; survives a kill"
    )
    parser.add_argument("--parts", nargs="*", metavar="ADDRESS", help="tar files, gzipped or not: paths or https://")
    parser.add_argument("--part-list", nargs="*", metavar="ADDRESS", help="or texts that name a tar file a line")
    parser.add_argument("--zip", nargs="?", metavar="ADDRESS", help="or a path, or address, also of Google Drive")
    parser.add_argument("--keep-free-gb", type=float, default=10.0, help="stop before less is free on the disk")
    parser.add_argument("--connections", type=positive, default=4, help="parts that are read at the same time")
    parser.add_argument("--tries", type=positive, default=5, help="of a part that breaks off, from its beginning")
    parser.add_argument(
        "--wait", type=float, default=2.0, help="seconds before the second try; each later wait is twice as long"
    )
    parser.add_argument("--output", type=Path, required=True, help="CSV: video_id,file,bytes,sha256,part,start,end")
    given = parser.parse_args()
    if sum(map(bool, (given.parts, given.part_list, given.zip))) != 1:
        parser.error("one of --parts, --part-list and --zip must be given")
    return given


def main() -> None:
    """Run the program."""
    given = arguments()
    # Datasets of the same videos share the journal: the second one to come reads only what the first had no use for.
    with journal.alone(given.state):
        _keep_wanted(given)


def _keep_wanted(given: argparse.Namespace) -> None:
    reading = Reading(round(given.keep_free_gb * 1e9), given.tries, given.wait)
    search = Search(wanted_videos(given.manifest), given.folder, given.state)
    outcomes = _outcomes(given, search, reading)
    missing = [one.part for one in outcomes if one.status == MISSING]
    failed = [one.part for one in outcomes if one.status == FAILED]
    if failed and not search.complete():
        raise UserError(
            f"{len(failed)} of {len(outcomes)} parts could not be read: {' '.join(failed)}; run the same command "
            "again: it goes on with these only"
        )
    if missing and len(missing) == len(outcomes) and not search.found:
        raise UserError(f"the server has none of the {len(missing)} parts, for one {missing[0]}; check the address")
    write_table(given.output, search.found.values())
    lost = len(search.wanted) - len(search.found)
    log.info(
        "%d of %d wanted videos are there, %d in no part that was read", len(search.found), len(search.wanted), lost
    )


def _outcomes(given: argparse.Namespace, search: Search, reading: Reading) -> list[Outcome]:
    if search.complete():
        log.info("all wanted videos are there, no part is read")
        return []
    if given.zip:
        return [read_zip(address, search, reading) for address in search.unread([given.zip])]
    lists = [part_list(address, reading) for address in given.part_list or ()]
    addresses = list(dict.fromkeys(given.parts or [address for of_list in lists for address in of_list]))
    if not addresses:
        raise UserError(f"{' '.join(given.part_list)}: no part is named there")
    unread = search.unread(addresses)
    log.info("%d of %d parts are to be read", len(unread), len(addresses))
    began = time.monotonic()

    def told() -> str:
        rate = search.bytes / 1e6 / max(time.monotonic() - began, 1e-3)
        return f"{rate:.1f} MB/s, {len(search.found)} of {len(search.wanted)} found"

    made = read_parts(unread, search, reading, given.connections)
    outcomes = list(progress(made, label="reading", unit="parts", total=len(unread), note=told))
    counts = Counter(one.status for one in outcomes)
    log.info("%s", ", ".join(f"{count} parts {status}" for status, count in sorted(counts.items())))
    return outcomes


if __name__ == "__main__":
    run(main)
