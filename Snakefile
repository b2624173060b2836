"""Adversarial robustness of audio-visual event recognition: three papers, from raw video to every table and figure."""

import os
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/workflow.rst"


sys.path.insert(0, f"{workflow.basedir}/workflow")

from lib import hangup, versions
from lib.configuration import check_once
from lib.plan import Plan
from lib.settings import SettingsError, read_config
from lib.surroundings import check_folder, check_variables

root, told = Path(workflow.basedir), workflow.config_settings

try:
    check_folder(root)
    check_variables(os.environ)
    check_once(sys.argv[1:])
    plan = Plan.load(
        root,
        read_config(
            root, told.config_args, told.configfiles, alone=told.replace_workflow_config
        ),
    )
except SettingsError as error:
    sys.exit(f"error: {error}")


# Read above, where nothing in it is dropped silently; Snakemake's report shows this.
configfile: "config.yaml"


config.update(plan.settings.config)
hangup.end_as_by_ctrl_c()
if workflow.is_main_process:
    versions.report(root / plan.results)


wildcard_constraints:
    **plan.wildcard_patterns,


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/attack.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/tables.smk"


rule all:
    """Everything: each table and figure of each paper that config.yaml names."""
    default_target: True
    input:
        plan.targets(config["papers"]),
    localrule: True


rule data:
    """Every dataset, from its lists to packed clips, and nothing else."""
    input:
        plan.data_targets,
    localrule: True


rule tian2021:
    """Tian & Xu, CVPR 2021."""
    input:
        plan.targets(["tian2021"]),
    localrule: True
