"""The compact notation of a paper's files, and what it stands for.

Rows: a list is a factor, and a block stands for every combination, the first factor slowest; `rows` inside a block
inherit what the block says. Claims: `concat.clean > {audio,visual}.X_A@small - 5`, where braces are a factor too.
Columns: `audio@large`, `variant/attack/clean`, `success(both@large)`, `mean(X_A X_V)`, `sum(AV_clean Avg) - concat`,
and `*` behind what the paper has no values for. In both, `@large:20` is a budget under which an attack takes 20 steps;
in a claim `sum<concat/pgd.X_A@small` are clips that were made with the gradients of `concat`. `$nets` is a mean over
the paper's list of that name, `$nets!` over those of it that are not the surrogate, `$nets+at` over nets that are
called so, and `{$nets}` is each of them; a surrogate may be called after the victim, `all-<victim>`. `{net}` is each of
what a claim's `each` says for net, on both sides the same; `/best(masks)` the attack of a list that succeeds most. What
is printed for a name stands in `labels`, once. Variants: `<v><c>: {visual: <v>, fusion: <c>}` is one for each
combination of the factors v and c, and `like: AcV` in another one stands for all that AcV says; names of attacks may
hold factors too.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from types import MappingProxyType

from avrobust.spec.conditions import place
from avrobust.spec.measures import MEASURES, OF_CLASSES
from avrobust.spec.nets import MEAN_LOGITS, OF_VICTIM, Ensemble
from avrobust.spec.scored import SCORED

# [dataset:]variant[<surrogate][/attack].measure[@budget[:steps]]; with brackets, of one modality, a measure of one
# condition or a score.
QUANTITY = re.compile(
    r"(?:(?P<dataset>\w+):)?(?P<variant>\$?[\w+]+!?)(?:<(?P<surrogate>\$?[\w+-]+(?:<victim>)?))?"
    r"(?:/(?P<attack>best\(\w+\)|[\w+]+))?"
    r"\.(?P<of>\w+)(?:\[(?P<modality>\w+)\])?(?:@(?P<budget>[\w./]+)(?::(?P<steps>[1-9]\d*))?)?"
)
# A mean over a list: its name, what is added to each of its names, and whether the surrogate is left out.
LISTED = re.compile(r"\$(\w+)((?:\+\w+)?)(!?)")
EACH = re.compile(r"(?<=[{,])\s*\$(\w+)\s*(?=[,}])")
BEST = re.compile(r"best\((\w+)\)")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
TEST = re.compile(r"(\S+) > (\S+)(?: ([+-]) (\d+(?:\.\d+)?))?")
COMBINED = re.compile(r"(mean|sum)\(([^()]+)\)(?: - (\S+))?")
# A measure of one condition.
OF_CONDITION = re.compile(r"(\w+)\(([^() ]+)\)")
BRACES = re.compile(r"\{([^{}]*)\}")
FACTOR = re.compile(r"<(\w+)>")
# What a row of a table must read, may read, and says beside that.
PLACE = ("dataset", "surrogate", "victim", "attack")
READ = ("dataset", "variant", "surrogate", "victim", "attack", "clips", "steps")
BESIDE = ("against", "printed_as", "ours_only")
# What a row of a ranking must read, and may.
RANKED_PLACE = (*PLACE, "modality")
RANKED_READ = ("dataset", "variant", "surrogate", "victim", "attack", "modality", "budget", "steps")
# The attack of a row of clean clips.
NO_ATTACK = "none"
# What a headline number is the mean of, and less the mean of what; what all alternatives of a choice have in common.
SIDES, OF_RUNS = ("of", "less"), ("choice", "headlines", "note")
# The net that answers to another one's gradients, where it does not matter which.
ANOTHER = "another"
CLEAN_MEASURES = (*(name for name, measure in MEASURES.items() if measure.is_clean), *OF_CLASSES)
# Without a budget, and in a legend without the name of an attack; with both.
UNATTACKED, ATTACKED = ("clean", "majority"), ("audio", "visual", "both")


class NotationError(ValueError):
    """A mistake in what a paper's file says: the text holds the value and what was expected."""


