"""What is left of every attack in a file: 8-bit frames and 16-bit sound, H.264 and AAC."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from avrobust.files import write_text
from avrobust.metrics.interval import Mean, mean
from avrobust.metrics.rows import Cells, cells_by_form
from avrobust.metrics.schema import CODED, FLOAT, FORMS, ROUNDED, TRUNCATED
from avrobust.program import progress
from avrobust.report.given import Given
from avrobust.report.text import INTERVALS, csv_of, fixed, grid, warning
from avrobust.spec.artefacts.realisable import Layout
from avrobust.spec.budgets import MODALITIES, SLACK
from avrobust.spec.conditions import ATTACKED, CLEAN, UNDER_ATTACK, Reading
from avrobust.spec.units import PERCENT

# What becomes of an attack: the very clean clip is back; it costs accuracy in this form, too; here nobody can tell;
# nor can anybody as floats.
RESTORED, SURVIVES, UNDECIDED, UNDECIDED_AS_FLOATS = "restored", "survives", "undecided", "undecided as floats"
COUNTED = {SURVIVES: "surviving", RESTORED: "restored", UNDECIDED: "undecided"}
STRONGER, WEAKER = "stronger", "weaker"
# What is counted apart, by the column `control`.
NOUNS = {"attack": "no", "control": "yes"}
KEY = ("dataset", "surrogate", "victim", "attack", "modality", "budget", "steps")
COLUMNS = (
    *KEY, "control", "form", "unit",
    "accuracy", "low", "high", "clean", "cost", "cost_low", "cost_high", "change", "change_low", "change_high",
    "epsilon_audio", "epsilon_visual", "norm_audio", "norm_visual", "inside_ball", "restored", "left",
    "beside_floats", "n", "seeds", "scale", "source",
)  # fmt: skip
HEADERS = {FLOAT: "as floats", ROUNDED: "8 bits, rounded", TRUNCATED: "8 bits, truncated", CODED: "H.264 and AAC"}
READING = (
    "Accuracy in per cent, mean over seeds [95 % interval]. As floats: what the attack made. 8 bits: frames of 8 bits, "
    "each value rounded to the nearest level or down, as a cast does; the sound of 16 bits, rounded to the nearest. "
    "H.264 and AAC: the rounded clip put back into its video, encoded as a rendered one, and read as any. "
    "**Restored**: the clean clip is back, bit for bit. **Survives**: it still costs accuracy against clean clips in "
    "the same form, paired by clip. **Undecided**: nobody can tell whether it costs any here. **Outside**: a "
    "clip is out of its ball, and so is what was measured; the CSV has the norms. Where ε is equal, the strength is, "
    "whatever the budget is called. "
    f"Stronger, weaker: than as floats, paired by clip. {INTERVALS}"
)


def write(ledger: Layout, given: Given, to: Mapping[str, str]) -> str:
    """Write the ledger for programs and for readers; return a line for the log."""
    by_form = cells_by_form(progress(given.cells, label="reading", unit="files"))
    entries = measure(ledger, by_form).assign(scale=given.scale).reindex(columns=COLUMNS)
    for name in entries.columns[entries.columns.str.startswith(("norm_", "epsilon_"))]:
        entries[name] = entries[name].map(lambda value: fixed(float(value), 6))
    write_text(to[".csv"], csv_of(entries))
    write_text(to[".md"], markdown(ledger, entries, given.scale))
    said = [f"{what}: {'; '.join(lines)}" for what, lines in counted(entries).items() if lines]
    return f"{ledger.paper}: {'. '.join(said) or 'no attack on inputs that a file can hold'}"


def measure(ledger: Layout, by_form: Mapping[str, Cells]) -> pd.DataFrame:
    """A line per attack and form (`COLUMNS` but for the scale): per cent, differences of them in points.

    `by_form`: the cells of each of `FORMS`. Raises `UserError` if a cell or a condition is missing as floats.
    """
    lines = [
        {**line, "control": "yes" if cell.control else "no"}
        for cell in ledger.cells
        for of_reading in sorted((list(_lines(reading, by_form)) for reading in cell.readings), key=_by_strength)
        for line in of_reading
    ]
    entries = pd.DataFrame(lines, columns=[name for name in COLUMNS if name not in ("scale", "source")])
    sources = entries["dataset"].map(lambda dataset: ledger.sources.get(dataset, ""))
    return entries.assign(source=sources, dataset=entries["dataset"].replace(dict(ledger.names)))


def _lines(reading: Reading, by_form: Mapping[str, Cells]) -> Iterator[dict]:
    clean = reading._replace(condition=CLEAN)
    floats = None
    for form, cells in by_form.items():
        if form != FLOAT and reading not in cells:
            continue
        outcomes = cells.outcomes([clean, reading])
        of_clean, attacked = 100.0 * outcomes.correct
        if floats is None:
            floats = attacked
        accuracy, cost = mean(attacked, 0, 100), mean(of_clean - attacked, -100, 100)
        change = mean(attacked - floats, -100, 100)
        moved = cells.moved(reading)
        of_form = {
            "form": form,
            "unit": PERCENT,
            **_ends("", accuracy, "accuracy"),
            "clean": of_clean.mean(),
            **_ends("cost_", cost, "cost"),
            **(_ends("change_", change, "change") if form != FLOAT else {}),
            **{f"epsilon_{name}": epsilons.max() for name, (_, epsilons) in moved.items()},
            **{f"norm_{name}": norms.max() for name, (norms, _) in moved.items()},
            "inside_ball": "yes" if all(_inside(*moved[name]) for name in moved) else "no",
        }
        if form == FLOAT:
            attacked_in = [name for name in MODALITIES if moved[name][0].any()]
            # A net that does not take the modality: what is not changed cannot be lost in a file.
            if not attacked_in:
                return
            effect, restored, left, beside = cost, [], "", ""
        else:
            restored = [name for name in attacked_in if not moved[name][0].any()]
            left = _left(restored == attacked_in, cost, effect)
            beside = STRONGER if change.negative.above() else WEAKER if change.above() else ""
        yield {
            **dict(zip(("dataset", "surrogate", "victim", "attack"), reading[:4], strict=True)),
            **reading.condition._asdict(),
            "steps": reading.condition.steps or "",
            **of_form,
            "restored": " ".join(restored),
            "left": left,
            "beside_floats": beside,
            "n": outcomes.clips,
            "seeds": len(outcomes.seeds),
        }


def _by_strength(lines: list[dict]) -> tuple:
    """Where the lines of a condition stand in their cell: by modality, the weaker first, whatever its name."""
    of = [(line["epsilon_audio"], line["epsilon_visual"], line["steps"] or 0) for line in lines[:1]]
    return [UNDER_ATTACK.index(line["modality"]) for line in lines[:1]], of


def _ends(prefix: str, of: Mean, name: str) -> dict[str, float]:
    value, low, high = of.ends
    return {name: value, f"{prefix}low": low, f"{prefix}high": high}


def _inside(norms: np.ndarray, epsilons: np.ndarray) -> bool:
    return bool((norms <= epsilons + SLACK * np.maximum(1, epsilons)).all())


def _left(restored: bool, cost: Mean, as_floats: Mean) -> str:
    """What is left in a form of an attack that costs `as_floats`, one of the words above."""
    if restored and as_floats.above():
        return RESTORED
    if cost.above():  # what rounding alone makes of one that cost nothing, too
        return SURVIVES
    return UNDECIDED if as_floats.above() else UNDECIDED_AS_FLOATS


def counted(entries: pd.DataFrame) -> dict[str, list[str]]:
    """The `summary` of attacks, and that of controls, which are none."""
    return {f"{one}s": summary(entries[entries["control"] == is_one], one) for one, is_one in NOUNS.items()}


def summary(entries: pd.DataFrame, noun: str) -> list[str]:
    """For each form and modality, of how many attacks that cost accuracy as floats how many survive."""
    key = [*KEY]
    floats = entries[entries["form"] == FLOAT]
    costly = floats[floats["cost_low"] > 0][key]  # as `left` of the other forms has it
    lines = []
    for form in FORMS[1:]:
        of_form = entries[entries["form"] == form].merge(costly, on=key)
        words = []
        for modality in UNDER_ATTACK:
            some = of_form[of_form["modality"] == modality]
            if len(some):
                counts = some["left"].value_counts()
                inside = ((some["inside_ball"] == "yes") & (some["left"] == SURVIVES)).sum()
                said = [f"{counts[word]} {what}" for word, what in COUNTED.items() if word in counts]
                if SURVIVES in counts:
                    said[0] += f" ({inside} inside the ball)"
                words.append(f"{modality}: {len(some)} {noun}{'s' * (len(some) > 1)}, {', '.join(said)}")
        if words:
            lines.append(f"{HEADERS[form]}: {'; '.join(words)}")
    return lines


def markdown(ledger: Layout, entries: pd.DataFrame, scale: str) -> str:
    """The ledger for readers, by dataset and net; warns if the clips are not the paper's."""
    lines = [
        "# What is left of an attack in a file",
        "",
        f"Attacks of {ledger.citation or ledger.paper}. {READING}",
        "",
    ]
    own = "".join(f" {shown} in the place of {name}." for name, shown in ledger.names.items())
    lines += [f"Scale `{scale}`.{own}", "", *warning(ledger.sources.values(), scale)]
    for what, found in counted(entries).items():
        if found:
            lines += [f"Of the {what} that cost accuracy as floats (the interval of what they cost is above 0):", ""]
            lines += [*(f"- {line}." for line in found), ""]
    for dataset, of_dataset in entries.groupby("dataset", sort=False):
        lines += [f"## {dataset}", ""]
        for nets, of_nets in of_dataset.groupby(["surrogate", "victim"], sort=False):
            lines += [*_section(*nets, of_nets), ""]
    return "\n".join(lines[:-1]) + "\n"


