"""Clips as H.264 and AAC, for who plans it and for who does it."""

# What does it, `package.module:attribute`: loaded, and counted as a job's code, only where clips are encoded.
CODER = "avrobust.evaluation.coded:Coded"

# Samples per second that AAC has (ISO/IEC 14496-3, sampling frequency index).
AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


def refusal(width: int, height: int, audio_rate: int) -> str:
    """Return what is wrong with frames of this size and sound of this rate and what to give; empty if nothing is."""
    if width % 2 or height % 2:
        return (
            f"frames of {width} x {height} pixels cannot be H.264, which has colour at half the width and height; "
            "give the view an even frame_size"
        )
    if audio_rate not in AAC_RATES:
        rates = ", ".join(map(str, sorted(AAC_RATES)))
        return f"sound of {audio_rate} samples a second cannot be AAC; give audio_rate as one of {rates}"
    return ""
