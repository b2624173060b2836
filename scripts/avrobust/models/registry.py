"""The parts that a model is put together from."""

AUDIO_ENCODERS = {
    "conv1d": "avrobust.models.conv1d:Conv1d",
}

VISUAL_ENCODERS = {
    "resnet18": "avrobust.models.resnet18:ResNet18",
}

FUSIONS = {
    "audio": "avrobust.models.fusions:AudioOnly",
    "visual": "avrobust.models.fusions:VisualOnly",
    "sum": "avrobust.models.fusions:Sum",
    "concat": "avrobust.models.fusions:Concat",
    "film": "avrobust.models.fusions:FiLM",
    "gated_sum": "avrobust.models.fusions:GatedSum",
    "gated_concat": "avrobust.models.fusions:GatedConcat",
    "attended_concat": "avrobust.models.attention:AttendedConcat",
    "scaled_attended_concat": "avrobust.models.attention:ScaledAttendedConcat",
}