def _section(surrogate: str, victim: str, entries: pd.DataFrame) -> list[str]:
    """What one net answers to the clips of one net: a line per attack, a column per form that is there."""
    by = "" if victim == surrogate else f", clips by {surrogate}"
    shown = [form for form in FORMS if form in set(entries["form"])]
    rows = []
    for (*_, attack, modality, _, steps), forms in entries.groupby([*KEY], sort=False):
        first = forms.iloc[0]
        of_form = {line["form"]: _cell(line) for line in forms.to_dict("records")}
        attack = f"{attack}, {steps} steps" if steps else attack
        attack += " (control)" if first["control"] == "yes" else ""
        rows.append([attack, modality, _strength(first), *(of_form.get(form, "") for form in shown)])
    headers = [HEADERS[form] for form in shown]
    table = grid(["attack", "attacked", "ε (budget)", *headers], rows, headers)
    return [f"### {victim}{by} (clean: {fixed(entries['clean'].iloc[0], 2)})", "", *table]


def _strength(line: pd.Series) -> str:
    """What is allowed, one number where it is the same in all that is attacked, and under which name."""
    found = dict.fromkeys(f"{float(line[f'epsilon_{name}']):g}" for name in ATTACKED[line["modality"]])
    return f"{', '.join(found)} ({line['budget']})"


def _cell(line: Mapping) -> str:
    words = [UNDECIDED if line["left"] == UNDECIDED_AS_FLOATS else line["left"], line["beside_floats"]]
    # What an encoder changes is no perturbation of a budget, and far out of every ball.
    words += ["outside"] if line["inside_ball"] == "no" and line["form"] != CODED else []
    words += [f"{line['restored']} restored"] if line["restored"] and line["left"] != RESTORED else []
    said = f" {', '.join(filter(None, words))}" if any(words) else ""
    return f"{fixed(line['accuracy'], 2)} [{fixed(line['low'], 2)}, {fixed(line['high'], 2)}]{said}"
