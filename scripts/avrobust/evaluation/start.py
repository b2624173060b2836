"""Clean clips as an attack sees them: what is the same for every modality and budget is computed once."""

from collections.abc import Mapping, Sequence
from copy import copy

from torch import Tensor

from avrobust.attacks.budget import Budget
from avrobust.attacks.loop import Attack, perturb
from avrobust.attacks.loss import Inputs, Loss
from avrobust.attacks.threat import Threat
from avrobust.models.late_fusion import LateFusion


class Start:
    """A batch before an attack, with the features and gradients that the threat's net has there.

    `inputs`: modality -> (N, ...) in natural units; `labels`: (N,); `features`: modality -> (N, D), those of the
    threat's net where the caller has them already; `clip_ids`: of the clips; `losses`: what Starts of the same clips
    share, empty at first: threats of the same net and objective compute their first gradients once. The net must be in
    evaluation mode.
    """

    def __init__(
        self,
        threat: Threat,
        inputs: Inputs,
        labels: Tensor,
        features: Inputs | None = None,
        clip_ids: Sequence[str] = (),
        losses: dict[tuple[int, int], Loss] | None = None,
    ):
        self.threat, self.inputs, self.labels, self.context = threat, inputs, labels, threat.context(clip_ids)
        made = Loss(threat.model, threat.objective, inputs, labels, features)
        self.loss = (losses if losses is not None else {}).setdefault((id(threat.model), id(threat.objective)), made)
        self.features = {name: self.loss.features(name) for name in threat.model.modalities}
        attack = threat.attack
        self.gradients = self.loss.first_gradients(threat.model.modalities, attack.points, self.context, attack.random)

    def first(self, count: int) -> "Start":
        """Return the same of the first clips alone."""
        part = copy(self)
        part.loss, part.context = self.loss.first(count), self.threat.context(self.context.clip_ids[:count])
        part.inputs, part.labels = part.loss.inputs, part.loss.labels
        for name in ("features", "gradients"):
            setattr(part, name, {key: value[:count] for key, value in getattr(self, name).items()})
        return part

    def perturbed(self, budgets: Mapping[str, Budget], attack: Attack) -> dict[str, Tensor]:
        """Return the inputs after `attack`, that of the threat or one that differs in its steps."""
        return perturb(self.loss, budgets, attack, self.context)


def encode_changed(model: LateFusion, clean: Inputs, inputs: Inputs, features: Inputs) -> dict[str, Tensor]:
    """Return the features of `inputs`: modality -> (N, D), those of `features` where an input is the very clean one."""
    return {
        name: features[name] if inputs[name] is clean[name] else model.encode(name, inputs[name])
        for name in model.modalities
    }
