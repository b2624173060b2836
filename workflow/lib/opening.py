"""How the workflow starts: what the user told it is read and checked before any rule, and old results are named."""

import atexit
import gc
import io
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from snakemake.cli import parse_args

from lib import checksums, hangup, killed, repeated, source, versions, waking
from lib.configuration import check_once
from lib.errors import SettingsError
from lib.plan import Plan
from lib.settings import read_config
from lib.surroundings import check_folder, check_variables


def opened(workflow: Any) -> Plan:
    """Return the plan of Snakemake's `workflow`; a mistake of the user's ends Snakemake with one line."""
    # Snakemake makes a hundred thousand objects of a plan and drops few: looking for these took a fifth of the time.
    gc.freeze()
    gc.set_threshold(100_000)
    root, told = Path(workflow.basedir), workflow.config_settings
    kept = root / ".snakemake/digests.json"
    conda = "conda" in map(str, workflow.deployment_settings.deployment_method)
    try:
        check_folder(root)
        source.take_from(kept)
        check_variables(os.environ)
        check_once(sys.argv[1:])
        config = read_config(root, told.config_args, told.configfiles, alone=told.replace_workflow_config)
        plan = Plan.load(root, config, conda=conda)
        plan.check_targets(sys.argv[1:])
    except SettingsError as error:
        sys.exit(f"error: {error}")
    hangup.end_as_by_ctrl_c()
    checksums.computed_once()
    repeated.asked_once()
    if workflow.is_main_process:
        for line in plan.notes:
            print(f"note: {line}", file=sys.stderr)
        if killed.missing(root):
            (killed.report if _is_dry_run(sys.argv[1:]) else killed.put_back)(root)
        results = root / plan.data.results
        versions.report(results, plan.settings.scripts, root / "envs/environment.yaml" if conda else None)

        atexit.register(source.keep_in, kept, root)

        def start(log: str) -> None:
            versions.remember(results)
            # For the Snakemakes of jobs, which keep nothing: many of them would write at a time.
            source.keep_in(kept, root)
            waking.by_one_timer(workflow.scheduler)

        # As `onstart:` in a Snakefile does: not in a dry run.
        workflow.onstart(start)
    return plan


def _is_dry_run(arguments: Sequence[str]) -> bool:
    """Whether Snakemake shall only plan, by its command line and profiles; it knows that itself only later."""
    # Which profile it takes it has said already.
    with redirect_stderr(io.StringIO()):
        return parse_args(arguments)[1].dryrun
