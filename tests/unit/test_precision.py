"""A lower precision for gradients: what it changes, and what it must not."""

import numpy as np
import pytest
import torch
from nets import CROSS_ENTROPY, UNITS, clips, narrow_net

from avrobust.attacks.loss import Loss
from avrobust.attacks.pgd import pgd
from avrobust.attacks.threat import Threat
from avrobust.evaluation.cell import evaluate
from avrobust.evaluation.conditions import Condition
from avrobust.metrics.rows import Cell
from avrobust.program import UserError
from avrobust.report.precision import COLUMNS, compared


def test_a_net_in_another_precision_has_the_very_same_parts():
    net = narrow_net()
    lower = net.in_precision("bfloat16")
    assert all(one is other for one, other in zip(net.parameters(), lower.parameters(), strict=True))
    assert net.in_precision("float32") is net and lower.in_precision("bfloat16") is lower
    assert lower.without_defences().precision == "bfloat16"
    inputs = clips(4)
    exact, rounded = net(inputs), lower(inputs)
    assert rounded.dtype == torch.float32
    difference = (exact - rounded).abs().max() / exact.abs().max()
    # bfloat16 keeps 8 bits: 0.4 % a step, over some twenty layers.
    assert 1e-5 < difference < 0.1
    assert torch.equal(net(inputs), exact)


def test_gradients_in_bfloat16_point_where_those_of_float32_do():
    net, inputs, labels = narrow_net(), clips(4), torch.tensor([0, 1, 2, 3])
    exact, rounded = (
        Loss(one, CROSS_ENTROPY, inputs, labels).first_gradients(one.modalities)
        for one in (net, net.in_precision("bfloat16"))
    )
    for name, gradient in exact.items():
        assert rounded[name].dtype == torch.float32
        similarity = torch.nn.functional.cosine_similarity(gradient.flatten(1), rounded[name].flatten(1))
        assert similarity.min() > 0.9
        assert not torch.equal(gradient, rounded[name])


def test_an_attack_in_bfloat16_is_answered_in_float32_and_stays_in_its_ball():
    net, inputs = narrow_net(), clips(6)
    batch = {
        "audio": inputs["audio"],
        "visual": (255 * inputs["visual"]).to(torch.uint8),
        "label": torch.arange(6) % 5,
        "clip_id": [str(k) for k in range(6)],
    }
    conditions = [Condition(name, 0.05) for name in ("audio", "visual", "both")]
    exact, rounded = (
        evaluate(net, [batch], Threat(pgd(), one, CROSS_ENTROPY), UNITS, conditions, torch.device("cpu"))[0].to_pandas()
        for one in (net, net.in_precision("bfloat16"))
    )
    clean = exact.modality == "clean"
    assert exact[clean].equals(rounded[clean])
    assert not exact[~clean].equals(rounded[~clean])
    assert (rounded[["linf_audio", "linf_visual"]] <= 0.05 + 1e-6).all().all()
    assert (rounded[rounded.modality == "audio"].linf_visual == 0).all()


def cell(answers: list[int], **changes: object) -> Cell:
    clip_ids = np.array([f"{number:02d}" for number in range(len(answers))])
    facts = {"dataset": "music", "variant": "concat", "attack": "pgd", "seed": 1, "clips": clip_ids}
    facts |= {"labels": np.zeros(len(answers), int), "predictions": {("both", 0.006): np.array(answers)}}
    return Cell(**(facts | changes))


def test_what_the_table_says_by_hand():
    """Of ten clips float32 finds 6 and bfloat16 7; they answer nine alike."""
    float32, lower = cell([0] * 6 + [1] * 4), cell([0] * 7 + [1] * 3)
    (row,) = compared(lower, float32)
    found = dict(zip(COLUMNS[2:], row, strict=True))
    expected = {"n": 10, "accuracy": "70.00", "float32": "60.00", "difference": "10.00", "same_predictions": "90.00"}
    assert {name: found[name] for name in expected} == expected
    # Clopper & Pearson's interval of 6 of 10; that of 1 of 10 more would be 0.25 to 44.5, were none less possible.
    assert (found["float32_low"], found["float32_high"]) == ("26.24", "87.84")
    assert found["difference_high"] == "44.50" and -26 < float(found["difference_low"]) < -25
    assert found["inside_interval"] == "yes"


def test_an_accuracy_far_from_that_of_float32_is_outside():
    (row,) = compared(cell([1] * 40), cell([0] * 40))
    assert row[-1] == "no"


@pytest.mark.parametrize(
    "other",
    [
        cell([0] * 4, seed=2),
        cell([0] * 5),
        cell([0] * 4, predictions={("both", 0.012): np.zeros(4, int)}),
    ],
)
def test_only_the_same_cell_can_be_compared(other):
    with pytest.raises(UserError):
        list(compared(cell([0] * 4), other))
