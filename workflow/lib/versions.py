"""Results that were made with other code, or other versions of what computes them, than are here now.

Changed code makes anew what it reaches, and Snakemake says only that a parameter changed; so the files are named. A new
version makes nothing anew by itself, as that may be weeks of computing for a change of rounding. So it is said.
"""

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from lib import digest
from lib.source import code_of

PACKAGES = ("torch", "numpy")

# Below the folder of a scale's results: of each digest of code that results there have, which files it was taken of.
CODE = "code.json"

# Below the folder of a scale's results: where the rules write down what they were made with.
PROVENANCE = {
    "features": "features/*/*/*_provenance.json",
    "train": "models/*/*/s*/train.json",
    "search": "models/*/*/search_provenance.json",
    "geometry": "geometry/*/*/s*.json",
    "craft": "crafting/*/*/s*.json",
    "calibrate": "budgets/*_provenance.json",
    "fit": "perturbations/*/*/s*/*.json",
    "attack": "cells/*/s*/*.json",
    "rank": "metrics/*/s*/*.json",
    "localise": "localisation/*/*/s*/*.json",
    "embed": "embeddings/*/*/s*/*.json",
}


Made = tuple[str, Mapping]


def made_with(results: Path) -> Iterator[Made]:
    """Yield (rule, provenance) of every result that has one; what is damaged says nothing."""
    for rule, pattern in PROVENANCE.items():
        # Datasets of another source than the scale's have a folder of its name.
        for path in (*results.glob(pattern), *results.glob(f"*/{pattern}")):
            with suppress(OSError, ValueError):
                provenance = json.loads(path.read_bytes())
                if isinstance(provenance, Mapping):
                    yield rule, provenance


def report(results: Path, scripts: Path, environment: Path | None = None) -> None:
    """Say on standard error what results of a scale were made with that is otherwise now, see `changed`, `mixture`."""
    made = list(made_with(results))
    for line in (*changed(results, scripts, made), *mixture(results, made, environment)):
        print(line, file=sys.stderr)


def remember(results: Path) -> None:
    """Write down of which files the digests were taken that results have or this run gives them."""
    codes = {provenance.get("code") for _, provenance in made_with(results)}
    known = {code: files for code, files in _known(results).items() if code in codes} | digest.SEEN
    results.mkdir(parents=True, exist_ok=True)
    temporary = results / f".part-{os.getpid()}-{CODE}"
    temporary.write_text(json.dumps(known, sort_keys=True), encoding="utf-8")
    temporary.replace(results / CODE)


def changed(results: Path, scripts: Path, made: Iterable[Made]) -> list[str]:
    """Return a line that names the files of `scripts` that do something else than when results were made with them."""
    known = _known(results)
    others = {
        code: [name for name, then in files.items() if code_of(scripts / name)[0] != then]
        for code, files in known.items()
    }
    counts = Counter((name, rule) for rule, provenance in made for name in others.get(provenance.get("code"), ()))
    told = []
    for name in sorted({name for name, _ in counts}):
        of_rules = ", ".join(f"{counts[name, rule]} of {rule}" for rule in PROVENANCE if counts[name, rule])
        told.append(f"{scripts.name}/{name} ({of_rules})")
    return [f"code that results in {_shown(results)} were made with has changed: {', '.join(told)}"] if told else []


def _known(results: Path) -> dict[str, dict[str, str]]:
    try:
        return json.loads((results / CODE).read_bytes())
    except (OSError, ValueError):
        return {}


def mixture(results: Path, made: Iterable[Made], environment: Path | None = None) -> list[str]:
    """Return a line for each other version that results of a scale were made with, and how to make them anew.

    `environment`: the file that names the versions, where rules run in an environment of conda's; None: in this one.
    """
    installed = dict(_installed() if environment is None else _pinned(environment))
    counts: Counter[tuple[str, str, str]] = Counter()
    for rule, provenance in made:
        versions = provenance.get("versions", {})
        for name, now in installed.items():
            if name in versions and _public(versions[name]) != now:
                counts[name, _public(versions[name]), rule] += 1
    lines = []
    for name, version in sorted({(name, version) for name, version, _ in counts}):
        rules = [rule for rule in PROVENANCE if counts[name, version, rule]]
        number = sum(counts[name, version, rule] for rule in rules)
        lines.append(
            f"warning: results in {_shown(results)} that were made with {name} {version}: "
            f"{number}; installed now is {installed[name]}; they stay beside new ones unless you make them anew: "
            f"snakemake --config scale={results.name} --forcerun {' '.join(rules)} -- all"
        )
    return lines


def _shown(results: Path) -> Path:
    return results.relative_to(results.parents[1])


def _installed() -> Iterator[tuple[str, str]]:
    """Yield (package, version) of those that are there."""
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            yield name, _public(metadata.version(name))


def _pinned(environment: Path) -> Iterator[tuple[str, str]]:
    """Yield (package, version) of those that an environment of conda's is made of."""
    for name, version in re.findall(r"^ *- *([\w-]+)==(\S+)$", environment.read_text(encoding="utf-8"), re.MULTILINE):
        if name in PACKAGES:
            yield name, _public(version)


def _public(version: str) -> str:
    """Return a version without what tells builds of it apart, such as +cu130."""
    return version.partition("+")[0]
