"""What a scale says of a paper or a dataset, laid over what their own files say."""

from collections.abc import Mapping


def overlaid(base: object, over: object) -> object:
    """Return `base` with what `over` says in its place: mappings are joined, of any depth; all else takes the place.

    A mapping over one that goes `by` something is meant for all of its alternatives, unless it names them only. One
    with another `name` takes the place, because options of one part are none of another's.
    """
    if not isinstance(base, Mapping) or not isinstance(over, Mapping) or "by" in over:
        return over
    if "by" in base:
        alternatives = [name for name in base if name != "by"]
        if not alternatives:
            return over
        if not set(over) <= set(alternatives):
            over = dict.fromkeys(alternatives, over)
    elif base.get("name") != over.get("name", base.get("name")):
        return over
    return {**base, **{name: overlaid(base[name], part) if name in base else part for name, part in over.items()}}
