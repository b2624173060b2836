"""What training and attacking will take: hours per paper and kind of job, from those that have run here. Makes nothing.

A job that has run took what Snakemake's benchmark file says. One still to come is taken to last as long as those of its
kind on its dataset have on average, else as those of its kind on any dataset. Before the first has run there is nothing
to go by; the last line then names one to measure.

python workflow/compute_plan.py                     # the paper scale, as config.yaml has it otherwise
python workflow/compute_plan.py scale=demo
"""

import csv
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from types import SimpleNamespace

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from lib.errors import SettingsError
from lib.grid import FLOAT32, Key
from lib.plan import Plan
from lib.settings import paper_scale_config

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("train", "search", "attack", "localise", "embed")
# What the programs of the grid's families are called.
PROGRAMS = {"localisation": "localise", "embeddings": "embed"}


@dataclass(frozen=True)
class Job:
    """A job on a GPU; `name` is what its benchmark file and its log are called."""

    kind: str
    dataset: str
    name: str


def jobs(plan: Plan, paper: str) -> set[Job]:
    """Return what the artefacts of a paper need: the attacks, their nets, and what those were made of."""
    seeds = plan.settings.scale["seeds"]
    found: set[Job] = set()
    nets: set[tuple[str, str]] = set()
    cells: set[Key] = set()
    for (of, _), artefact in plan.grid.artefacts.items():
        if of == paper:
            for family, program in PROGRAMS.items():
                for dataset, variant, attack in artefact.needs[family]:
                    found |= {Job(program, dataset, f"{program}_{variant}_s{seed}_{attack}") for seed in seeds}
                    nets.add((dataset, variant))
            cells |= set(artefact.needs["cells"])
    for (dataset, bundle), keys in plan.attack.bundles.items():
        # The one that is made in float32 too is beside a cell that an artefact needs.
        if cells & {(*key[:2], key[2].removesuffix(f"_{FLOAT32}")) for key in keys}:
            found |= {Job("attack", dataset, f"attack_{bundle}_s{seed}") for seed in seeds}
            nets |= {(dataset, name) for key in keys for name in (key[1], *plan.attack.cells[key])}
    for dataset, variant in _with_starts(plan, nets):
        found |= {Job("train", dataset, f"train_{variant}_s{seed}") for seed in seeds}
        if plan.train.variant(SimpleNamespace(dataset=dataset, variant=variant)).search:
            found.add(Job("search", dataset, f"search_{variant}"))
    return found


def _with_starts(plan: Plan, nets: set[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the nets and those that they go on from, each once."""
    waiting, seen = list(nets), set(nets)
    while waiting:
        dataset, variant = waiting.pop()
        yield dataset, variant
        start = plan.train.variant(SimpleNamespace(dataset=dataset, variant=variant)).start
        if start and (dataset, start) not in seen:
            seen.add((dataset, start))
            waiting.append((dataset, start))


def seconds(benchmarks: Path, job: Job) -> float | None:
    """Return how long a job took, None if it has not run here."""
    path = benchmarks / job.dataset / f"{job.name}.tsv"
    if not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        return float(next(csv.DictReader(file, delimiter="\t"))["s"])


def hours(wanted: set[Job], taken: Mapping[Job, float]) -> tuple[float, float | None]:
    """Return the hours that the jobs which have run took, and those that the rest will: None if nothing tells."""
    by_dataset, by_kind = defaultdict(list), defaultdict(list)
    for job, took in taken.items():
        by_dataset[job.kind, job.dataset].append(took)
        by_kind[job.kind].append(took)
    left = [by_dataset.get((job.kind, job.dataset)) or by_kind.get(job.kind) for job in wanted - taken.keys()]
    spent = sum(taken[job] for job in wanted & taken.keys()) / 3600
    return spent, None if None in left else sum(map(mean, left)) / 3600


def table(plan: Plan, wanted: Mapping[str, set[Job]], taken: Mapping[Job, float]) -> list[str]:
    """Return lines of text: a row per paper and kind of job, and one for all, in which shared jobs count once."""
    lines = [f"{'paper':<12}{'jobs':<10}{'number':>8}{'done':>8}{'hours done':>12}{'hours left':>12}"]
    parts = [
        (paper, kind, {job for job in of_paper if job.kind == kind})
        for paper, of_paper in wanted.items()
        for kind in KINDS
    ]
    for paper, kind, some in [*parts, ("all", "", set().union(*wanted.values()))]:
        if some:
            spent, left = hours(some, taken)
            shown = "?" if left is None else f"{left:,.2f}"
            done = len(some & taken.keys())
            lines.append(f"{paper:<12}{kind:<10}{len(some):>8,}{done:>8,}{spent:>12,.2f}{shown:>12}")
    return lines


def devices(results: Path) -> list[str]:
    """Return what the nets and attacks here were computed on."""
    written = [*results.glob("**/models/*/*/s*/train.json"), *results.glob("**/cells/*/s*/*.json")]
    return sorted({json.loads(path.read_text(encoding="utf-8"))["device"] for path in written})


def main() -> None:
    """Print the table."""
    try:
        plan = Plan.load(ROOT, paper_scale_config(ROOT, sys.argv[1:]))
    except SettingsError as error:
        sys.exit(f"error: {error}")
    wanted = {paper: jobs(plan, paper) for paper in plan.settings.papers}
    everything = sorted(set().union(*wanted.values()), key=lambda job: (job.kind, job.dataset, job.name))
    root = plan.settings.root
    measured = {job: seconds(root / plan.train.place(job.dataset) / "benchmarks", job) for job in everything}
    taken = {job: took for job, took in measured.items() if took is not None}
    print("\n".join(table(plan, wanted, taken)), end="\n\n")
    if seen := devices(root / plan.train.results):
        print(f"hours of one job at a time, on {', '.join(seen)}")
    for kind in KINDS:
        if any(job.kind == kind for job in everything) and not any(job.kind == kind for job in taken):
            print(f"{kind}: none has run at this scale, so nothing tells how long one takes")


if __name__ == "__main__":
    main()
