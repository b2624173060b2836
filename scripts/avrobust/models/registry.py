"""The parts that a model is put together from."""

AUDIO_ENCODERS = {
    "conv1d": "avrobust.models.conv1d:Conv1d",
}

VISUAL_ENCODERS = {
    "resnet18": "avrobust.models.resnet18:ResNet18",
}

# How the features of the modalities become one. A fusion takes `features`, modality -> (N, D), and returns
# (N, `out_features`). Its `modalities` say what it uses; a net has no encoder for anything else. One file each, so that
# an edit of one makes the nets of that one anew.
FUSIONS = {
    "audio": "avrobust.models.fusions.audio_only:AudioOnly",
    "visual": "avrobust.models.fusions.visual_only:VisualOnly",
    "sum": "avrobust.models.fusions.sum:Sum",
    "concat": "avrobust.models.fusions.concat:Concat",
    "film": "avrobust.models.fusions.film:FiLM",
    "gated_sum": "avrobust.models.fusions.gated_sum:GatedSum",
    "gated_concat": "avrobust.models.fusions.gated_concat:GatedConcat",
    "attended_concat": "avrobust.models.fusions.attended_concat:AttendedConcat",
    "scaled_attended_concat": "avrobust.models.fusions.scaled_attended_concat:ScaledAttendedConcat",
}
