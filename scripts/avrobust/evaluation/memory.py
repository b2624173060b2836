"""Batches halved until they fit into memory, cut only where no result of a clip depends on it."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from avrobust.data.batches import Batch, whole_groups
from avrobust.lack_of_memory import unless_memory_lacks
from avrobust.program import UserError

log = logging.getLogger(__name__)

Made = TypeVar("Made")


def within_memory(work: Callable[[Batch], Made], batches: Iterable[Batch], group: int = 1) -> Iterator[Made]:
    """Yield what `work` makes of each batch, in order; of its parts where the whole does not fit into memory.

    Once a batch did not fit, later ones are cut to the size that did. `group`: of how many consecutive clips the result
    of each depends on; every part but the last of all holds whole groups. `work` must leave nothing behind when it
    raises.

    Raises:
        UserError: `group` clips or fewer do not fit.
        ValueError: a batch before the last one holds a part of a group.
    """
    largest: int | None = None
    before = 0
    for batch in batches:
        if before % group:
            raise ValueError(
                f"a batch of {before} clips is no whole number of groups of {group}, and another one follows"
            )
        before = len(batch["label"])
        waiting = deque([batch])
        while waiting:
            part = waiting.popleft()
            count = len(part["label"])
            if largest is not None and count > largest:
                waiting.extendleft(reversed(_cut(part, largest)))
                continue
            made = unless_memory_lacks(lambda part=part: work(part))
            if made is None:
                if count <= group:
                    raise UserError(
                        f"{count} {'clip does' if count == 1 else 'clips do'} not fit into memory, and cannot be "
                        "halved; ask for more memory or another GPU"
                    )
                largest = whole_groups((count + 1) // 2, group)
                log.warning("a batch of %d clips does not fit into memory; going on with %d at a time", count, largest)
                waiting.appendleft(part)
            else:
                yield made[0]


def _cut(batch: Batch, size: int) -> list[Batch]:
    starts = range(0, len(batch["label"]), size)
    return [{name: values[start : start + size] for name, values in batch.items()} for start in starts]
