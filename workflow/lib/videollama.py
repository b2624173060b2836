"""Whether VideoLLaMA2 can be asked: what config.yaml says of it, and what of that is not there."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from avrobust.program import UserError

# The kind of artefact that asks it.
KIND = "answers"
PAGE = "docs/videollama.md"
# What of each folder is looked for.
NEEDED = {
    "weights": ("config.json", "the checkpoint VideoLLaMA2.1-7B-AV"),
    "repository": ("videollama2/__init__.py", "its code"),
}


def lacking(config: Mapping, *, conda: bool) -> str:
    """Return what VideoLLaMA2 cannot be asked without, in one line; nothing if all is there.

    `conda`: whether Snakemake makes the environments of its rules.
    """
    told = config["videollama"]
    if not told["enabled"]:
        return f"videollama is not enabled in config.yaml ({PAGE})"
    for key, (file, what) in NEEDED.items():
        if key not in told:
            return f"videollama.{key} of config.yaml is not given, the folder of {what} ({PAGE})"
        if not (Path(told[key]) / file).is_file():
            return f"videollama.{key}: {told[key]} has no {file}; give the folder of {what} ({PAGE})"
    # Where git is in its environment alone, the job looks.
    if shutil.which("git") and (why := _other_commit(Path(told["repository"]))):
        return why
    if "environment" not in told and not conda:
        return f"videollama.environment of config.yaml is not given; give its folder, or --sdm conda ({PAGE})"
    if "environment" in told and (missing := _without(Path(told["environment"]) / "bin")):
        return f"videollama.environment: {told['environment']} has no {missing}; make it from envs/videollama.yaml"
    if config["device"] == "cpu":
        return "VideoLLaMA2 needs a GPU, and config.yaml has device: cpu"
    if config["device"] != "cuda" and not sees_gpu():
        return "VideoLLaMA2 needs a GPU, and none is seen here; where jobs run elsewhere, say device: cuda"
    return ""


def _other_commit(repository: Path) -> str:
    # Where it is not enabled nobody needs it.
    from avrobust.asked.videollama2 import check_commit

    try:
        check_commit(repository)
    except UserError as error:
        return f"videollama.repository: {str(error).splitlines()[0]}"
    return ""


def _without(folder: Path) -> str:
    """Return what an environment's folder of programs lacks; ffmpeg may be this machine's."""
    if not (folder / "python").exists():
        return "bin/python"
    return "" if (folder / "ffmpeg").exists() or shutil.which("ffmpeg") else "bin/ffmpeg"


def sees_gpu() -> bool:
    """Whether this machine has a GPU of NVIDIA's, as far as can be told without torch."""
    return bool([*Path("/dev").glob("nvidia[0-9]*")]) or shutil.which("nvidia-smi") is not None
