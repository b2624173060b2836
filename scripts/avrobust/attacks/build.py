"""From an attack's name and options to the attack."""

from collections.abc import Mapping
from inspect import Parameter, signature

from avrobust.attacks.loop import Attack
from avrobust.attacks.registry import ATTACKS
from avrobust.lazy import load
from avrobust.program import UserError


def build_attack(name: str, options: Mapping | None = None) -> Attack:
    """Return the attack of a name of `avrobust.attacks.registry` with its options.

    Raises:
        UserError: the name or an option is unknown, or an option is missing.
    """
    make, options = load(ATTACKS, name), options or {}
    known = signature(make).parameters
    if unknown := [option for option in options if option not in known]:
        raise UserError(f"attack {name}: {unknown[0]!r} is no option; its options are {', '.join(known) or 'none'}")
    required = [option for option, parameter in known.items() if parameter.default is Parameter.empty]
    if missing := [option for option in required if option not in options]:
        raise UserError(f"attack {name}: needs the option {missing[0]!r}")
    return make(**options)
