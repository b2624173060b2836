"""Who writes the artefacts of a kind."""

WRITERS = {
    "table": "avrobust.report.table:write",
    "ranking": "avrobust.report.ranking:write",
    "sweep": "avrobust.report.sweep:write",
    "bars": "avrobust.report.bars:write",
    "curves": "avrobust.report.curves:write",
    "matrix": "avrobust.report.matrix:write",
    "heat_maps": "avrobust.report.heat_maps:write",
    "localisation": "avrobust.report.localisation:write",
    "tsne": "avrobust.report.tsne:write",
    "diagram": "avrobust.report.diagram:write",
    "listing": "avrobust.report.listing:write",
    "crafting": "avrobust.report.crafting:write",
    "answers": "avrobust.report.answers:write",
    "claims": "avrobust.report.claims:write",
    "calibration": "avrobust.report.calibration:write",
    "choices": "avrobust.report.choices:write",
    "alternatives": "avrobust.report.alternatives:write",
    "realisable": "avrobust.report.realisable:write",
    "stack": "avrobust.report.stack:write",
    "attrition": "avrobust.report.attrition:write",
}
