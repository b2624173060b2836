"""What a run is started in: its folder, and the variables that a site sets."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from lib.errors import SettingsError
from lib.yaml_files import read_yaml

PREFIX = "AVROBUST_"
PROFILE = "profiles/slurm"
PARTITIONS = "AVROBUST_SLURM_PARTITIONS"
NUMBERS = ("AVROBUST_SLURM_JOBS", "AVROBUST_SLURM_POLL")
# Those that profiles/slurm reads, and the one of the tests.
VARIABLES = ("AVROBUST_SLURM_ACCOUNT", "AVROBUST_SLURM_GPU_TYPE", PARTITIONS, *NUMBERS, "AVROBUST_TEST_SLURM")


def check_folder(root: Path) -> None:
    """Raise SettingsError unless Snakemake works in the workflow's own folder, where paths and programs are found."""
    if not Path.cwd().samefile(root):
        raise SettingsError(
            f"the workflow lies in {root} and cannot work in {Path.cwd()}; `cd {root}` first and give neither "
            "--snakefile nor --directory, or make a clone for the other folder's results"
        )


def check_variables(variables: Mapping[str, str]) -> None:
    """Raise SettingsError for a variable of ours that nothing reads, or whose value cannot be taken."""
    if unknown := sorted(name for name in variables if name.startswith(PREFIX) and name not in VARIABLES):
        close = get_close_matches(unknown[0], VARIABLES, n=1, cutoff=0.8)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(VARIABLES)}"
        raise SettingsError(f"variable {unknown[0]} is not known; {hint}")
    for name in NUMBERS:
        if (value := variables.get(name)) and not (value.isdecimal() and int(value)):
            raise SettingsError(f"variable {name}: {value!r} is no whole number above 0")
    if path := variables.get(PARTITIONS):
        # As Snakemake looks for it, whose plugin says so where there is none.
        places = (Path(folder, os.path.expandvars(path)).expanduser() for folder in (PROFILE, "."))
        for found in [place for place in places if place.exists()][:1]:
            if not isinstance(read_yaml(found), dict):
                raise SettingsError(f"variable {PARTITIONS}: {path} names no partition; see partitions.example.yaml")