def rows(block: Mapping | Sequence[Mapping], inherited: Mapping | None = None) -> Iterator[dict]:
    """Yield the flat rows that a block or a list of blocks stands for."""
    if not isinstance(block, Mapping):
        for part in block:
            yield from rows(part, inherited)
        return
    whole = {**(inherited or {}), **block}
    nested = whole.pop("rows", None)
    factors = {name: value for name, value in whole.items() if isinstance(value, list)}
    for values in product(*factors.values()):
        row = whole | dict(zip(factors, values, strict=True))
        if nested is None:
            yield row
        else:
            yield from rows(nested, row)


def braced(text: str) -> list[str]:
    """Return the texts that one with braces stands for, as a shell would: `{a,b}.{c,d}` is a.c, a.d, b.c, b.d."""
    first = BRACES.search(text)
    if first is None:
        return [text]
    before, after = text[: first.start()], text[first.end() :]
    return [whole for part in first[1].split(",") for whole in braced(before + part.strip() + after)]


def label(labels: Mapping[str, Mapping[str, str]], key: str, row: Mapping[str, str]) -> str:
    """Return what is printed for a row under a key; `of` in a key's labels is the row's part that it stands for."""
    if key not in labels:
        raise NotationError(f"{key!r} is none of labels: {', '.join(labels)}")
    names = dict(labels[key])
    part = names.pop("of", key)
    said = row.get(part, row.get("victim") if part == "variant" else None)
    # Clips that another net's gradients made have a name of their own.
    if part == "attack" and row.get("surrogate", row.get("variant")) != row.get("victim", row.get("variant")):
        said = f"{said} of {row.get('surrogate', row.get('variant'))}"
    if said not in names:
        raise NotationError(f"{said!r} is none of labels.{key}: {', '.join(names)}")
    text = names[said]
    return f"{text} {row['clips']}" if part == "dataset" and "clips" in row else text


