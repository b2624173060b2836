"""Adversarial robustness of audio-visual event recognition: three papers, from raw video to every table and figure."""

import sys

from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/workflow.rst"


sys.path[:0] = [f"{workflow.basedir}/workflow", f"{workflow.basedir}/scripts"]

from lib import index
from lib.opening import opened

plan = opened(workflow)
data, features, train = plan.data, plan.features, plan.train
fit, attack, calibration = plan.fit, plan.attack, plan.calibration
analysis, tables, videollama = plan.analysis, plan.tables, plan.videollama


# Read above, where nothing in it is dropped silently; Snakemake's report shows this.
configfile: "config.yaml"


config.update(plan.settings.config)


wildcard_constraints:
    **plan.wildcard_patterns,


include: "workflow/rules/data.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/attack.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/videollama.smk"
include: "workflow/rules/tables.smk"


rule all:
    """Everything: each table and figure of each paper that config.yaml names."""
    default_target: True
    input:
        tables.targets(config["papers"]),
    localrule: True


# Each paper, every dataset to packed clips, what hangs on choices; the last is no part of `all`.
for name, files in plan.targets.items():

    rule:
        """A part of the whole by its name: a paper, `data`, `sensitivity`."""
        name:
            name
        input:
            files,
        localrule: True
