"""A copy of the project to plan in, what Snakemake plans there, and the workflow layer's own objects by short names."""

import atexit
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import preloaded
import yaml

from lib.plan import Plan
from lib.settings import MAY_LACK, PAPER_FILES, read_config

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Job:
    """One planned job, as `snakemake -n` prints it; `command` as `-n -p` does, else empty."""

    rule: str
    input: tuple[str, ...]
    output: tuple[str, ...]
    wildcards: dict[str, str]
    resources: dict[str, str]
    command: str


@dataclass(frozen=True)
class Run:
    """What a command came to: exit status, standard output and error as one text."""

    status: int
    text: str

    @property
    def jobs(self) -> list[Job]:
        """The planned jobs."""
        block = r"^(?:local)?rule (\w+):\n((?:    .+\n)+)(?:Shell command: (.*))?"
        return [
            _job(rule, dict(re.findall(r"^    (\w+): (.*)$", lines, flags=re.MULTILINE)), command)
            for rule, lines, command in re.findall(block, self.text, flags=re.MULTILINE)
        ]

    @property
    def counts(self) -> dict[str, int]:
        """The number of planned jobs of each rule; those that publish count as one, whatever files they copy."""
        return dict(Counter(re.sub("^publish_.*", "publish", job.rule) for job in self.jobs))

    @property
    def errors(self) -> list[str]:
        """The lines that start with `error: `."""
        return [line for line in self.text.splitlines() if line.startswith("error: ")]


def _job(rule: str, facts: dict[str, str], command: str) -> Job:
    lists = [tuple(filter(None, facts.get(name, "").split(", "))) for name in ("input", "output")]
    pairs = [
        dict(pair.split("=", 1) for pair in facts.get(name, "").split(", ") if pair)
        for name in ("wildcards", "resources")
    ]
    return Job(rule, *lists, *pairs, command)


@cache
def files() -> list[str]:
    """Return the project's files, relative to its root: what git tracks or would take in."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted(name for name in set(listed.split("\0")) if name and (ROOT / name).exists())


def copy_project(folder: Path) -> Path:
    """Copy the project into `folder` and return it; without its tests and what a user may have made and committed.

    It makes Tian & Xu's paper alone, of which most tests speak.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # File by file in Python it takes a third as long as to plan.
    subprocess.run(["cp", "-a", f"{_pristine()}/.", folder], check=True)
    return folder


@cache
def _pristine() -> Path:
    """The project as tests copy it; nothing is ever run in it."""
    folder = _temporary()
    copied = [name for name in files() if not name.startswith(("paper_tables/", "results/", "tests/"))]
    for place in dict.fromkeys(str(Path(name).parent) for name in copied):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for name in copied:
        shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    replace(folder / "config.yaml", "papers: [tian2021, li2022, zhang2025]", "papers: [tian2021]")
    return folder


@cache
def unedited() -> Path:
    """Return a copy of the project for tests that plan in it and edit nothing."""
    return copy_project(_temporary())


