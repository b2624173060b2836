"""What came of every clip: one CSV row each, joined from the parts of the shards and judged as a whole."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from avrobust.data import manifest
from avrobust.data.manifest import LABEL_SEPARATOR, SPLITS, Clip
from avrobust.notice import warn
from avrobust.program import UserError

# `ok`: packed. `gone`, `geo`, `age`: the web site does not give it, to this country, or without an account. `media`:
# the file is there and unfit. `pending`: there is no file yet, and there may be one later.
STATUSES = ("ok", "gone", "geo", "age", "media", "pending")

# A message names so many reasons, the most frequent first.
NAMED_REASONS = 6
# And so many classes.
NAMED_CLASSES = 20

CURE = (
    "lower minimum_share, or add files and look for them again: "
    "snakemake --forcerun manifest_of_lists manifest_of_table fetch pack -- data"
)


class Outcome(NamedTuple):
    """What came of one clip: a status of STATUSES, fault codes joined by `+` (none: ok), decoded amounts."""

    clip_id: str
    split: str
    labels: tuple[str, ...]
    status: str
    reason: str
    frames: int
    samples: int


COLUMNS = Outcome._fields


def write(path: str | Path, outcomes: Iterable[Outcome]) -> None:
    """Write an availability CSV, whole or not at all."""
    manifest.write_rows(path, COLUMNS, (one._replace(labels=LABEL_SEPARATOR.join(one.labels)) for one in outcomes))


def read(path: str | Path) -> Iterator[Outcome]:
    """Yield the rows of an availability CSV; raises UserError if it is none."""
    for where, row in manifest.rows(path, COLUMNS):
        manifest.one_of(where, "status", row["status"], STATUSES)
        if not (row["frames"].isdecimal() and row["samples"].isdecimal()):
            raise UserError(f"{where}: frames {row['frames']!r} and samples {row['samples']!r} must be counts")
        split, labels = manifest.split(where, row["split"]), tuple(row["labels"].split(LABEL_SEPARATOR))
        counts = int(row["frames"]), int(row["samples"])
        yield Outcome(row["clip_id"], split, labels, row["status"], row["reason"], *counts)


def joined(parts: Iterable[str | Path], clips: Iterable[Clip]) -> Iterator[Outcome]:
    """Yield the outcomes of all clips in the manifest's order; the parts may come in any order.

    Raises UserError if parts and manifest do not agree row by row.
    """
    by_first: dict[str, str | Path] = {}
    for part in parts:
        first = next(read(part), None)
        if first is None:
            raise UserError(f"{part}: the part has no rows; delete it and pack its shard again")
        if first.clip_id in by_first:
            raise UserError(f"{part}: the same clips as in {by_first[first.clip_id]}; give each part once")
        by_first[first.clip_id] = part
    part, rows = None, iter(())
    for clip in clips:
        outcome = next(rows, None)
        if outcome is None:
            if clip.clip_id not in by_first:
                raise UserError(f"no part begins with clip {clip.clip_id!r}; pack the shard that it belongs to")
            part = by_first.pop(clip.clip_id)
            outcome = next(rows := read(part))
        found, wanted = outcome[:3], (clip.clip_id, clip.split, clip.labels)
        if found != wanted:
            (of_part, of_manifest) = (
                f"{name!r}, {split}, {'|'.join(labels)}" for name, split, labels in (found, wanted)
            )
            raise UserError(
                f"{part}: {of_part} where the manifest has {of_manifest}; one of them has changed: pack the shard again"
            )
        yield outcome
    more = [part] if next(rows, None) else [*by_first.values()]
    if more:
        raise UserError(f"{more[0]}: more clips than in the manifest; delete it or pack the shard again")


def check_shards(parts: Iterable[str | Path], minimum_share: float) -> None:
    """Raise UserError if a shard has a smaller share of ok clips than that; the message names the worst."""
    shares = []
    for part in parts:
        statuses = [outcome.status for outcome in read(part)]
        shares.append((statuses.count("ok") / len(statuses), str(part), statuses.count("ok"), len(statuses)))
    low = sorted(share for share in shares if share[0] < minimum_share)
    if low:
        _, part, ok, clips = low[0]
        raise UserError(
            f"{len(low)} of {len(shares)} shards have too few clips, at least {minimum_share:g} of each are needed; "
            f"the worst is {part}, {ok} of {clips}, which says what is wrong with the others; {CURE}"
        )


class Tally:
    """Counts outcomes while they pass, and judges them."""

    def __init__(self) -> None:
        # (split, status, reason) -> clips; split -> the classes of its clips, and those of its ok clips.
        self.reasons: Counter[tuple[str, str, str]] = Counter()
        self.classes: dict[str, set[str]] = {name: set() for name in SPLITS}
        self.classes_ok: dict[str, set[str]] = {name: set() for name in SPLITS}

    def passing(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Yield the outcomes as they come, counting each."""
        for outcome in outcomes:
            self.reasons[outcome.split, outcome.status, outcome.reason] += 1
            self.classes[outcome.split].update(outcome.labels)
            if outcome.status == "ok":
                self.classes_ok[outcome.split].update(outcome.labels)
            yield outcome

    def _counts(self, split: str) -> list[int]:
        """Return how many clips of a split have each of STATUSES."""
        return [sum(n for key, n in self.reasons.items() if key[:2] == (split, status)) for status in STATUSES]

    def table(self) -> list[str]:
        """Return lines of text: a heading, then a line per split with its number of clips per status."""
        lines = ["".join(f"{word:>9}" for word in ("split", *STATUSES, "all"))]
        for split in SPLITS:
            counts = self._counts(split)
            lines.append("".join(f"{cell:>9}" for cell in (split, *counts, sum(counts))))
        return lines

    def check(self, minimum_share: float) -> None:
        """Judge what is left.

        Raises UserError if a split has too few ok clips, or train has none of a class that any split has: nets have an
        output for it and never learn it. Warns of a class that is trained and has lost its last clip in another split.
        """
        problems = []
        for split in SPLITS:
            counts = self._counts(split)
            ok, wanted = counts[0], sum(counts)
            if not ok or ok < minimum_share * wanted:
                why = [
                    f"{n} {s} {reason}"
                    for (of, s, reason), n in self.reasons.most_common()
                    if of == split and s != "ok"
                ]
                why = ", ".join(why[:NAMED_REASONS]) + ", ..." * (len(why) > NAMED_REASONS)
                problems.append(f"{split} has {ok} of {wanted} clips ({why or 'none wanted'})")
        silent = sorted(set().union(*self.classes.values()) - self.classes_ok["train"])
        if silent:
            problems.append(f"classes without a clip in train: {', '.join(silent)}")
        if problems:
            raise UserError(
                f"too few clips, at least {minimum_share:g} of each split and one of each class are needed: "
                f"{'; '.join(problems)}. The parts say which; {CURE}"
            )
        for split in SPLITS[1:]:
            if lost := sorted(self.classes[split] - self.classes_ok[split]):
                warn(f"{split} has lost the last clip of {len(lost)} classes: {', '.join(lost[:NAMED_CLASSES])}")
