"""What a paper varies of its choices: what this run takes of each, and which alternatives are just that."""

from collections.abc import Mapping

from lib import choices
from lib.errors import SettingsError
from lib.settings import Settings, place_of


def taken(settings: Settings, paper: str, spec: Mapping) -> dict[str, str]:
    """Return choice -> what this run takes of it. One without a name is called by its question.

    Raises:
        SettingsError: no choice of the paper is called so, or one with a name has no such alternative.
    """
    facts, where = settings.papers[paper], f"{place_of(paper, 'sensitivity')}.runs"
    known, default = choices.alternatives(facts), {one["question"]: one["default"] for one in facts["choices"]}
    unnamed = {one["question"] for one in facts["choices"] if "name" not in one}
    found = {}
    for run in spec["runs"]:
        name, alternative = run["choice"], run["alternative"]
        if name not in known and name not in unnamed:
            raise SettingsError(
                f"{where}: {name!r} is no choice of {paper}'s choices.yaml: its names are {', '.join(known)}, and one "
                "without a name is called by its question"
            )
        if name in known and alternative not in known[name]:
            raise SettingsError(
                f"{where}: {name}: {alternative!r} is not allowed; allowed are {', '.join(known[name])}"
            )
        found[name] = settings.chosen[paper][name] if name in known else default[name]
    return found


def unchanged(settings: Settings, paper: str, spec: Mapping) -> list[list[str]]:
    """Return [attack, the one in its place] where both are the same here, by what is chosen or by a scale's sizes."""
    attacks, chosen = settings.papers[paper]["attacks"], settings.chosen[paper]
    pairs = dict.fromkeys((old, new) for run in spec["runs"] for old, new in run["instead"].items())
    return [
        [old, new]
        for old, new in pairs
        if old in attacks
        and new in attacks
        and choices.resolve(attacks[old], chosen, spec["dataset"])
        == choices.resolve(attacks[new], chosen, spec["dataset"])
    ]
