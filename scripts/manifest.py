"""Write the manifest of a dataset: one row per wanted clip, and the class list."""

import argparse
import logging

from avrobust.data import lists, manifest
from avrobust.program import progress, run

log = logging.getLogger(__name__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--folder", required=True, help="where the media files are")
    common.add_argument("--manifest", required=True, help="output, CSV")
    common.add_argument("--class-list", required=True, help="output: one class a line, in label order")
    kinds = parser.add_subparsers(dest="kind", required=True)

    local = kinds.add_parser("local", parents=[common], help="your own clips")
    local.add_argument("--table", required=True, help="CSV: clip_id,path,label,split[,start,end]")
    classes = local.add_mutually_exclusive_group(required=True)
    classes.add_argument("--classes", nargs="+", metavar="NAME", help="class names in label order")
    classes.add_argument("--classes-from-table", action="store_true", help="the names found, sorted")

    released = kinds.add_parser("lists", parents=[common], help="the released lists of Tian & Xu")
    for split in manifest.SPLITS:
        released.add_argument(f"--{split}", required=True, help=f"the {split} list")
    released.add_argument("--classes", nargs="+", required=True, metavar="NAME", help="in label order")

    arguments = parser.parse_args()
    if arguments.kind == "local":
        names = arguments.classes or lists.table_classes(arguments.table)
        clips = lists.table_clips(arguments.table, names, arguments.folder)
    else:
        files = {split: getattr(arguments, split) for split in manifest.SPLITS}
        names = arguments.classes
        clips = lists.released_clips(files, names, arguments.folder)
    count = manifest.write(arguments.manifest, progress(clips, label="manifest", unit="clips"))
    manifest.write_classes(arguments.class_list, names)
    log.info("%d clips of %d classes", count, len(names))


if __name__ == "__main__":
    run(main)
