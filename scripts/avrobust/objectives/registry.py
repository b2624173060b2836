"""What training minimises and an attack maximises: one number per clip."""

OBJECTIVES = {
    "cross_entropy": "avrobust.objectives.cross_entropy:cross_entropy",
}
