"""What training minimises and an attack maximises: one number per clip."""

OBJECTIVES = {
    "binary_cross_entropy": "avrobust.objectives.binary_cross_entropy:BinaryCrossEntropy",
    "cross_entropy": "avrobust.objectives.cross_entropy:CrossEntropy",
    "min_similarity": "avrobust.objectives.min_similarity:MinSimilarity",
    "max_similarity": "avrobust.objectives.max_similarity:MaxSimilarity",
    "prototype_conformity": "avrobust.objectives.prototype_conformity:PrototypeConformity",
    "minus_probability": "avrobust.objectives.minus_probability:MinusProbability",
    "uncertain_margin": "avrobust.objectives.uncertain_margin:UncertainMargin",
    "certified_margin": "avrobust.objectives.certified_margin:CertifiedMargin",
    "margin": "avrobust.objectives.margin:Margin",
    "odd_one_out": "avrobust.objectives.odd_one_out:OddOneOut",
    "targeted": "avrobust.objectives.targeted:Targeted",
    "top1_margin": "avrobust.objectives.top1_margin:Top1Margin",
}
