"""The parts that a model is put together from."""

# An encoder takes one modality's input and returns (N, D) or (N, T, D), a feature for each of T steps; D is its
# `out_features`.
AUDIO_ENCODERS = {
    "conv1d": "avrobust.models.encoders.conv1d:Conv1d",
    "csn": "avrobust.models.encoders.csn:CSN",
    "log_mel": "avrobust.models.encoders.log_mel:LogMelEncoder",
    "log_mel_steps": "avrobust.models.encoders.log_mel_steps:LogMelSteps",
}

VISUAL_ENCODERS = {
    "alexnet": "avrobust.models.encoders.alexnet:AlexNet",
    "r2plus1d18": "avrobust.models.encoders.r2plus1d18:R2Plus1D18",
    "resnet18": "avrobust.models.encoders.resnet18:ResNet18",
    "torchvision": "avrobust.models.encoders.torchvision:Torchvision",
    "vgg11_bn": "avrobust.models.encoders.vgg11_bn:VGG11BN",
    "video_transformer": "avrobust.models.encoders.video_transformer:VideoTransformer",
    "standardised_video_transformer": "avrobust.models.encoders.standardised_video:StandardisedVideoTransformer",
}

# How the features of the modalities become one. A fusion takes `features`, modality -> (N, D) or (N, T, D), and returns
# (N, `out_features`), or (N, T, `out_features`) for a head that pools. Its `modalities` say what it uses; a net has no
# encoder for anything else. One file each, so that an edit of one makes the nets of that one anew.
FUSIONS = {
    "audio": "avrobust.models.fusions.audio_only:AudioOnly",
    "visual": "avrobust.models.fusions.visual_only:VisualOnly",
    "sum": "avrobust.models.fusions.sum:Sum",
    "concat": "avrobust.models.fusions.concat:Concat",
    "film": "avrobust.models.fusions.film:FiLM",
    "gated_sum": "avrobust.models.fusions.gated_sum:GatedSum",
    "gated_concat": "avrobust.models.fusions.gated_concat:GatedConcat",
    "mid_fusion": "avrobust.models.fusions.mid_fusion:MidFusion",
    "pre_transformer_fusion": "avrobust.models.fusions.pre_transformer_fusion:PreTransformerFusion",
    "attended_concat": "avrobust.models.fusions.attended_concat:AttendedConcat",
    "scaled_attended_concat": "avrobust.models.fusions.scaled_attended_concat:ScaledAttendedConcat",
}

# Several nets as the one that an attack takes gradients of.
ENSEMBLES = {
    "mean_logits": "avrobust.models.ensemble:Ensemble",
    "mean_losses": "avrobust.models.mean_losses:MeanLosses",
}

# From fused features, (N, D) or (N, T, D), to logits.
HEADS = {
    "attention": "avrobust.models.heads.attention:Attention",
    "gated_experts": "avrobust.models.heads.gated_experts:GatedExperts",
    "linear": "avrobust.models.heads.linear:Linear",
    "orthogonal": "avrobust.models.heads.orthogonal:Orthogonal",
}
