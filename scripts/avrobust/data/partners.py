"""Which clip each one is mixed with: the next one of another class on a circle that the ids alone decide."""

from collections.abc import Collection, Sequence

from avrobust.keyed import generator


def partners(clip_ids: Sequence[str], labels: Sequence[Collection[int]]) -> list[int]:
    """Return for each clip the place of its partner; its own place where all clips are of its class.

    The circle is a permutation that is drawn by the sorted ids, whatever their order here. `labels`: of each clip all
    its classes; another class has none of them.
    """
    in_order = sorted(range(len(clip_ids)), key=lambda place: clip_ids[place])
    drawn = generator("partners", *(clip_ids[place] for place in in_order)).permutation(len(clip_ids))
    circle = [in_order[number] for number in drawn.tolist()]
    classes = [frozenset(of) for of in labels]
    found = list(range(len(clip_ids)))
    for start, place in enumerate(circle):
        later = (circle[(start + far) % len(circle)] for far in range(1, len(circle)))
        found[place] = next((other for other in later if classes[other].isdisjoint(classes[place])), place)
    return found
