"""A copy of the workflow with a scale of seconds, and the real Snakemake run in it.

The tiny scale is small in everything and different in nothing: rendered clips are packed, nets trained and attacked,
and something of every kind published. Of Tian & Xu's paper it keeps MUSIC with four classes, Table 1 under FGSM, MIM
and noise, the control of the checks, three fusions of Table 2, of Table 3 a defence in two stages and one whose weights
are searched, Figure 3 with FGSM and MIM, a heat map, Figure 5, the localisation scores, two claims and the choices.
"""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import preloaded
import psutil
import yaml
from preloaded import TIME_LIMIT

from avrobust.spec import notation
from lib.settings import MAY_LACK, PAPER_FILES

REPOSITORY = Path(__file__).parents[2]
PARTS = ("Snakefile", "config.yaml", "envs", "profiles", "resources", "scripts", "workflow")
Result = TypeVar("Result")

TABLES = ("table1", "table2", "table3", "controls")
LEDGERS = ("choices", "claims", "localisation", "realisable")
FIGURES = ("figure1", "figure3", "figure5")
PUBLISHED = (
    *(f"{name}.csv" for name in (*TABLES, *LEDGERS)),
    *(f"tian2021/{name}.{suffix}" for name in (*TABLES, *LEDGERS) for suffix in ("csv", "md")),
    *(f"tian2021/{name}.{suffix}" for name in FIGURES for suffix in ("csv", "png", "svg")),
    "tian2021/claims_tests.csv",
    "tian2021/figure5_measures.csv",
    "availability.csv",
    "checks.csv",
)
CLAIMS = ("audio_visual_better_clean", "localisation_finds_sources")

CLASSES = 4
CLIPS = {"train": 4, "val": 1, "test": 2}
JOBS = ("render", "pack", "train", "attack")
TRAINING = {
    "epochs": 2,
    "milestones": [1],
    "batch_size": 4,
    "learning_rates": {"audio": 0.02, "visual": 0.02, "head": 0.02},
}
MEMORY = {"memory": {"columns": 8, "steps": {"audio": 1.0, "visual": 1.0}}}
SCALE = {
    "seeds": [1234],
    "source": "render",
    "render": {"seconds": 1.5, "width": 64, "height": 48, "seed": 1},
    "datasets": {"music": {"rendered": CLIPS}},
    "short_side": 48,
    "minimum_frames": 8,
    # Two shards. Like the nets they stay below 1 MB, up to which Snakemake compares contents and not only times.
    "shard_size": 15,
    "audio_rate": 11025,
    "frame_rate": 8,
    "view": {"name": "moment", "options": {"audio_samples": 4097, "frame_size": 32}},
    "papers": {
        "tian2021": {
            "parts": {"conv1d": {"width": 0.0625}, "resnet18": {"width": 0.0625}},
            "pretrained": False,
            "training": {
                "undefended": TRAINING,
                "defence": TRAINING,
                "control": {"batch_size": TRAINING["batch_size"]},
                "localisation": TRAINING,
            },
            "search": {"training": {"epochs": 1}},
            "budgets": {"sweep": [0.006, 0.012]},
            "variants": {
                "exfmem": MEMORY,
                "minsim_exfmem": MEMORY,
                "localisation": {"visual": {"options": {"stride": 8}}},
            },
        },
    },
    "precision": {"train": "float32", "attack": "bfloat16"},
    "attack_batch_size": 8,
    "threads": {"render": 2, "pack": 2, "train": 1, "attack": 1},
    "memory_mb": dict.fromkeys(JOBS, 1000),
    "minutes": dict.fromkeys(JOBS, 10),
}


