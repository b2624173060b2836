"""Make one table, figure or ledger: measure what its layout asks for, and write it."""

import argparse
import logging

from avrobust.lazy import load
from avrobust.program import json_argument, run
from avrobust.report.given import READS, Given
from avrobust.report.matplotlib_settings import leave_out_the_users
from avrobust.report.registry import WRITERS
from avrobust.spec.registry import KINDS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", required=True, choices=KINDS)
    parser.add_argument("--spec", type=json_argument, required=True, help="layout: avrobust/spec/artefacts/<kind>.py")
    parser.add_argument("--scale", required=True, help="name of the scale at which what is read was made")
    for name in READS:
        parser.add_argument(f"--{name}", nargs="*", default=[], metavar="FILE", help="avrobust/report/given.py")
    parser.add_argument("--files", nargs="+", required=True, metavar="FILE", help="to write, in the kind's order")
    arguments = parser.parse_args()

    kind = load(KINDS, arguments.kind)
    layout = kind.parse(arguments.spec)
    leave_out_the_users()
    # What measures and draws takes longer to load than a mistake takes to be found.
    write = load(WRITERS, arguments.kind)
    given = Given(arguments.scale, **{name: getattr(arguments, name) for name in READS})
    logging.info(write(layout, given, dict(zip(kind.files, arguments.files, strict=True))))


if __name__ == "__main__":
    run(main)
