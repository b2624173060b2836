"""Kinds of artefacts by name."""

KINDS = {
    "table": "avrobust.spec.artefacts.table:TABLE",
    "ranking": "avrobust.spec.artefacts.ranking:RANKING",
    "sweep": "avrobust.spec.artefacts.sweep:SWEEP",
    "bars": "avrobust.spec.artefacts.bars:BARS",
    "curves": "avrobust.spec.artefacts.curves:CURVES",
    "matrix": "avrobust.spec.artefacts.matrix:MATRIX",
    "heat_maps": "avrobust.spec.artefacts.heat_maps:HEAT_MAPS",
    "localisation": "avrobust.spec.artefacts.localisation:LOCALISATION_TABLE",
    "tsne": "avrobust.spec.artefacts.tsne:TSNE",
    "diagram": "avrobust.spec.artefacts.diagram:DIAGRAM",
    "listing": "avrobust.spec.artefacts.listing:LISTING",
    "crafting": "avrobust.spec.artefacts.crafting:CRAFTING_OF_A_CLIP",
    "answers": "avrobust.spec.artefacts.answers:ANSWERS_FIGURE",
    "claims": "avrobust.spec.artefacts.claims:CLAIMS",
    "calibration": "avrobust.spec.artefacts.calibration:CALIBRATION",
    "choices": "avrobust.spec.artefacts.choices:CHOICES",
    "alternatives": "avrobust.spec.artefacts.alternatives:ALTERNATIVES",
    "realisable": "avrobust.spec.artefacts.realisable:REALISABLE",
    "stack": "avrobust.spec.artefacts.stack:STACK",
    "attrition": "avrobust.spec.artefacts.attrition:ATTRITION",
}