class Project:
    """A folder with the workflow's files, in which Snakemake runs."""

    def __init__(self, root: Path):
        self.root = root
        self.results = root / "results/tiny"
        self.published = root / "paper_tables"

    @classmethod
    def from_repository(cls, root: Path) -> "Project":
        """Copy what the workflow consists of, as it is in the working tree, to `root`, and make the scale tiny."""
        # New files too: a module that is not committed yet may be imported already.
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PARTS]
        listed = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
        for name in filter(None, listed.stdout.split("\0")):
            source = REPOSITORY / name
            if source.is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, root / name)
        project = cls(root)
        project.edit_yaml("workflow/scales/tiny.yaml", lambda scale: scale.update(SCALE))
        project.edit_yaml("workflow/datasets/music.yaml", _keep_few_classes)
        project.edit_paper(_keep_few_rows)
        project.edit_yaml(
            "config.yaml",
            lambda config: config.update(
                scale="tiny", papers=["tian2021"], datasets={}, device="cpu", minimum_share=0.7, failed_clips="drop"
            ),
        )
        return project

    def copy(self, root: Path) -> "Project":
        """Copy everything, results, times and Snakemake's records included."""
        shutil.copytree(self.root, root)
        return Project(root)

    # Snakemake

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start `snakemake` with `arguments`; its output goes to a pipe."""
        command = [sys.executable, "-m", "snakemake", *arguments]
        return subprocess.Popen(
            command, cwd=self.root, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def make(self, *arguments: str) -> str:
        """Run `snakemake`, which must succeed, and return all that it writes."""
        status, output = preloaded.snakemake(arguments, self.root, environment())
        assert status == 0, f"snakemake {' '.join(arguments)} ended with {status}:\n{output}"
        return output

    def make_alone(self, *arguments: str) -> str:
        """As `make`, by programs that have their imports and what the environment says for themselves, as a user's."""
        started = self.start(*arguments)
        try:
            return finish(started)
        finally:
            kill_tree(started)

    def fail(self, *arguments: str) -> str:
        """Run `snakemake`, which must fail, and return all that it writes."""
        status, output = preloaded.snakemake(arguments, self.root, environment())
        assert status == 1, f"snakemake {' '.join(arguments)} ended with {status}:\n{output}"
        return output

    def plan(self, *arguments: str) -> dict[str, str]:
        """Return what a dry run of `all` would make: from a job's first output to its rule (of copies, `publish`)."""
        output = self.make("--dry-run", *arguments, "all")
        jobs = re.findall(r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    output: ([^,\n]+)", output, re.MULTILINE)
        assert jobs or "Nothing to be done" in output, output
        return {
            made.removeprefix("results/tiny/").removesuffix(" (update)"): re.sub("^publish_.*", "publish", rule)
            for rule, made in jobs
        }

    # Files

    def edit_yaml(self, name: str, change: Callable[[dict], object]) -> None:
        """Let `change` edit what a YAML file holds; there need be no such file."""
        path = self.root / name
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        change(content)
        path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")

    def edit_paper(self, change: Callable[[dict], object]) -> None:
        """Let `change` edit what the files of Tian & Xu hold together."""
        folder = self.root / "workflow/papers/tian2021"
        paper: dict = {}
        for name in PAPER_FILES.keys() - {*MAY_LACK}:
            paper |= yaml.load((folder / f"{name}.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        change(paper)
        for name, sections in PAPER_FILES.items():
            if name in MAY_LACK:
                continue
            held = {section: paper[section] for section in sections if section in paper}
            text = yaml.safe_dump(held, allow_unicode=True, sort_keys=False)
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")

    def edit_code(self, name: str, definition: str, statement: str = "edited = True") -> None:
        """Put `statement` before the last one of a function or class of `scripts/avrobust/<name>`."""
        path = self.root / "scripts/avrobust" / name
        text = path.read_text(encoding="utf-8")
        found = [node for node in ast.walk(ast.parse(text)) if getattr(node, "name", None) == definition]
        assert len(found) == 1, f"{name} has {len(found)} definitions of {definition}"
        last = found[0].body[-1]
        lines = text.splitlines(keepends=True)
        lines.insert(last.lineno - 1, f"{' ' * last.col_offset}{statement}\n")
        path.write_text("".join(lines), encoding="utf-8")

    def published_bytes(self) -> dict[str, bytes]:
        """Return what every file in paper_tables holds, but for the index, which says how the last run went."""
        files = (path for path in self.published.rglob("*") if path.is_file() and path.name != "index.csv")
        return {path.relative_to(self.published).as_posix(): path.read_bytes() for path in files}


def environment() -> dict[str, str]:
    """Return what Snakemake runs in: `python` in a rule's command is the one that runs these tests."""
    own = {name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"}
    return own | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"}


def program_below(process: subprocess.Popen, program: str) -> psutil.Process | None:
    """Return the process that runs `program` for a Snakemake, None if there is none."""
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if child.cmdline()[1:2] == [program]:
                return child
        except psutil.Error:
            continue
    return None


def wait_for(look: Callable[[], Result], process: subprocess.Popen) -> Result:
    """Return what `look` returns as soon as that is true; AssertionError if `process` ends before."""
    end = time.monotonic() + TIME_LIMIT
    while not (found := look()):
        assert process.poll() is None, f"Snakemake ended too early:\n{process.stdout.read()}"
        assert time.monotonic() < end, f"what was waited for did not come within {TIME_LIMIT} s"
        time.sleep(0.002)
    return found


def finish(snakemake: subprocess.Popen) -> str:
    """Wait until Snakemake has succeeded and return all that it wrote."""
    output, _ = snakemake.communicate(timeout=TIME_LIMIT)
    assert snakemake.returncode == 0, output
    return output


def kill_tree(process: subprocess.Popen) -> None:
    """Kill a Snakemake with SIGKILL and then all that it started, and wait until they are gone."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(children, timeout=TIME_LIMIT)
    process.wait()


def _keep_few_classes(dataset: dict) -> None:
    dataset["classes"] = dataset["classes"][:CLASSES]


def _keep_few_rows(paper: dict) -> None:
    paper["datasets"] = ["music"]
    paper["float32"]["attack"] = paper["coded"]["attack"] = "mim"
    kept = (*TABLES, *FIGURES, "localisation")
    artefacts = paper["artefacts"] = {name: paper["artefacts"][name] for name in kept}
    attacks = ("fgsm", "mim", "random_sign")
    keep_rows(paper, "table1", lambda row: row["dataset"] == "music" and row["attack"] in attacks)
    keep_rows(paper, "table2", lambda row: row["variant"] in ("sum", "concat", "film") and row["attack"] == "fgsm")
    keep_rows(paper, "controls", lambda row: victim(row) == "planted_masking" and row["attack"] == "fgsm")
    nets = ("concat", "pcl", "minsim_exfmem")
    kept = lambda row: row["dataset"] == "music" and victim(row) in nets and row["attack"] != "random_sign"  # noqa: E731
    keep_rows(paper, "table3", kept)
    keep_rows(paper, "localisation", lambda row: row["dataset"] == "music")
    artefacts["figure1"]["rows"][0]["class"] = "flute"
    paper["claims"] = [claim for claim in paper["claims"] if claim["name"] in CLAIMS]
    for claim in paper["claims"]:
        claim["datasets"] = ["music"]
    for candidates in [variant["search"] for variant in paper["variants"].values() if "search" in variant]:
        del candidates[2:]
    for panel in artefacts["figure3"]["panels"]:
        panel["series"] = [series for series in notation.rows(panel["series"]) if series["attack"] in ("fgsm", "mim")]


def victim(row: dict) -> str:
    """Return the net that a row of a table is of."""
    return row.get("variant") or row["victim"]


def undefended(scale: dict) -> dict:
    """Return what a scale says of the training that starts from scratch."""
    return scale["papers"]["tian2021"]["training"]["undefended"]


def keep_rows(paper: dict, table: str, wanted: Callable[[dict], bool]) -> None:
    """Leave in a paper's table the rows that are `wanted`, and under any attack what these read."""
    layout = paper["artefacts"][table]
    layout["rows"] = [row for row in notation.rows(layout["rows"]) if wanted(row)]
    read = {"/".join(filter(None, [row.get("surrogate"), row["attack"]])) for row in layout["rows"] if "attack" in row}
    if "any" in layout:
        told = layout["any"]
        every = paper["lists"][told.removeprefix("$")] if isinstance(told, str) else told
        layout["any"] = [attack for attack in every if attack in read]
        if len(layout["any"]) < 2:
            del layout["any"]
