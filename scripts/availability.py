"""Join what came of the clips of every shard, and fail if too few are left to work with."""

import argparse
import logging

from avrobust.data import availability, manifest
from avrobust.files import replacing
from avrobust.program import run

log = logging.getLogger(__name__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", required=True, help="the shards' CSV files")
    parser.add_argument("--manifest", required=True)
    parser.add_argument("--minimum-share", type=float, required=True, help="of ok clips in each split, each shard")
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()

    clips = manifest.read(arguments.manifest)
    tally = availability.Tally()
    # Nothing is left at the output's place unless the check passes.
    with replacing(arguments.output) as temporary:
        availability.write(temporary, tally.passing(availability.joined(arguments.parts, clips)))
        for line in tally.table():
            log.info("%s", line)
        tally.check(arguments.minimum_share)
        availability.check_shards(arguments.parts, arguments.minimum_share)


if __name__ == "__main__":
    run(main)
