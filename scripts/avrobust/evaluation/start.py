"""Clean clips as an attack sees them: what is the same for every modality and budget is computed once."""

from collections.abc import Mapping
from copy import copy

from torch import Tensor

from avrobust.attacks.budget import Budget
from avrobust.attacks.loop import Attack, Inputs, input_gradients, perturb
from avrobust.attacks.threat import Threat
from avrobust.models.late_fusion import LateFusion


class Start:
    """A batch before an attack, with the features and gradients that the threat's net has there.

    `inputs`: modality -> (N, ...) in natural units; `labels`: (N,); `features`: modality -> (N, D), those of the
    threat's net where the caller has them already. The net must be in evaluation mode.
    """

    def __init__(self, threat: Threat, inputs: Inputs, labels: Tensor, features: Inputs | None = None):
        self.threat, self.inputs, self.labels = threat, inputs, labels
        model = threat.model
        self.features = features or {name: model.encode(name, inputs[name]) for name in model.modalities}
        self.gradients = input_gradients(model, inputs, labels, threat.objective, model.modalities, self.features)

    def first(self, count: int) -> "Start":
        """Return the same of the first clips alone."""
        part = copy(self)
        part.labels = self.labels[:count]
        for name in ("inputs", "features", "gradients"):
            setattr(part, name, {key: value[:count] for key, value in getattr(self, name).items()})
        return part

    def perturbed(self, budgets: Mapping[str, Budget], attack: Attack) -> dict[str, Tensor]:
        """Return the inputs after `attack`, that of the threat or one that differs in its steps."""
        threat = self.threat
        return perturb(
            threat.model, self.inputs, self.labels, budgets, attack, threat.objective, self.features, self.gradients
        )


def encode_changed(model: LateFusion, clean: Inputs, inputs: Inputs, features: Inputs) -> dict[str, Tensor]:
    """Return the features of `inputs`: modality -> (N, D), those of `features` where an input is the very clean one."""
    return {
        name: features[name] if inputs[name] is clean[name] else model.encode(name, inputs[name])
        for name in model.modalities
    }
