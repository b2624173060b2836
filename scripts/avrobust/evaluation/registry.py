"""Through what a clip goes before a net is shown it, by what that is."""

CODERS = {"h264_aac": "avrobust.evaluation.coded:Coded"}
