"""Some clips of many, of all classes alike, which the ids alone decide."""

from collections import Counter
from collections.abc import Collection, Sequence

from avrobust.keyed import generator


def stratified(clip_ids: Sequence[str], labels: Sequence[Collection[int]], count: int) -> list[int]:
    """Return the places of `count` clips, or of all if there are no more, in their order.

    Classes have as many as each other, or one less, as far as they have clips. Which clips, and which classes have one
    less, is drawn by the sorted ids, whatever their order here. `labels`: of each clip all its classes, of which the
    first in order counts.
    """
    in_order = sorted(range(len(clip_ids)), key=lambda place: clip_ids[place])
    drawn = generator("stratified", *(clip_ids[place] for place in in_order)).permutation(len(clip_ids))
    before: Counter[int] = Counter()
    ranked = []
    for number in drawn.tolist():
        place = in_order[number]
        of = min(labels[place])
        # Sorting is stable: within a rank clips stay as drawn.
        ranked.append((before[of], place))
        before[of] += 1
    ranked.sort(key=lambda one: one[0])
    return sorted(place for _, place in ranked[:count])
