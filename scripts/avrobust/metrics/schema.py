"""Rows of attacked clips: what a file of cells holds, stated once."""

import pyarrow as pa

# As what a clip is shown. `float`: what the attack made. A file holds less: `rounded` has 8-bit frames, each value the
# nearest, and 16-bit sound; `truncated` the same sound, and frames of which a cast to 8 bits cuts the rest off; `coded`
# went through H.264 and AAC. All but floats may leave the ball: norm_* of a row are those of its own form.
FLOAT, ROUNDED, TRUNCATED, CODED = FORMS = ("float", "rounded", "truncated", "coded")

# `budget` and `steps` as in `avrobust.spec.conditions.Condition`. `loss`: what the attack maximises. norm_*: what the
# perturbation came to in the budget's norm, in the paper's unit; epsilon_*: what was allowed, 0 where nothing was.
# `cosine` of the two features, where both are vectors.
SCHEMA = pa.schema(
    {
        "clip_id": pa.string(),
        "label": pa.int16(),
        "surrogate": pa.string(),
        "victim": pa.string(),
        "attack": pa.string(),
        "modality": pa.string(),
        "budget": pa.string(),
        "steps": pa.int16(),
        "form": pa.string(),
        "prediction": pa.int16(),
        "loss": pa.float32(),
        "norm_audio": pa.float32(),
        "norm_visual": pa.float32(),
        "epsilon_audio": pa.float64(),
        "epsilon_visual": pa.float64(),
        "cosine": pa.float32(),
    }
)
_SEVERAL = {"label": pa.field("label", pa.list_(pa.int16())), "prediction": pa.field("logits", pa.list_(pa.float32()))}
# By the task of the nets: `multiple` has all labels of a clip, and every logit in the place of a prediction.
SCHEMAS = {"single": SCHEMA, "multiple": pa.schema([_SEVERAL.get(field.name, field) for field in SCHEMA])}
# What the metadata of such a file say.
IDENTITY = ("dataset", "seed")
# What is one number is measured under, beside dataset and seed.
KEY = ("surrogate", "victim", "attack", "modality", "budget", "steps")


def in_order(tables: list[pa.Table]) -> pa.Table:
    """Return all rows in the order in which a file holds them."""
    return pa.concat_tables(tables).sort_by([(name, "ascending") for name in (*KEY, "form", "clip_id")])
