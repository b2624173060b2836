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
# Of nets that something ranks: every logit, and whatever the budget's norm the l2 norms of the perturbation, of its
# longest time step and of the whole clip, in the paper's unit.
_LOGITS = pa.field("logits", pa.list_(pa.float32()))
_L2_NORMS = [pa.field(f"{of}_norm_{name}", pa.float32()) for of in ("step", "clip") for name in ("audio", "visual")]
RANKED_SCHEMA = pa.schema([*SCHEMA, _LOGITS, *_L2_NORMS])
_SEVERAL = {"label": pa.field("label", pa.list_(pa.int16())), "prediction": _LOGITS}
# By the task of the nets: `multiple` has all labels of a clip, and every logit in the place of a prediction.
SCHEMAS = {"single": SCHEMA, "multiple": pa.schema([*(_SEVERAL.get(of.name, of) for of in SCHEMA), *_L2_NORMS])}
# What the metadata of such a file say.
IDENTITY = ("dataset", "seed")
# What is one number is measured under, beside dataset and seed.
KEY = ("surrogate", "victim", "attack", "modality", "budget", "steps")


def in_order(tables: list[pa.Table]) -> pa.Table:
    """Return all rows in the order in which a file holds them; a column that some have not is null there."""
    return joined(tables).sort_by([(name, "ascending") for name in (*KEY, "form", "clip_id")])


def joined(tables: list[pa.Table]) -> pa.Table:
    """Return all rows one after the other; a column that some have not is null there."""
    return pa.concat_tables(tables, promote_options="default")


def schema_of(task: str, ranked: bool) -> pa.Schema:
    """Return the schema of what a net of a task answers; `ranked`: with every logit, where clips have one label too."""
    return RANKED_SCHEMA if ranked and task == "single" else SCHEMAS[task]