def listed(name: str, lists: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Return a paper's list by its name, without the $."""
    if name not in lists:
        raise NotationError(f"${name} is none of lists: {', '.join(lists) or 'there are none'}")
    return [one for text in lists[name] for one in braced(text)]


def _some(name: str, lists: Mapping[str, Sequence[str]]) -> Sequence[str]:
    if not (found := listed(name, lists)):
        raise NotationError(f"lists.{name} is empty, and a test reads each of it; give one")
    return found


def comparisons(lines: str | Sequence[str], lists: Mapping[str, Sequence[str]] = MappingProxyType({})) -> list[dict]:
    """Return the comparisons that a claim's lines stand for."""
    made = []
    told = [lines] if isinstance(lines, str) else lines
    each = [EACH.sub(lambda found: ",".join(_some(found[1], lists)), line) for line in told]
    for text in [one for line in each for one in braced(line)]:
        found = TEST.fullmatch(text)
        if found is None:
            raise NotationError(f"{text!r} is no test; write for one: concat.clean > audio.X_A@small - 5")
        higher, lower, sign, by = found.groups()
        made.append({"higher": _quantity(higher, lists), "lower": _quantity(lower, lists)})
        if sign:
            made[-1]["by"] = _number(by) if sign == "+" else -_number(by)
    return made


def claims(
    told: Sequence[Mapping],
    twins: Mapping[str, Mapping],
    lists: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> list[dict]:
    """Return a paper's claims, each followed by its twins: the same claim read another way."""
    made = []
    for told_claim in told:
        claim = {name: value for name, value in told_claim.items() if name != "also"}
        try:
            if isinstance(claim.get("datasets"), str):
                claim["datasets"] = listed(claim["datasets"].removeprefix("$"), lists)
            claim["tests"] = comparisons(_for_all(claim["tests"], claim.pop("each", {}), lists), lists)
            made.append(claim)
            for also in told_claim.get("also", []):
                ((name, changes),) = ((also, {}),) if isinstance(also, str) else also.items()
                if name not in twins:
                    raise NotationError(f"also: {name!r} is none of twins: {', '.join(twins)}")
                made.append(_twin(claim | changes, name, twins[name]))
        except NotationError as error:
            raise NotationError(f"claims.{claim['name']}: {error}") from None
    return made


def _for_all(lines: str | Sequence[str], each: Mapping, lists: Mapping[str, Sequence[str]]) -> list[str]:
    """Return tests with every combination of `each` in the places {name}, the same on both sides."""
    lines = [lines] if isinstance(lines, str) else lines
    values = {name: _with_lists(told, lists) for name, told in each.items()}
    if unused := [name for name in each if not any(f"{{{name}}}" in line for line in lines)]:
        raise NotationError(f"each: no test has a place {{{unused[0]}}}")
    made = []
    for combination in product(*values.values()):
        for line in lines:
            for name, value in zip(values, combination, strict=True):
                line = line.replace(f"{{{name}}}", value)
            made.append(line)
    return list(dict.fromkeys(made))


def variants(told: Mapping[str, Mapping], factors: Mapping[str, Mapping | Sequence]) -> dict[str, dict]:
    """Return a paper's variants: one for each combination of the factors in a name, like others where it says `like`.

    `factors`: name -> what it may be in a variant's name -> what that stands for, or a list of what it may be. A value
    that is `<f>` alone is what f stands for; elsewhere in a text it is what stands in the name.
    """
    return _alike(told, factors, "variants")


def attacks(told: Mapping[str, Mapping], factors: Mapping[str, Mapping | Sequence]) -> dict[str, dict]:
    """Return a paper's attacks: one for each combination of the factors in a name, like others, as of `variants`."""
    return _alike(told, factors, "attacks")


def ensembles(
    told: Mapping[str, Mapping], factors: Mapping, lists: Mapping[str, Sequence[str]], variants: Mapping[str, Mapping]
) -> dict[str, Ensemble]:
    """Return a paper's ensembles: of the nets `of` a list or of some, `without` one; on so many `clips`, or on all."""
    made = {}
    for name, facts in _for_each(told, factors, "ensembles").items():
        try:
            nets = listed(facts["of"].removeprefix("$"), lists) if isinstance(facts["of"], str) else facts["of"]
            left_out = facts.get("without")
            if left_out is not None and left_out not in nets:
                raise NotationError(f"without: {left_out!r} is none of {', '.join(nets)}")
            made[name] = Ensemble(
                tuple(net for net in nets if net != left_out), facts.get("clips"), facts.get("joined", MEAN_LOGITS)
            )
            if unknown := [net for net in nets if net not in variants]:
                raise NotationError(f"of: {unknown[0]!r} is none of variants: {', '.join(variants)}")
            if not made[name].nets:
                raise NotationError("no net is left; give more `of`")
            if name in variants:
                raise NotationError("a variant has this name; take another")
        except NotationError as error:
            raise NotationError(f"ensembles.{name}: {error}") from None
    return made


def _for_each(told: Mapping[str, Mapping], factors: Mapping[str, Mapping | Sequence], section: str) -> dict[str, dict]:
    """Return one entry of a section for each combination of the factors in its name."""
    made: dict[str, dict] = {}
    for pattern, facts in told.items():
        used = dict.fromkeys(FACTOR.findall(pattern))
        try:
            if unknown := [name for name in used if name not in factors]:
                raise NotationError(f"<{unknown[0]}> is none of factors: {', '.join(factors) or 'none are given'}")
            for parts in product(*(map(str, factors[name]) for name in used)):
                combination = dict(zip(used, parts, strict=True))
                name = FACTOR.sub(lambda found, of=combination: of[found[1]], pattern)
                if name in made:
                    raise NotationError(f"{name} stands there already")
                made[name] = _filled(facts, combination, factors)
        except NotationError as error:
            raise NotationError(f"{section}.{pattern}: {error}") from None
    return made


def _filled(value: object, combination: Mapping[str, str], factors: Mapping[str, Mapping | Sequence]) -> object:
    if isinstance(value, Mapping):
        return {name: _filled(part, combination, factors) for name, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, combination, factors) for part in value]
    if not isinstance(value, str):
        return value
    if unknown := [name for name in FACTOR.findall(value) if name not in combination]:
        raise NotationError(f"{value!r}: the name before it has no <{unknown[0]}>")
    if whole := FACTOR.fullmatch(value):
        may_be, taken = factors[whole[1]], combination[whole[1]]
        return may_be[taken] if isinstance(may_be, Mapping) else next(one for one in may_be if str(one) == taken)
    return FACTOR.sub(lambda found: combination[found[1]], value)


def _alike(told: Mapping[str, Mapping], factors: Mapping[str, Mapping | Sequence], section: str) -> dict[str, dict]:
    """Return the same, each with all that the one which it is like says and it does not."""
    made = _for_each(told, factors, section)
    return {name: _like(name, made, (name,), section) for name in made}


def _like(name: str, made: Mapping[str, Mapping], seen: tuple[str, ...], section: str) -> dict:
    facts = dict(made[name])
    base = facts.pop("like", None)
    if base is None:
        return facts
    if base not in made:
        raise NotationError(f"{section}.{name}.like: {base!r} is none of {', '.join(made)}")
    if base in seen:
        raise NotationError(f"{section}.{seen[0]}.like: {' is like '.join([*seen, base])}, for ever")
    return {**_like(base, made, (*seen, base), section), **facts}


def sensitivity(told: Mapping, lists: Mapping[str, Sequence[str]] = MappingProxyType({})) -> dict:
    """Return what a paper varies: headline numbers as quantities, and a run for each alternative of each choice."""
    headlines = []
    for name, facts in told["headlines"].items():
        told_sides = {side: facts[side] for side in SIDES if side in facts}
        sides = {side: [of] if isinstance(of, str) else of for side, of in told_sides.items()}
        try:
            read = {side: [_quantity(one, lists) for text in of for one in braced(text)] for side, of in sides.items()}
        except NotationError as error:
            raise NotationError(f"sensitivity.headlines.{name}: {error}") from None
        headlines.append({"name": name, "says": facts["says"], **read})
    runs = [
        {"alternative": alternative, "instead": instead, **{part: one[part] for part in OF_RUNS if part in one}}
        for one in told["runs"]
        for alternative, instead in one["alternatives"].items()
    ]
    return {"dataset": told["dataset"], "headlines": headlines, "runs": runs}


def choices(told: Sequence[Mapping], paper: str) -> list[dict]:
    """Return the open points of a paper, numbered; one that has a name is set in config.yaml."""
    made = []
    for number, choice in enumerate(told, start=1):
        set_in = {"set_in": f"config.yaml: {paper}.{choice['name']}"} if "name" in choice else {}
        made.append({"number": number, "alternatives": [], **set_in, **choice})
    return made


def artefacts(
    told: Mapping[str, Mapping],
    labels: Mapping[str, Mapping[str, str]],
    lists: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> dict[str, dict]:
    """Return the kind and the layout of each artefact; `$nets` in one stands for the paper's list of that name."""
    made = {}
    for name, artefact in told.items():
        given = {part: value for part, value in artefact.items() if part != "kind"}
        try:
            given = _with_lists(given, lists)
            made[name] = {"kind": artefact["kind"], "spec": KINDS.get(artefact["kind"], _flat)(given, labels)}
        except NotationError as error:
            raise NotationError(f"artefacts.{name}: {error}") from None
    return made


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _quantity(text: str, lists: Mapping[str, Sequence[str]]) -> dict | int | float:
    if NUMBER.fullmatch(text):
        return _number(text)
    found = QUANTITY.fullmatch(text)
    if found is None:
        raise NotationError(f"{text!r} is no quantity; write for one: minsim/fgsm_ce.X_AV@small or net.pointing[clean]")
    parts = {name: value for name, value in found.groupdict().items() if value is not None}
    if "modality" in parts and parts["of"] in SCORED:
        parts["score"] = parts.pop("of")
    is_clean = parts.get("modality") == "clean" or ("of" in parts and parts["of"] in CLEAN_MEASURES)
    if is_clean and "budget" in parts:
        raise NotationError(f"{text!r}: {parts.get('of', 'clean')} has no budget")
    if "steps" in parts:
        parts["steps"] = int(parts["steps"])
    if best := BEST.fullmatch(parts.get("attack", "")):
        parts["attack"] = {"best": best[1], "of": listed(best[1], lists)}
    if parts["variant"].startswith("$"):
        # By its own gradients, each of them, unless something else is said.
        parts.setdefault("surrogate", OF_VICTIM)
    return parts | {name: _nets(parts[name], lists) for name in ("variant", "surrogate") if name in parts}


def _nets(text: str, lists: Mapping[str, Sequence[str]]) -> str | dict:
    """A net's name as it is, and what `avrobust.spec.nets` reads of a mean over some."""
    found = LISTED.fullmatch(text)
    if found is None:
        if set(text) & set("$!"):
            raise NotationError(f"{text!r} is no net; write $list, $list+suffix or, for all but the surrogate, $list!")
        return text
    name, suffix, others = found.groups()
    mean = {"mean": name + suffix, "of": [net + suffix for net in listed(name, lists)]}
    return mean | ({"others": True} if others else {})


def _twin(claim: Mapping, name: str, rule: Mapping) -> dict:
    """Return a claim under other attacks (of some nets, or of all) or against other nets on the lower side."""
    note = "; ".join(filter(None, (rule["note"], claim.get("note"))))
    twin = {**claim, "name": f"{claim['name']}_{name}", "note": note}
    twin["sentence"] = f"{claim['sentence'].removesuffix('.')} ({rule['said']})."
    if "attacks" in claim and "of" not in rule:
        twin["attacks"] = [rule.get("attacks", {}).get(attack, attack) for attack in claim["attacks"]]
    twin["tests"] = [
        test
        | {
            "higher": _otherwise(test["higher"], claim, rule),
            "lower": _otherwise(test["lower"], claim, rule, rule.get("lower", {})),
        }
        for test in claim["tests"]
    ]
    return twin


def _otherwise(quantity: object, claim: Mapping, rule: Mapping, nets: Mapping[str, str] | None = None) -> object:
    if not isinstance(quantity, Mapping):
        return quantity
    net = quantity["variant"]
    made = quantity | {"variant": (nets or {}).get(net, net) if isinstance(net, str) else net}
    of, swaps = rule.get("of"), rule.get("attacks", {})
    clean = "clean" in (quantity.get("of"), quantity.get("modality"))
    if of is None and "attack" in quantity:
        made["attack"] = _swapped(quantity["attack"], swaps)
    elif of is not None and quantity.get("surrogate", quantity["variant"]) in of and not clean:
        attacks = [quantity["attack"]] if "attack" in quantity else claim.get("attacks", [])
        if len(attacks) != 1:
            raise NotationError("a twin for some nets needs one attack, of the claim or of each quantity")
        made["attack"] = _swapped(attacks[0], swaps)
    return made


def _swapped(attack: str | Mapping, swaps: Mapping[str, str]) -> str | dict:
    """Another attack in the place of one, and of each of those of which the best is taken."""
    if isinstance(attack, Mapping):
        return {**attack, "of": [swaps.get(one, one) for one in attack["of"]]}
    return swaps.get(attack, attack)


def _table(told: Mapping, labels: Mapping) -> dict:
    own = {key: {**labels.get(key, {}), **names} for key, names in told.get("labels", {}).items()}
    labels = {**labels, **own}
    columns = [told["columns"]] if isinstance(told["columns"], Mapping) else told["columns"]
    members = [_member(text, labels) for text in told.get("any", ())]
    listed = _with_any(list(rows(told["rows"]))) if members else rows(told["rows"])
    return {
        **{part: told[part] for part in ("title", "caption", "keys")},
        "rows": [_row(number, row, told["keys"], labels) for number, row in enumerate(listed, start=1)],
        "columns": [_column(name, text, labels["column"]) for part in columns for name, text in part.items()],
        **({"any": members} if members else {}),
    }


def _ranking(told: Mapping, labels: Mapping) -> dict:
    """A row for each condition. `printed`: a factor that the paper has no key for, and of which values it prints."""
    labels = {**labels, **{key: {**labels.get(key, {}), **names} for key, names in told.get("labels", {}).items()}}
    printed = {key: values if isinstance(values, list) else [values] for key, values in told.get("printed", {}).items()}
    if unknown := [key for key in printed if key not in told["keys"]]:
        raise NotationError(f"printed: {unknown[0]!r} is none of keys: {', '.join(told['keys'])}")
    made, clean = [], set()
    for number, row in enumerate(rows(told["rows"]), start=1):
        _check_place(number, row, RANKED_PLACE)
        unattacked = row["modality"] in UNATTACKED
        net = row["dataset"], place(row)["victim"]
        # The clean clips of a net are the same in all of its cells.
        if not (unattacked and net in clean):
            keys = {key: label(labels, key, row) for key in told["keys"] if not (unattacked and key == "attack")}
            keys |= {"attack": NO_ATTACK} if unattacked and "attack" in told["keys"] else {}
            ours = row.get("ours_only") or any(row.get(key) not in values for key, values in printed.items())
            read = {part: row[part] for part in RANKED_READ if part in row}
            keys = {key: keys[key] for key in told["keys"]}
            made.append({"keys": keys, "read": read, **({"ours_only": True} if ours else {})})
        if unattacked:
            clean.add(net)
    headers = labels.get("column", {})
    columns = [
        {"name": name, "measure": text.removesuffix("*")}
        | ({"header": headers[name]} if name in headers else {})
        | ({"ours_only": True} if text.endswith("*") else {})
        for name, text in told["columns"].items()
    ]
    same = {part: told[part] for part in ("title", "caption", "keys")}
    return {**same, "rows": made, "columns": columns, "unprinted": [*printed]}


def _member(text: str, labels: Mapping) -> dict:
    """An attack of `any`: its name, behind a net and a slash where it takes that net's gradients."""
    *net, attack = text.split("/")
    if len(net) > 1 or not all((*net, attack)):
        raise NotationError(f"any: {text!r} is neither an attack nor net/attack")
    read = {"surrogate": net[0], "attack": attack} if net else {"attack": attack}
    return {**read, "name": label(labels, "attack", {**read, "victim": ANOTHER} if net else read)}


def _with_any(listed: Sequence[Mapping]) -> Iterator[Mapping]:
    """Rows, and behind those of a dataset and its clips one of each of their nets under any attack."""
    groups: dict[tuple, list[Mapping]] = {}
    for row in listed:
        groups.setdefault((row.get("dataset"), row.get("clips")), []).append(row)
    for group in groups.values():
        yield from group
        for net in dict.fromkeys(place(row).get("victim") for row in group):
            common = {part: group[0][part] for part in ("dataset", "clips") if part in group[0]}
            yield {**common, "variant": net, "attack": "any", "ours_only": True}


def _check_place(number: int, row: Mapping, parts: Sequence[str]) -> None:
    """Raise NotationError if one of all rows, which those that are written stand for, does not say where it is read."""
    if missing := [part for part in parts if part not in place(row)]:
        said = ", ".join(f"{key} {value}" for key, value in row.items())
        short = "; `variant` is short for surrogate and victim" if {"surrogate", "victim"} <= {*missing} else ""
        raise NotationError(f"row {number} ({said}): {', '.join(missing)} must be given{short}")


def _row(number: int, row: Mapping, keys: Sequence[str], labels: Mapping) -> dict:
    _check_place(number, row, PLACE)
    return {
        "keys": {key: label(labels, key, row) for key in keys},
        "read": {part: row[part] for part in READ if part in row},
        **{part: row[part] for part in BESIDE if part in row},
    }


def _column(name: str, text: str, headers: Mapping[str, str]) -> dict:
    column = {"name": name, **({"header": headers[name]} if name in headers else {})}
    read = text.removesuffix("*")
    of, condition = found.groups() if (found := OF_CONDITION.fullmatch(read)) and found[1] in MEASURES else ("", read)
    if combined := not of and COMBINED.fullmatch(read):
        how, parts, against = combined.groups()
        column |= {how: parts.split(), **({"against": {"variant": against}} if against else {})}
    else:
        try:
            column["condition"] = _condition(condition)
        except NotationError as error:
            raise NotationError(f"column {name}: {error}") from None
        column |= {"measure": of} if of else {}
    return column | ({"ours_only": True} if text.endswith("*") else {})


def _condition(text: str) -> dict:
    where, at, budget = text.partition("@")
    *names, modality = where.split("/")
    if len(names) > 2 or re.search(r"[ ()]", text):
        raise NotationError(f"{text!r} is neither variant/attack/modality@budget nor mean(...) nor sum(...)")
    if modality not in (*UNATTACKED, *ATTACKED):
        raise NotationError(f"{modality!r} is none of {', '.join((*UNATTACKED, *ATTACKED))}")
    if (modality in ATTACKED) != bool(at):
        raise NotationError(f"{modality} {'has no' if at else 'needs a'} budget (@...)")
    read = dict(zip(("variant", "attack"), names, strict=False))
    name, _, steps = budget.partition(":")
    if steps and not re.fullmatch(r"[1-9]\d*", steps):
        raise NotationError(f"{text!r}: {steps!r} is no number of steps")
    return {
        "modality": modality,
        **read,
        **({"budget": name} if at else {}),
        **({"steps": int(steps)} if steps else {}),
    }


def _sweep(told: Mapping, labels: Mapping) -> dict:
    panels = [
        {**panel, "series": [_series(one, labels) for one in rows(panel["series"], {"dataset": told["dataset"]})]}
        for panel in told["panels"]
    ]
    return {"title": told["title"], "budgets": told["budgets"], "panels": panels}


def _series(row: Mapping, labels: Mapping) -> dict:
    steps = f", {row['steps']} steps" if "steps" in row else ""
    named = {} if row["modality"] in UNATTACKED else {"attack": label(labels, "attack", row) + steps}
    read = {part: row[part] for part in READ if part in row}
    return {"net": row["net"], "modality": row["modality"], "read": read, **named}


def _with_lists(value: object, lists: Mapping[str, Sequence[str]]) -> object:
    """Put lists in the places of their names; inside another list, their values; for a dataset, the one of a list."""
    if isinstance(value, Mapping):
        made = {name: _with_lists(part, lists) for name, part in value.items()}
        if (one := made.get("dataset")) == []:
            raise NotationError(f"dataset: {value['dataset']} names no dataset; give one")
        if isinstance(one, list) and len(one) == 1:
            (made["dataset"],) = one
        return made
    if isinstance(value, list):
        parts = [(one, _with_lists(one, lists)) for one in value]
        return [one for told, part in parts for one in (part if isinstance(told, str) and told[:1] == "$" else [part])]
    return listed(value[1:], lists) if isinstance(value, str) and value[:1] == "$" else value


def _factor(told: Mapping, labels: Mapping, where: str) -> dict:
    """{attack: [fgsm, pgd]} with what is printed for each: of its label, else itself."""
    if len(told) != 1 or not isinstance(values := next(iter(told.values())), list):
        raise NotationError(f"{where}: {told!r} is no factor; write for one: {{attack: [fgsm, pgd]}}")
    (name,) = told
    if twice := sorted({str(one) for one in values if values.count(one) > 1}):
        raise NotationError(f"{where}: {name}: {twice[0]} occurs twice")
    return {"name": name, "values": {str(value): labels.get(name, {}).get(value, str(value)) for value in values}}


def _factors(told: Mapping, labels: Mapping, names: Sequence[str]) -> dict:
    return {name: _factor(told[name], labels, name) for name in names if name in told}


def _overlays(told: Mapping, labels: Mapping) -> dict:
    """What is read otherwise, by name; a list is a factor: {attack: [pgd20]} is {PGD-20: {attack: pgd20}}."""
    made = {}
    for name, value in told.items():
        if isinstance(value, list):
            made |= {text: {name: one} for one, text in _factor({name: value}, labels, name)["values"].items()}
        else:
            made[name] = value
    return made


def _bars(told: Mapping, labels: Mapping) -> dict:
    factors = _factors(told, labels, ("panels", "ticks", "bars"))
    overlays = {name: _overlays(told[name], labels) for name in ("marks", "beside") if name in told}
    return {**told, **factors, **overlays}


def _curves(told: Mapping, labels: Mapping) -> dict:
    series = []
    for one in [told["series"]] if isinstance(told["series"], Mapping) else told["series"]:
        if "name" in one:
            series.append(one)
        else:
            series += [{"name": text, "read": read} for text, read in _overlays(one, labels).items()]
    made = {**told, **_factors(told, labels, ("x", "over")), "series": series}
    if "at" in told:
        made["at"] = {str(value): read for value, read in told["at"].items()}
    if "beside" in told:
        made["beside"] = _overlays(told["beside"], labels)
    return made


def _matrix(told: Mapping, labels: Mapping) -> dict:
    maps = [{**one, **_factors(one, labels, ("each", "rows", "columns"))} for one in told["maps"]]
    return {**told, "maps": maps}


def _flat(told: Mapping, labels: Mapping) -> dict:
    return {**told, "rows": list(rows(told["rows"]))} if "rows" in told else dict(told)


KINDS = {"table": _table, "ranking": _ranking, "sweep": _sweep, "bars": _bars, "curves": _curves, "matrix": _matrix}
