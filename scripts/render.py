"""Render a dataset: short mp4 clips of sounding, moving objects, and the manifest that lists them."""

import argparse
import logging
from pathlib import Path

from avrobust.data.manifest import write_classes
from avrobust.data.rendering import render
from avrobust.program import UserError, json_argument, positive, run
from avrobust.spec.rendered import Clearness, Dataset


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="its name, which also seeds its clips")
    parser.add_argument("--classes", required=True, nargs="+", metavar="NAME", help="names of the classes")
    parser.add_argument(
        "--clips", required=True, type=json_argument, metavar="JSON",
        help='clips of the first class of each split, as in {"train": 20, "val": 4, "test": 8}',
    )  # fmt: skip
    parser.add_argument(
        "--size-ratio", type=float, default=Dataset.size_ratio,
        help="clips of the first class to those of the last (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--labels", type=positive, default=Dataset.labels, help="most labels of a clip (default: %(default)s)"
    )
    parser.add_argument(
        "--parents", type=json_argument, default={}, metavar="JSON",
        help='classes that are a kind of another, as in {"Civil defense siren": "Siren"}',
    )  # fmt: skip
    for part, of in (("sound", "above another sound"), ("picture", "of colour and texture")):
        parser.add_argument(
            f"--{part}-clearness", type=float, default=getattr(Dataset.clearness, part), metavar="DB",
            help=f"how far what sounds stands out on average, {of} (default: %(default)s)",
        )  # fmt: skip
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a clip (default: %(default)s)")
    parser.add_argument("--width", type=positive, default=96, help="of a frame, in pixels (default: %(default)s)")
    parser.add_argument("--height", type=positive, default=72, help="of a frame, in pixels (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of everything random (default: %(default)s)")
    parser.add_argument("--processes", type=positive, default=1, help="worker processes (default: %(default)s)")
    parser.add_argument("--media", required=True, type=Path, metavar="FOLDER", help="where the clips go")
    parser.add_argument("--class-list", required=True, type=Path, help="the classes, one a line, to write")
    parser.add_argument("--manifest", required=True, type=Path, metavar="CSV", help="written last of all")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    if not isinstance(given.clips, dict):
        raise UserError(f'--clips {given.clips!r}: give an object such as {{"train": 20, "test": 8}}')
    if not isinstance(given.parents, dict):
        raise UserError(f'--parents {given.parents!r}: give an object such as {{"Civil defense siren": "Siren"}}')
    dataset = Dataset(
        name=given.dataset,
        classes=tuple(given.classes),
        clips=given.clips,
        seconds=given.seconds,
        width=given.width,
        height=given.height,
        seed=given.seed,
        clearness=Clearness(given.sound_clearness, given.picture_clearness),
        size_ratio=given.size_ratio,
        labels=given.labels,
        parents=given.parents,
    )
    write_classes(given.class_list, dataset.classes)
    count = render(dataset, given.media, given.manifest, given.processes)
    logging.info("%d clips of %d classes in %s", count, len(dataset.classes), given.media)


if __name__ == "__main__":
    run(main)
