"""Columns of how far an attack moved a clip: by the budget's norm, and by l2 of its longest step and of all of it."""

NORMS = tuple(f"{of}norm_{name}" for of in ("", "step_", "clip_") for name in ("audio", "visual"))
