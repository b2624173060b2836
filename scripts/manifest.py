"""Write the manifest of a dataset: one row per wanted clip, and the class list."""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

from avrobust.data import lists, manifest
from avrobust.data.local_files import with_local_files
from avrobust.data.manifest import Clip
from avrobust.data.protocols.registry import CLASS_NAMES, PROTOCOLS
from avrobust.lazy import load
from avrobust.program import UserError, json_argument, named_path, progress, run

log = logging.getLogger("manifest")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser(description=__doc__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--manifest", required=True, help="output, CSV")
    common.add_argument("--class-list", required=True, help="output: one class a line, in label order")
    kinds = parser.add_subparsers(dest="kind", required=True)

    local = kinds.add_parser("local", parents=[common], help="your own clips")
    local.add_argument("--folder", required=True, help="where the media files are")
    local.add_argument("--table", required=True, help="CSV: clip_id,path,label,split[,start,end]")
    classes = local.add_mutually_exclusive_group(required=True)
    classes.add_argument("--classes", nargs="+", metavar="NAME", help="class names in label order")
    classes.add_argument("--classes-from-table", action="store_true", help="the names found, sorted")

    protocol = kinds.add_parser("protocol", parents=[common], help="published lists; without files, if need be")
    protocol.add_argument("--protocol", required=True, help=f"what the lists mean: {', '.join(PROTOCOLS)}")
    protocol.add_argument("--list", nargs="+", required=True, type=named_path, metavar="NAME=PATH", help="the lists")
    protocol.add_argument("--options", type=json_argument, default={}, help="of the protocol, as JSON")
    protocol.add_argument("--classes", nargs="*", metavar="NAME", help="class names in label order")
    protocol.add_argument("--class-index", nargs="?", metavar="CSV", help="or the file that names them (AudioSet)")
    protocol.add_argument("--folder", nargs="?", help="where media are looked for; without it nowhere")
    protocol.add_argument("--spans-needed", action="store_true", help="a clip is a part of its video, never the whole")
    protocol.add_argument("--local-only", action="store_true", help="files come from --folder alone: it must exist")
    return parser.parse_args()


def table_clips(given: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Clip]]:
    """Return (class names, clips) of a user's table."""
    names = given.classes or lists.table_classes(given.table)
    return names, lists.table_clips(given.table, names, given.folder)


def published_clips(given: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Clip]]:
    """Return (class names, clips) of published lists, with the files that are there already."""
    files = dict(given.list)
    if len(files) < len(given.list):
        raise UserError(f"--list: a name is given twice: {' '.join(f'{name}={path}' for name, path in given.list)}")
    if not isinstance(given.options, dict):
        raise UserError(f"--options: {given.options!r} is no JSON object, like {{}}")
    if bool(given.classes) == bool(given.class_index):
        raise UserError("either --classes or --class-index must be given")
    clips = load(PROTOCOLS, given.protocol)
    if given.class_index:
        if given.protocol not in CLASS_NAMES:
            raise UserError(f"--class-index is for {', '.join(CLASS_NAMES)}; give --classes for {given.protocol}")
        files["class_index"] = Path(given.class_index)
        names = load(CLASS_NAMES, given.protocol)(given.class_index)
    else:
        names = manifest.checked_classes("--classes", given.classes)
    if given.local_only and not given.folder:
        raise UserError("--local-only: files come from --folder alone; give it")
    made = clips(files, names, given.options)
    return names, with_local_files(made, given.folder, given.local_only, given.spans_needed) if given.folder else made


def main() -> None:
    """Run the program."""
    given = arguments()
    names, clips = table_clips(given) if given.kind == "local" else published_clips(given)
    where = given.table if given.kind == "local" else "the lists"
    clips = lists.with_classes_checked(clips, names, where)
    count = manifest.write(given.manifest, progress(clips, label="manifest", unit="clips"))
    manifest.write_classes(given.class_list, names)
    log.info("%d clips of %d classes", count, len(names))


if __name__ == "__main__":
    run(main)
