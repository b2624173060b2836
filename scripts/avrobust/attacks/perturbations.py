"""Fitted perturbations as files: one for all clips, for each attack and condition that a net is attacked under."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from avrobust.files import remaking
from avrobust.models.files import read_tensors, why_no_tensors, write_tensors
from avrobust.program import UserError
from avrobust.spec.conditions import Condition
from avrobust.views.view import Input

# Condition, as text -> modality -> (...) of one clip, in natural units.
Perturbations = Mapping[str, Mapping[str, Tensor]]


def write_perturbations(path: Path, key: Mapping[str, str], perturbations: Mapping[str, Perturbations]) -> None:
    """Write what was fitted, by attack; `key`: dataset, variant and seed."""
    write_tensors(path, {"key": {name: str(value) for name, value in key.items()}, "perturbations": perturbations})


def read_perturbations(
    path: Path, key: Mapping[str, str], attack: str, forms: Mapping[str, Input], device: torch.device
) -> Perturbations:
    """Return what was fitted for an attack, on `device`.

    Raises:
        UserError: the file is missing or damaged, is of another net, dataset or seed than `key` says, holds nothing of
            the attack, or its perturbations have other shapes than `forms`, modality -> input of a clip.
    """
    try:
        content = read_tensors(path, device)
        of_attacks, said = content["perturbations"], content["key"]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; scripts/fit.py makes it (the workflow does)") from None
    except Exception as error:  # torch reports damage by many kinds of exception
        raise UserError(f"{path}: holds no perturbations ({why_no_tensors(path, error)}); {remaking(path)}") from None
    if other := [f"{name} {said.get(name)!r}, not {value!r}" for name, value in key.items() if said.get(name) != value]:
        raise UserError(f"{path}: fitted with {', '.join(other)}; give the file that was fitted for this cell")
    if attack not in of_attacks:
        raise UserError(f"{path}: nothing was fitted for {attack}, only for {', '.join(of_attacks)}; fit it too")
    for condition, of in of_attacks[attack].items():
        for name, x in of.items():
            if tuple(x.shape) != forms[name].shape:
                raise UserError(
                    f"{path}: {attack}: {condition}: {name} is of shape {tuple(x.shape)}, but clips are of "
                    f"{forms[name].shape}; fit it again on these clips"
                )
    return of_attacks[attack]


def under(perturbations: Perturbations, condition: Condition, attack: str) -> Mapping[str, Tensor]:
    """Return what is added under a condition, modality -> (...).

    Raises:
        UserError: it was not fitted.
    """
    if str(condition) not in perturbations:
        raise UserError(
            f"attack {attack}: nothing was fitted for {condition}, only for {', '.join(perturbations) or 'nothing'}; "
            "fit it for this condition too"
        )
    return perturbations[str(condition)]
