"""The defences inside a net: each is a module from one modality's features to cleaner ones."""

DEFENCES = {
    "feature_memory": "avrobust.defences.feature_memory:FeatureMemory",
    "planted_masking": "avrobust.defences.planted_masking:PlantedMasking",
}
