"""An attack as a paper's file describes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from avrobust.program import UserError

TRAINING_OBJECTIVE = "training"
# What puts nets on features behind their extractor, `package.module:attribute`: loaded, and counted as a job's code,
# only where clips are attacked so.
END_TO_END = "avrobust.models.end_to_end:EndToEnd"


@dataclass(frozen=True)
class AttackSpec:
    """What `{update: pgd, steps: 40, objective: margin}` says.

    `update`: a name of `avrobust.attacks.registry`; `options`: what that takes. `objective`: None for what the update
    maximises by itself, which is `training` but for a few; `training` for what the attacked net was trained with, as
    released; a name of `avrobust.objectives.registry`, or {name, options}. `without_defences`: gradients are those of
    the surrogate's weights without what its features pass in a defence. `batch_size`: how many clips an update that
    mixes them gets at once; None for any other. `precision`: of the encoders where gradients are taken; None for the
    job's.
    """

    update: str
    objective: str | Mapping | None = None
    without_defences: bool = False
    batch_size: int | None = None
    precision: str | None = None
    options: Mapping = field(default_factory=dict)

    @classmethod
    def of(cls, described: Mapping) -> "AttackSpec":
        """Return the attack that a mapping describes; what is not a part of every attack is an option.

        Raises:
            UserError: it is no mapping, or names no update.
        """
        if not isinstance(described, Mapping) or "update" not in described:
            raise UserError(f'an attack is described as {{"update": name, ...}}, not as {described!r}')
        parts = {one.name for one in fields(cls)} - {"options"}
        options = {name: value for name, value in described.items() if name not in parts}
        return cls(**{name: value for name, value in described.items() if name in parts}, options=options)

    @property
    def objective_part(self) -> dict:
        """The objective as name and options."""
        return {"options": {}, **(self.objective if isinstance(self.objective, Mapping) else {"name": self.objective})}
