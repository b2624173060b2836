"""A fixed net before the nets that are trained: an encoder for each modality, of which clips keep what it makes."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from avrobust.foreign import first_line
from avrobust.keyed import seed_of
from avrobust.lazy import built
from avrobust.models.registry import AUDIO_ENCODERS, VISUAL_ENCODERS
from avrobust.models.weights import load_weights
from avrobust.program import UserError

ENCODERS = {"audio": AUDIO_ENCODERS, "visual": VISUAL_ENCODERS}


def _is_named(part: object) -> bool:
    """Whether `part` says what to build by its name."""
    return isinstance(part, Mapping) and isinstance(part.get("name"), str)


def build_extractor(
    name: str, parts: Mapping[str, Mapping], weights: Mapping[str, Path]
) -> tuple[nn.ModuleDict, dict[str, str]]:
    """Return the encoders of an extractor by modality, in evaluation mode, and where the weights of each come from.

    `parts`: modality -> {name, options} of `avrobust.models.registry`. `weights`: modality -> file of published ones;
    an encoder without a file is initialised, by a seed that extractor and modality give, so that all jobs have the
    same. An encoder with nothing to initialise is not in what is said of weights.

    Raises:
        UserError: no modality or an unknown one, an unknown name or option, or weights that are not the encoder's.
    """
    if not isinstance(parts, Mapping) or not parts or not all(_is_named(part) for part in parts.values()):
        raise UserError(
            f'extractor {name}: encoders are JSON {{modality: {{"name": ..., "options": {{}}}}}}, not {parts!r}'
        )
    if unknown := sorted({*parts, *weights} - ENCODERS.keys()) or sorted(weights.keys() - parts.keys()):
        known = ", ".join(sorted(parts.keys() & ENCODERS.keys())) or "none of these"
        raise UserError(
            f"extractor {name}: {unknown[0]} has no encoder; of {', '.join(ENCODERS)}, here {known} has one"
        )
    encoders, origin = nn.ModuleDict(), {}
    for modality, part in sorted(parts.items()):
        seed = seed_of(name, modality)
        torch.manual_seed(seed)
        try:
            encoder = built(ENCODERS[modality], part)
        except ValueError as error:
            raise UserError(f"extractor {name}: {part['name']}: {first_line(error)}") from error
        if modality in weights:
            load_weights(encoder, weights[modality])
            origin[modality] = f"SHA-256 {hashlib.sha256(Path(weights[modality]).read_bytes()).hexdigest()}"
        elif any(True for _ in encoder.parameters()):
            origin[modality] = f"initialised by seed {seed}"
        encoders[modality] = encoder
    return encoders.eval().requires_grad_(False), origin
