"""How the workflow starts: what the user told it is read and checked before any rule, and old results are named."""

import os
import sys
from pathlib import Path
from typing import Any

from lib import hangup, killed, versions
from lib.configuration import check_once
from lib.errors import SettingsError
from lib.plan import Plan
from lib.settings import read_config
from lib.surroundings import check_folder, check_variables


def opened(workflow: Any) -> Plan:
    """Return the plan of Snakemake's `workflow`; a mistake of the user's ends Snakemake with one line."""
    root, told = Path(workflow.basedir), workflow.config_settings
    try:
        check_folder(root)
        check_variables(os.environ)
        check_once(sys.argv[1:])
        plan = Plan.load(
            root, read_config(root, told.config_args, told.configfiles, alone=told.replace_workflow_config)
        )
    except SettingsError as error:
        sys.exit(f"error: {error}")
    hangup.end_as_by_ctrl_c()
    if workflow.is_main_process:
        killed.put_back(root)
        results = root / plan.data.results
        conda = "conda" in map(str, workflow.deployment_settings.deployment_method)
        versions.report(results, root / "scripts", root / "envs/environment.yaml" if conda else None)
        # As `onstart:` in a Snakefile does: not in a dry run.
        workflow.onstart(lambda log: versions.remember(results))
    return plan
