"""Whether a net and its clips mean the same by a label: the same class names, in the same order."""

from collections.abc import Sequence

from avrobust.program import UserError

# So many names of a kind stand in a message.
SHOWN = 4


def check_classes(net: object, of_net: Sequence[str], clips: object, of_clips: Sequence[str]) -> None:
    """Raise UserError unless a net (`net`: its file) tells the classes apart that clips (`clips`: where they are) have.

    The message says what differs, and names the first that do.
    """
    of_net, of_clips = list(of_net), list(of_clips)
    if of_net == of_clips:
        return
    sides = ("the net", of_net, of_clips), ("the list of the clips", of_clips, of_net)
    lacking = [(who, [name for name in of_one if name not in of_other]) for who, of_one, of_other in sides]
    said = "; ".join(f"only {who} has {_some(names)}" for who, names in lacking if names)
    if not said:
        place = next(number for number, pair in enumerate(zip(of_net, of_clips, strict=False)) if len({*pair}) == 2)
        said = f"class {place} is {of_net[place]!r} to the net and {of_clips[place]!r} to the clips"
    raise UserError(
        f"{net} was trained for other classes ({len(of_net)}) than the clips of {clips} have ({len(of_clips)}): "
        f"{said}; give a net that was trained on these clips' classes in this order"
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
