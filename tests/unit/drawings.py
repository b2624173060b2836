"""Drawings are as they were when somebody looked at them: every line, mark and word, and where it stands."""

import csv
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

KNOWN = Path(__file__).with_name("drawings.csv")
# A tenth of a point is seen by nobody, and less is what another processor may make of it.
DIGITS = 1
# By what a drawing refers to parts of itself: matplotlib makes them of coordinates to the last digit.
REFERENCES = {"id", "clip-path", "href"}


def check_drawing(name: str, svg: Path, places: bool = True) -> None:
    """Fail unless a drawing is that of its name in drawings.csv; without `places`, how many parts of which form it has.

    Pixels of pictures are not looked at.
    """
    digest = hashlib.sha256("\n".join(_parts(svg, places)).encode()).hexdigest()[:16]
    with KNOWN.open(encoding="utf-8", newline="") as file:
        known = {row["drawing"]: row["digest"] for row in csv.DictReader(file)}
    assert digest == known.get(name), (
        f"{name} is drawn otherwise than when it was looked at last; look at {svg}, and if it is meant to be so, let "
        f"{KNOWN.name} have the line {name},{digest}"
    )


def _parts(svg: Path, places: bool) -> Iterator[str]:
    for element in ElementTree.parse(svg).getroot().iter():
        tag = _name(element.tag)
        if tag in ("svg", "g", "defs", "path", "use", "text", "tspan", "rect", "image", "clipPath", "style"):
            told = {_name(key): value for key, value in element.attrib.items()}
            said = [f"{key}={_rounded(told[key], places)}" for key in sorted(told.keys() - REFERENCES)]
            yield " ".join([tag, *said, _rounded((element.text or "").strip(), tag == "text" or places)])


def _name(tag: str) -> str:
    return tag.rpartition("}")[2]


def _rounded(text: str, places: bool) -> str:
    return re.sub(r"-?\d+(?:\.\d+)?", lambda found: f"{float(found[0]):.{DIGITS}f}" if places else "", text)
