"""The budgets of a paper: as it gives them, or calibrated by a job to what it prints."""

import json
from collections.abc import Mapping

from avrobust.spec import budgets, notation
from avrobust.spec.conditions import UNBOUNDED, Condition, Reading
from lib import choices
from lib.errors import SettingsError
from lib.settings import Settings, known_name, place_of


def budgets_of(settings: Settings, paper: str) -> tuple[Mapping, dict[str, dict]]:
    """Return a paper's budgets as they are told, with every choice taken, and in their long form."""
    facts, where = settings.papers[paper], place_of(paper, "budgets")
    if f'"by": "{choices.DATASET}"' in json.dumps(facts["budgets"]):
        raise SettingsError(f"{where} cannot go by dataset: a claim or a caption speaks of several")
    told = dict(choices.resolve(facts["budgets"], settings.chosen[paper]))
    try:
        known = budgets.named(told)
    except ValueError as error:
        raise SettingsError(f"{where}.{error}") from None
    if UNBOUNDED in known:
        raise SettingsError(f"{where}.{UNBOUNDED} is the name of the whole valid range; take another")
    judged = facts["search"]["budget"] if "search" in facts else None
    given = [name for name, budget in known.items() if budgets.FROM not in budget]
    if judged is not None and judged not in given:
        why = "is calibrated after the search" if judged in known else "is none"
        raise SettingsError(f"{place_of(paper, 'search')}.budget: {judged!r} {why}; give one of {', '.join(given)}")
    return told, known


def calibrations_of(settings: Settings, paper: str) -> dict[str, dict]:
    """Return how a paper's budgets are calibrated that it does not give, with every choice taken."""
    facts, where = settings.papers[paper], place_of(paper, "calibrations")
    made = {}
    for name, told in choices.resolve(facts.get("calibrations", {}), settings.chosen[paper]).items():
        others = told["others"]
        if isinstance(others, str):
            try:
                others = notation.listed(others.removeprefix("$"), facts.get("lists", {}))
            except notation.NotationError as error:
                raise SettingsError(f"{where}.{name}.others: {error}") from None
        known_name(told["dataset"], facts["datasets"], f"{where}.{name}.dataset")
        for part, nets in (("variant", [told["variant"]]), ("others", others)):
            for net in nets:
                known_name(net, list(facts["variants"]), f"{where}.{name}.{part}")
        others = [net for net in others if net != told["variant"]]
        made[name] = {"modality": "both", "near": 20, "black_box": None, **told, "others": others}
    return made


def calibration_layout(settings: Settings, paper: str) -> dict:
    """Return the layout of the curves that a paper's budgets are calibrated by."""
    shown = ("dataset", "variant", "attack", "success", "black_box")
    strengths = [
        {"name": name, **{part: of[part] for part in shown}} for name, of in calibrations_of(settings, paper).items()
    ]
    sources = {one["dataset"]: settings.datasets[one["dataset"]]["clips_are"] for one in strengths}
    title = "How far an attack may go: calibrated to what the paper prints"
    return {"title": title, "strengths": strengths, "sources": sources}


def calibrated(settings: Settings, paper: str) -> list[Reading]:
    """Return what a paper's budgets are calibrated by, as it is read of the test clips."""
    of_budgets = budgets_of(settings, paper)[1].items()
    made = calibrations_of(settings, paper)
    return [
        Reading(of["dataset"], of["variant"], of["variant"], of["attack"], Condition(of["modality"], name))
        for name, budget in of_budgets
        if budgets.FROM in budget and (of := made.get(budget[budgets.FROM]))
    ]


def check_made(settings: Settings) -> None:
    """Raise SettingsError if no job makes a budget that is said to come from one."""
    known = [name for facts in settings.papers.values() for name in facts.get("calibrations", {})]
    for paper in settings.papers:
        for name, budget in budgets_of(settings, paper)[1].items():
            if budgets.FROM in budget:
                known_name(budget[budgets.FROM], known, f"{place_of(paper, 'budgets')}.{name}.{budgets.FROM}")


def with_budgets(value: object, told: Mapping, known: Mapping[str, Mapping], where: str) -> object:
    """Put the points of a list for its name, under `budgets`, and numbers for names in captions."""
    if isinstance(value, list):
        return [with_budgets(part, told, known, where) for part in value]
    if not isinstance(value, Mapping):
        return value
    made = {name: with_budgets(part, told, known, where) for name, part in value.items()}
    if "budgets" in made:
        made["budgets"] = [point for name in made["budgets"] for point in budgets.points(name, told)]
    if "caption" in made:
        printed = {name: budgets.printed(budget) or name for name, budget in known.items()}
        try:
            made["caption"] = made["caption"].format_map(printed)
        except KeyError as error:
            raise SettingsError(f"{where}: caption: {error} is none of {', '.join(known)}") from None
        except (ValueError, AttributeError, IndexError) as error:
            said = f"caption: braces are around the name of a budget, and doubled where they are text ({error})"
            raise SettingsError(f"{where}: {said}") from None
    return made
