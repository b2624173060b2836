"""A lower precision for gradients: what it changes, and what it must not."""

import torch
from nets import CROSS_ENTROPY, attacked_rows, budgets, clips, narrow_net

from avrobust.attacks.loss import Loss
from avrobust.attacks.pgd import pgd
from avrobust.attacks.threat import Threat
from avrobust.spec.conditions import Condition


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
    conditions = [Condition(name, "small") for name in ("audio", "visual", "both")]
    exact, rounded = (
        attacked_rows(Threat(pgd(), one, CROSS_ENTROPY), [batch], conditions, budgets(small=0.05), net)[0].to_pandas()
        for one in (net, net.in_precision("bfloat16"))
    )
    clean = exact.modality == "clean"
    assert exact[clean].equals(rounded[clean])
    assert not exact[~clean].equals(rounded[~clean])
    assert (rounded[["norm_audio", "norm_visual"]] <= 0.05 + 1e-6).all().all()
    assert (rounded[rounded.modality == "audio"].norm_visual == 0).all()