def _temporary() -> Path:
    """A folder that is gone once the tests are through."""
    folder = TemporaryDirectory(prefix="avrobust-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def replace(path: Path, old: str, new: str) -> None:
    """Replace the one occurrence of `old` in a file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {path}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def seen_through(root: Path, dataset: str, modalities: Sequence[str] = ("audio", "visual")) -> None:
    """Let a view of a dataset be of what an extractor, `windows`, makes of these modalities of its clips."""
    encoders = {
        "audio": {"name": "log_mel_steps", "options": {"steps": 100, "front": {"sample_rate": 11025}}},
        "visual": {"name": "r2plus1d18", "options": {"frames_per_window": 4, "width": 0.125}},
    }
    clip = {"name": "clip", "options": {"seconds": 3, "frames": 8, "frame_size": 40}}
    told = {
        "view": {"name": "features", "options": {"extractor": "windows"}},
        "extractors": {"windows": {"view": clip, **{modality: encoders[modality] for modality in modalities}}},
    }
    file = root / f"workflow/datasets/{dataset}.yaml"
    file.write_text(file.read_text(encoding="utf-8") + yaml.safe_dump(told), encoding="utf-8")


def paper(root: Path, name: str = "tian2021") -> dict:
    """Return what the files of a paper say together."""
    folder, told = root / f"workflow/papers/{name}", {}
    for file in PAPER_FILES:
        if file in MAY_LACK and not (folder / f"{file}.yaml").exists():
            continue
        told |= yaml.load((folder / f"{file}.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return told


def write_paper(root: Path, told: dict, name: str = "tian2021") -> None:
    """Let the files of a paper say `told` together; a new one prints what Tian & Xu print."""
    folder = root / f"workflow/papers/{name}"
    if not folder.exists():
        shutil.copytree(folder.with_name("tian2021") / "published", folder / "published")
    for file, sections in PAPER_FILES.items():
        held = {section: told[section] for section in sections if section in told}
        if file in MAY_LACK and not held:
            continue
        text = yaml.dump(held, Dumper=yaml.CSafeDumper, sort_keys=False)
        (folder / f"{file}.yaml").write_text(text, encoding="utf-8")


def retold(root: Path, *changes: Callable[[dict], None]) -> Path:
    """Let the files of Tian & Xu say what these changes make of them, in their order, whatever they said; return it."""
    told = paper(unedited())
    for change in changes:
        change(told)
    write_paper(root, told)
    return root


def snakemake(root: Path, *arguments: str, **environment: str) -> Run:
    """Run Snakemake in a copy of the project, without what the user's own environment says of profiles and sites."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE_", "AVROBUST_"))}
    return Run(*preloaded.snakemake(arguments, root, own | environment))


def program(root: Path, name: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run a program of workflow/ in the project."""
    return preloaded.program([f"workflow/{name}.py", *arguments], root)


def configuration(root: Path, **changes: object) -> dict:
    """Return what config.yaml of a copy comes to, with other values for some keys of its top level."""
    return read_config(root, ()) | changes


def plan(root: Path, **changes: object) -> Plan:
    """Return the plan of a copy, with other values for some keys of config.yaml."""
    return Plan.load(root, configuration(root, **changes))


def unbundled(made: Plan) -> Plan:
    """Return the plan with each cell in a job of its own."""
    del made.settings.scale["bundles"]
    for known in ("bundles", "fit_bundles", "_named_bundle"):
        vars(made.attack).pop(known, None)
    return made


def codes(root: Path) -> dict[tuple[str, ...], str]:
    """Return the digest of every (program, ...): per cell for attack, per dataset and variant for train, one else."""
    # Each cell a bundle of its own, to see which code is in the digest of which cell.
    made = unbundled(plan(root, scale="paper"))
    attack = made.attack.code("attack.py", "variant", "attack")
    train = made.train.code("train.py", "variant", "training")
    digests = {}
    # Noise is left out, whose code no test changes. The one that is made in float32 too has the digest of its twin.
    for dataset, variant, name in made.grid.cells:
        if not name.endswith("_float32") and name != "random_sign":
            bundle = SimpleNamespace(dataset=dataset, bundle=f"{variant}.{name}")
            digests["attack", dataset, variant, name] = attack(bundle)
            digests["train", dataset, variant] = train(SimpleNamespace(dataset=dataset, variant=variant))
    for program in ("render", "manifest", "pack", "availability", "download"):
        digests[program,] = made.train.code(f"{program}.py")(SimpleNamespace())
    for name, artefact in made.tables.artefacts.items():
        code = made.tables.code("artefact.py", "artefact")
        digests["artefact", artefact.kind] = code(SimpleNamespace(artefact=name))
    return digests


def changed(before: dict[tuple[str, ...], str], after: dict[tuple[str, ...], str]) -> set[tuple[str, ...]]:
    """Return the keys whose digests differ."""
    assert before.keys() == after.keys()
    return {key for key in before if before[key] != after[key]}
