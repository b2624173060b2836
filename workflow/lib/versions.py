"""Results that were made with other versions of what computes them than are installed now.

A new version makes nothing anew by itself, as that may be weeks of computing for a change of rounding. So it is said.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path

PACKAGES = ("torch", "numpy")

# Below the folder of a scale's results: where the rules write down what they were made with.
PROVENANCE = {
    "train": "models/*/*/s*/train.json",
    "search": "models/*/*/search_provenance.json",
    "attack": "cells/*/*/s*/*.json",
    "localise": "localisation/*/*/s*/*.json",
    "embed": "embeddings/*/*/s*/*.json",
    "attack_in_float32": "precision/*/*/s*/*.json",
}


def made_with(results: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield (rule, versions by package) of every result that says it; what is damaged says nothing."""
    for rule, pattern in PROVENANCE.items():
        for path in results.glob(pattern):
            try:
                yield rule, json.loads(path.read_bytes())["versions"]
            except (OSError, ValueError, KeyError, TypeError):
                continue


def report(results: Path) -> None:
    """Say on standard error, in a line for each, with which other versions results of a scale were made."""
    for line in mixture(results):
        print(line, file=sys.stderr)


def mixture(results: Path) -> list[str]:
    """Return a line for each other version that results of a scale were made with, and how to make them anew."""
    installed = dict(_installed())
    counts: Counter[tuple[str, str, str]] = Counter()
    for rule, versions in made_with(results):
        for name, now in installed.items():
            if name in versions and _public(versions[name]) != now:
                counts[name, _public(versions[name]), rule] += 1
    lines = []
    for name, version in sorted({(name, version) for name, version, _ in counts}):
        rules = [rule for rule in PROVENANCE if counts[name, version, rule]]
        number = sum(counts[name, version, rule] for rule in rules)
        lines.append(
            f"warning: results in {results.relative_to(results.parents[1])} that were made with {name} {version}: "
            f"{number}; installed now is {installed[name]}; they stay beside new ones unless you make them anew: "
            f"snakemake --config scale={results.name} --forcerun {' '.join(rules)} -- all"
        )
    return lines


def _installed() -> Iterator[tuple[str, str]]:
    """Yield (package, version) of those that are there: beside `--sdm conda` Snakemake's own environment needs none."""
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            yield name, _public(metadata.version(name))


def _public(version: str) -> str:
    """Return a version without what tells builds of it apart, such as +cu130."""
    return version.partition("+")[0]
