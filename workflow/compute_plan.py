"""What features, training, attacks and rankings will take: hours per paper and kind of job, from those that ran here.

A job that has run took what Snakemake's benchmark file says. One still to come is taken to last as long by its work
(workflow/lib/work.py: gradients of copies and of an ensemble's nets, answers, epochs) as those of its kind on its
dataset have, else as those of its kind of its paper: clips of another paper are of other sizes. Before the first has
run there is nothing to go by; the last lines then name the kinds to measure.

python workflow/compute_plan.py                     # the paper scale, as config.yaml has it otherwise
python workflow/compute_plan.py scale=demo
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from avrobust.spec.kind import GEOMETRY, METRICS
from lib.errors import SettingsError
from lib.grid import FLOAT32, OF_CELLS
from lib.plan import Plan
from lib.settings import paper_scale_config

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("features", "train", "geometry", "search", "calibrate", "fit", "attack", "rank", "localise", "embed")
# A calibration and a fit are attacks on other clips.
LIKE = {"calibrate": "attack", "fit": "attack"}
JOB = ["kind", "dataset", "name"]


def jobs(plan: Plan, paper: str) -> dict[tuple[str, str, str], int]:
    """Return what the artefacts of a paper need that `all` makes, each with its work: attacks, nets, what these need.

    A job is its kind, its dataset, and what its benchmark file and its log are called.
    """
    needs = [of_one.needs for (of, _), of_one in plan.grid.artefacts.items() if of == paper and of_one.of_all]
    # What is made with every seed, and what with the first one alone.
    found, nets, once, once_nets, of_every_seed = {}, set(), set(), set(), set()
    for family, looked in plan.analysis.looked_into.items():
        for dataset, net, attack in {key for of_one in needs for key in of_one[family]}:
            nets.add((dataset, net))
            job = looked.program, dataset, f"{looked.program}_{net}_s{{seed}}_{attack}"
            found[job] = plan.analysis.passes(family, (dataset, net, attack))
    for key in {key for of_one in needs for key in of_one[GEOMETRY]}:
        dataset, net, _ = key
        job = "geometry", dataset, f"geometry_{net}_s{{seed}}"
        found[job] = plan.analysis.geometry_passes(dataset)
        if plan.grid.has_first_seed_alone(key):
            once.add(job)
            once_nets.add((dataset, net))
        else:
            nets.add((dataset, net))
    cells = {key for of_one in needs for family in OF_CELLS for key in of_one[family]}
    ranked = {key for of_one in needs for key in of_one[METRICS]}
    for (dataset, bundle), keys in plan.attack.bundles.items():
        # The one that is made in float32 too is beside a cell that an artefact needs.
        if cells & {*keys, *((*key[:2], key[2].removesuffix(f"_{FLOAT32}")) for key in keys)}:
            of_bundle = {
                (dataset, net) for key in keys for net in (*plan.grid.nets_of(key[1]), *plan.attack.cells[key])
            }
            job = "attack", dataset, f"attack_{bundle}_s{{seed}}"
            found[job] = plan.attack.bundle_work(keys)
            fitted = {plan.attack.fit_key(key) for key in plan.attack.fits_of(keys)}
            fits = {("fit", of, f"fit_{net}_s{{seed}}_{name}"): (of, net, name) for of, net, name in fitted}
            found |= {of_fit: plan.fit.passes(plan.attack.fit_bundles[one]) for of_fit, one in fits.items()}
            logits = plan.attack.ranked_logits(keys) if ranked.intersection(keys) else 0
            ranks = {("rank", dataset, f"rank_{bundle}_s{{seed}}"): logits} if logits else {}
            found |= ranks
            if len(plan.attack.seeds_of(keys)) < len(plan.settings.scale["seeds"]):
                once |= {job, *fits, *ranks}
                once_nets |= of_bundle
            else:
                of_every_seed |= fits.keys()
                nets |= of_bundle
    for name, (of, facts) in plan.grid.calibrations.items():
        if of == paper:
            nets |= {(facts["dataset"], net) for net in (facts["variant"], *facts["others"])}
            found["calibrate", "", f"calibrate_{name}"] = plan.calibration.passes(SimpleNamespace(budget=name))
    # What crafting is shown on, with the first seed.
    crafted = {(dataset, net) for of_one in needs for dataset, net, _ in of_one["crafting"]}
    once_nets |= {(dataset, plan.grid.variants[net][1]["start"]) for dataset, net in crafted}
    for dataset in {dataset for dataset, _ in nets | once_nets}:
        of_clips = plan.features.clips_of_jobs(dataset)
        found |= {("features", dataset, name): clips for name, clips in of_clips.items()}
    every_seed = plan.grid.with_starts(nets)
    of_every_seed |= found.keys() - once
    for dataset, net in plan.grid.with_starts(nets | once_nets):
        of_net = {("train", dataset, f"train_{net}_s{{seed}}"): plan.train.passes(net, dataset)}
        variant = plan.train.variant_on(net, dataset)
        if by := variant.recipe.get("prepare", {}).get("options", {}).get("geometry"):
            of_net["geometry", dataset, f"geometry_{by}_s{{seed}}"] = plan.analysis.geometry_passes(dataset)
        found |= of_net
        once |= of_net.keys()
        if (dataset, net) in every_seed:
            of_every_seed |= of_net.keys()
        if variant.search:
            found["search", dataset, f"search_{net}"] = plan.train.search_passes(net, dataset)
    once -= of_every_seed
    seeds = plan.settings.scale["seeds"]
    of_jobs = {job: seeds[:1] if job in once else seeds for job in found}
    named = {(*job, seed): passes for job, passes in found.items() for seed in of_jobs[job]}
    return {(kind, dataset, name.format(seed=seed)): passes for (kind, dataset, name, seed), passes in named.items()}


def benchmark(plan: Plan, dataset: str, name: str) -> Path:
    """Return where Snakemake writes down what a job took; one of no dataset has no folder of its own."""
    results = Path(plan.train.place(dataset) if dataset else plan.train.results)
    return plan.settings.root / results / "benchmarks" / dataset / f"{name}.tsv"


def measured(plan: Plan) -> pd.DataFrame:
    """Return a row for each paper and job: the seconds that it took (nan: has not run here), and those still to come.

    The latter are nan where nothing tells.
    """
    needed = {paper: jobs(plan, paper) for paper in plan.settings.papers}
    rows = [(paper, *job, of[job]) for paper, of in needed.items() for job in sorted(of)]
    frame = pd.DataFrame(rows, columns=["paper", *JOB, "passes"])
    frame["kind"] = pd.Categorical(frame["kind"], KINDS)
    paths = [benchmark(plan, *job) for job in zip(frame["dataset"], frame["name"], strict=True)]
    frame["seconds"] = [pd.read_csv(path, sep="\t")["s"][0] if path.exists() else float("nan") for path in paths]
    frame["like"] = frame["kind"].astype(str).replace(LIKE)
    done = frame.dropna(subset=["seconds"])
    found = []
    for by, of in ((["like", "dataset"], done.drop_duplicates(JOB)), (["paper", "like"], done)):
        sums = of.groupby(by)[["seconds", "passes"]].sum()
        found.append(frame.join((sums["seconds"] / sums["passes"]).rename("rate"), on=by)["rate"])
    near, of_paper = found
    return frame.assign(left=(near.fillna(of_paper) * frame["passes"]).where(frame["seconds"].isna(), 0.0))


def table(frame: pd.DataFrame) -> str:
    """Return a row per paper and kind of job, and one for all, in which shared jobs count once."""
    everything = frame.drop_duplicates(JOB).assign(paper="all", kind="")
    groups = pd.concat([frame.sort_values("kind", kind="stable"), everything]).groupby(["paper", "kind"], sort=False)
    found = groups.agg(
        number=("name", "size"),
        done=("seconds", "count"),
        spent=("seconds", lambda of: of.sum() / 3600),
        left=("left", lambda of: of.sum(skipna=False) / 3600),
    )
    found = found.reset_index("kind").rename_axis(None)
    found = found.rename(columns={"kind": "jobs", "spent": "hours done", "left": "hours left"})
    whole, hours = "{:,}".format, "{:,.2f}".format
    shown = {"number": whole, "done": whole, "hours done": hours, "hours left": hours}
    return found.to_string(formatters=shown, na_rep="?")


def devices(results: Path) -> list[str]:
    """Return what the nets and attacks here were computed on."""
    written = [*results.glob("**/models/*/*/s*/train.json"), *results.glob("**/cells/*/s*/*.json")]
    return sorted({json.loads(path.read_text(encoding="utf-8"))["device"] for path in written})


def main() -> None:
    """Print the table."""
    try:
        plan = Plan.load(ROOT, paper_scale_config(ROOT, sys.argv[1:]), conda=True)
    except SettingsError as error:
        sys.exit(f"error: {error}")
    frame = measured(plan)
    print(table(frame), end="\n\n")
    if seen := devices(ROOT / plan.train.results):
        print(f"hours of one job at a time, on {', '.join(seen)}")
    for kind, left in frame.groupby("kind", observed=True)["left"]:
        if left.isna().all():
            print(f"{kind}: none has run at this scale, so nothing tells how long one takes")


if __name__ == "__main__":
    main()
