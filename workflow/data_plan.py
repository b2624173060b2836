"""What bringing the real datasets here will take: clips, hours at the rate budget, disk. Nothing is made or downloaded.

python workflow/data_plan.py                     # the paper scale, as config.yaml has it otherwise
python workflow/data_plan.py 'datasets={audioset: {}}'
"""

import json
import math
import sys
from collections import Counter
from collections.abc import Mapping, Set
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from avrobust.program import UserError
from lib.errors import SettingsError
from lib.plan import Plan
from lib.settings import paper_scale_config

ROOT = Path(__file__).resolve().parents[1]

# Of a frame as JPEG whose short side has 256 pixels (benchmarks/packing.py); smaller ones go with its power of 1.5, as
# the frames of real clips do.
JPEG_BYTES, JPEG_SIDE, JPEG_POWER = 23_500, 256, 1.5
# MIT-MUSIC's videos are as long on average, by the frame counts of the released lists.
SECONDS_OF_A_WHOLE_VIDEO = 123


def row(plan: Plan, dataset: str) -> dict:
    """Return what is left to do for a dataset; `folder`: of its files, which others may share."""
    facts, clips = plan.settings.datasets[dataset], plan.data.clips(dataset)
    shards = {Path(one).stem for one in plan.data.packed_shards(dataset)}
    statuses = _statuses(plan.settings.root / plan.data.place(dataset) / "data" / dataset / "locations", shards)
    here, lost = statuses["ok"], sum(statuses[name] for name in ("gone", "geo", "age", "media"))
    left = max(clips - here - lost, 0)
    archived = "archive" in facts["sources"]
    from_web = left if "youtube" in facts["sources"] and not archived else 0
    seconds = facts.get("clip_seconds", SECONDS_OF_A_WHOLE_VIDEO)
    return {
        "dataset": dataset,
        "clips": clips,
        "here": here,
        "lost": lost,
        "hours of web": from_web / plan.settings.config["download"]["videos_per_hour"],
        "archive": f"{facts.get('archive_gigabytes', math.nan):g} GB" if archived and left else "",
        "media, GB": left * facts["megabytes_per_video"] / 1000,
        "packed, GB": clips * seconds * packed_bytes(facts) / 1e9,
        "features, GB": clips * feature_bytes(plan, dataset) / 1e9,
        "sources": ", ".join(facts["sources"]),
        "folder": facts["media"],
    }


def packed_bytes(facts: Mapping) -> float:
    """Return what a second of a dataset takes in its shards."""
    jpeg = JPEG_BYTES * ((facts["short_side"] or JPEG_SIDE) / JPEG_SIDE) ** JPEG_POWER
    return 2 * facts["audio_rate"] + jpeg * facts["frame_rate"]


def feature_bytes(plan: Plan, dataset: str) -> float:
    """Return what the features of a clip take that a net sees a dataset through, nan where it sees clips.

    Raises:
        UserError: its extractor cannot be made.
    """
    if not (name := plan.data.extractor_of(dataset)):
        return math.nan
    # Not at the top: a plan without features needs no torch.
    import torch

    from avrobust.data.feature_store import FEATURES
    from avrobust.evaluation.extraction import feature_shapes
    from avrobust.models.extractor import build_extractor
    from avrobust.views.view import build_view

    facts, told = plan.settings.datasets[dataset], plan.features.told(SimpleNamespace(dataset=dataset, extractor=name))
    rates = SimpleNamespace(audio_rate=facts["audio_rate"], frame_rate=facts["frame_rate"])
    encoders, _ = build_extractor(name, json.loads(told["encoders"]), {})
    forms, values = build_view(json.loads(told["view"])).inputs(rates), 0
    for modality, encoder in encoders.items():
        # On "meta" nothing is computed, which would take long for pictures; it has no autocast, which sounds need.
        device = torch.device("meta" if forms[modality].is_picture else "cpu")
        of_one = torch.nn.ModuleDict({modality: encoder.to(device)})
        values += sum(map(math.prod, feature_shapes(of_one, forms, device).values()))
    return FEATURES.itemsize * values


def _statuses(folder: Path, shards: Set[str]) -> Counter[str]:
    """Count what came of the clips of these shards, of those being fetched too; others are of another size."""
    found: Counter[str] = Counter()
    tables = {path.stem: path for path in sorted(folder.glob("*.csv")) if path.stem in shards}
    for path in tables.values():
        found.update(pd.read_csv(path)["status"])
    for path in sorted(folder.glob("*.jsonl")):
        if path.stem in shards - tables.keys():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            records = [json.loads(line) for line in lines if line.endswith("\n")]
            found.update({record["video_id"]: record["kind"] for record in records}.values())
    return found


def table(rows: pd.DataFrame) -> str:
    """Return the rows, and their sums; hours and media are those of the largest dataset of the same videos."""
    once = rows.groupby("folder")[["hours of web", "media, GB"]].max().sum()
    sums = {"dataset": "all", **rows[["clips", "here", "lost", "packed, GB", "features, GB"]].sum(), **once}
    whole = pd.concat([rows, pd.DataFrame([sums])]).drop(columns="folder")
    if rows["features, GB"].isna().all():
        whole = whole.drop(columns="features, GB")
    shown = dict.fromkeys(["clips", "here", "lost"], "{:,.0f}".format)
    shown |= dict.fromkeys(["hours of web", "media, GB", "packed, GB", "features, GB"], "{:,.1f}".format)
    return whole.set_index("dataset").rename_axis(None).to_string(formatters=shown, na_rep="")


def main() -> None:
    """Print the table."""
    try:
        plan = Plan.load(ROOT, paper_scale_config(ROOT, sys.argv[1:]), conda=True)
    except SettingsError as error:
        sys.exit(f"error: {error}")
    try:
        rows = [row(plan, name) for name, facts in plan.settings.datasets.items() if facts["source"] == "lists"]
    except UserError as error:
        sys.exit(f"error: {error}")
    if not rows:
        sys.exit(f"scale {plan.settings.scale_name} has no dataset that comes from published lists")
    print(table(pd.DataFrame(rows)))
    rate = plan.settings.config["download"]["videos_per_hour"]
    print(
        f"\nhours of web: at {rate:g} videos an hour of one address (download.videos_per_hour); lost: gone for good;\n"
        "all: of datasets with the same videos, hours and media of the largest."
    )


if __name__ == "__main__":
    main()
