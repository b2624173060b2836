"""What an attack maximises on some clips, and its gradients; what is the same at every step is computed once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from avrobust.attacks.context import PARTS, Context
from avrobust.lack_of_memory import unless_memory_lacks
from avrobust.models.late_fusion import LateFusion

Inputs = Mapping[str, Tensor]
# (features of every modality, logits (N, C), labels (N,)) -> (N,).
Objective = Callable[[Inputs, Tensor, Tensor], Tensor]
Place = Callable[[str, Tensor, Context], Tensor]


@dataclass(frozen=True)
class Point:
    """A place where a gradient is taken: `place` makes it of the input, (modality, (N, ...), context) -> (N, ...).

    It must be differentiable. `touches`: the modalities that it changes, whether they are attacked or not. `weight`:
    what the gradient counts in the sum over all points.
    """

    place: Place
    weight: float = 1.0
    touches: tuple[str, ...] = ("audio", "visual")


HERE = Point(lambda modality, x, context: x, touches=())


class Loss:
    """The objective of a batch of clips at whatever inputs.

    `model`: in evaluation mode; `inputs`: modality -> (N, ...), the clean clips in natural units; `labels`: (N,);
    `features`: modality -> those of the clean clips that the caller has already; `partner`: modality -> (N, ...), a
    clip of another class for each. An objective with a method `relative_to` (clean features) -> objective is told those
    first, one with `relative_to_logits` (clean logits) -> objective what the net says of them; one with `names` has a
    method `term` (name, features, logits, labels) -> (N,) for each, whose sum it is.
    """

    def __init__(
        self,
        model: LateFusion,
        objective: Objective,
        inputs: Inputs,
        labels: Tensor,
        features: Inputs | None = None,
        partner: Inputs | None = None,
    ):
        self.model, self.inputs, self.labels, self.modalities = model, inputs, labels, model.modalities
        self.partner = dict(partner or {})
        self._objective, self._features = objective, dict(features or {})
        # Modality -> input -> its feature, as long as somebody has the input.
        self._encoded = {name: WeakTensorKeyDictionary() for name in self.modalities}
        # Points, and the attack that draws them -> modality -> gradient.
        self._first: dict[tuple[Callable | None, str], dict[str, Tensor]] = {}
        # How many points a pass holds: a GPU is filled, a CPU's memory is counted in clips at a time.
        together = labels.device.type == "cuda" and len(labels) % model.clips_together == 0
        self.points_at_once = 2**10 if together else 1

    def features(self, modality: str) -> Tensor:
        """Return the features of the clean clips, computed at the first call."""
        if modality not in self._features:
            with torch.no_grad():
                self._features[modality] = self.model.encode(modality, self.inputs[modality])
        return self._features[modality]

    def first(self, inputs: Inputs) -> "Loss":
        """Return the same of the first clips alone, `inputs`, with what is known of them."""
        count = len(next(iter(inputs.values())))
        features = {name: feature[:count] for name, feature in self._features.items()}
        partner = {name: x[:count] for name, x in self.partner.items()}
        part = Loss(self.model, self._objective, inputs, self.labels[:count], features, partner)
        for key, known in self._first.items():
            part._first[key] = {name: gradient[:count] for name, gradient in known.items()}
        return part

    def told(self, context: Context | None) -> Context:
        """Return a context that knows these clips' partners, and of how many parts in time they are."""
        frames = self.inputs.get("visual")
        parts = frames.shape[1] if frames is not None and frames.dim() == 5 else PARTS
        return replace(context or Context(), partner=self.partner, parts=parts)

    def by_term(self) -> dict[str, "Loss"]:
        """Return the loss of each term of the objective alone, by its name; none of one that has no terms."""
        names = getattr(self.objective, "names", ())
        same = self.inputs, self.labels, self._features, self.partner
        return {name: Loss(self.model, partial(self.objective.term, name), *same) for name in names}

    @cached_property
    def objective(self) -> Objective:
        """The objective, which knows the clean clips if it wants to."""
        if told := getattr(self._objective, "relative_to", None):
            return told({name: self.features(name) for name in self.modalities})
        if told := getattr(self._objective, "relative_to_logits", None):
            with torch.no_grad():
                return told(self.model.head({name: self.features(name) for name in self.modalities}))
        return self._objective

    def encoded(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return the features of every modality of `inputs`."""
        return {name: self.encode(name, inputs[name]) for name in self.modalities}

    def encode(self, modality: str, x: Tensor) -> Tensor:
        """Return the feature of one modality, without a graph; computed once of the very same input.

        `x` must not be changed afterwards.
        """
        if x is self.inputs[modality]:
            return self.features(modality)
        encoded = self._encoded[modality]
        if x not in encoded:
            with torch.no_grad():
                encoded[x] = self.model.encode(modality, x)
        return encoded[x]

    @torch.no_grad()
    def value(self, inputs: Inputs) -> Tensor:
        """Return each clip's objective at `inputs`: (N,)."""
        encoded = self.encoded(inputs)
        return self.objective(encoded, self.model.head(encoded), self.labels)

    def first_gradients(
        self,
        modalities: Sequence[str],
        points: Callable[[int], Sequence[Point]] | None = None,
        context: Context | None = None,
        drawn: bool = False,
    ) -> dict[str, Tensor]:
        """Return the gradients at the clean clips, in the points of step 0; `drawn` if these are random.

        They are computed once: they are the same for every budget, every choice of modalities and every attack of
        these points, but that each draws its own.
        """
        known = self._first.setdefault((points, context.attack if points and drawn else ""), {})
        if missing := tuple(name for name in modalities if name not in known):
            known |= self.gradients(self.inputs, missing, points and points(0), context)
        return {name: known[name] for name in modalities}

    def gradients(
        self,
        inputs: Inputs,
        attacked: Sequence[str],
        points: Sequence[Point] | None = None,
        context: Context | None = None,
    ) -> dict[str, Tensor]:
        """Return the gradient of each clip's objective with respect to its `attacked` inputs, modality -> (N, ...).

        Summed over `points`, in their order; by default the one point is the input. Where memory lacks for all points
        at once, they are taken in parts.
        """
        context = self.told(context)
        waiting, summed = list(points or [HERE]), {}
        while waiting:
            part = waiting[: self.points_at_once]
            if len(part) == 1:
                made = self._pass(inputs, attacked, part, context)
            elif (got := unless_memory_lacks(lambda part=part: self._pass(inputs, attacked, part, context))) is None:
                self.points_at_once = len(part) // 2
                continue
            else:
                (made,) = got
            for point, gradients in zip(part, made, strict=True):
                for name, gradient in zip(attacked, gradients, strict=True):
                    weighted = gradient if point.weight == 1 else point.weight * gradient
                    summed[name] = summed[name] + weighted if name in summed else weighted
            waiting = waiting[len(part) :]
        return summed

    def _pass(
        self, inputs: Inputs, attacked: Sequence[str], points: Sequence[Point], context: Context | None
    ) -> list[tuple[Tensor, ...]]:
        """Return, for every point, the gradients of the attacked inputs, of one pass through the net."""
        leaves = [{name: inputs[name].detach().requires_grad_() for name in attacked} for _ in points]
        encoded: list[dict[str, Tensor]] = [{} for _ in points]
        with torch.enable_grad():
            for name in self.modalities:
                with torch.set_grad_enabled(name in attacked):
                    features = self._features_at(
                        name, [leaf.get(name, inputs[name]) for leaf in leaves], name in attacked, points, context
                    )
                for of_point, feature in zip(encoded, features, strict=True):
                    of_point[name] = feature
            losses = [self.objective(features, self.model.head(features), self.labels).sum() for features in encoded]
            total = losses[0] if len(losses) == 1 else torch.stack(losses).sum()
            flat = torch.autograd.grad(total, [leaf[name] for leaf in leaves for name in attacked])
        return [flat[start : start + len(attacked)] for start in range(0, len(flat), len(attacked))]

    def _features_at(
        self, modality: str, inputs: Sequence[Tensor], attacked: bool, points: Sequence[Point], context: Context | None
    ) -> list[Tensor]:
        """Return a modality's feature at each point, of one pass; the clean one where nothing changes it."""
        places = {
            number: point.place(modality, x, context) if modality in point.touches else x
            for number, (x, point) in enumerate(zip(inputs, points, strict=True))
            if attacked or modality in point.touches
        }
        if len(places) > 1:
            made = self.model.encode(modality, torch.cat(list(places.values()))).split(len(self.labels))
        else:
            made = [self.model.encode(modality, x) for x in places.values()]
        features = dict(zip(places, made, strict=True))
        return [features[n] if n in features else self.features(modality) for n in range(len(points))]
