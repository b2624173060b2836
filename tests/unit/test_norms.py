"""Budgets and their norms: by hand, against torch's own norms, and a signal-to-noise ratio."""

import math

import pytest
import torch
from nets import FORMS, UNITS

from avrobust.attacks.budget import units
from avrobust.attacks.norms import L2, NORMS
from avrobust.program import UserError
from avrobust.views.view import Input

PIXEL, ONE = units("pixel", FORMS), torch.ones(())
# Two clips of two time steps of three values: 3-4-5 and 5-12-13 triangles.
VECTORS = torch.tensor([[[3.0, 0, 4], [0, 0, 1]], [[5, 12, 0], [0, 0, 0]]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "lengths"), [("linf", [4, 12]), ("l2_step", [5, 13]), ("l2_clip", [math.sqrt(26), 13])]
)
def test_the_length_of_a_perturbation_by_hand(name, lengths):
    assert NORMS[name](1).length(VECTORS).tolist() == pytest.approx(lengths)


def test_a_long_vector_is_as_long_as_it_is():
    """A waveform of ten seconds; a sum in one float32 loses four digits of it. Nothing has no length."""
    vectors = torch.full((2, 1, 240_000), 0.1)
    vectors[1] = 0
    wanted = vectors[0].double().norm().item()
    assert NORMS["l2_clip"](1).length(vectors).tolist() == pytest.approx([wanted, 0], rel=1e-6)


@pytest.mark.parametrize("name", NORMS)
def test_the_steepest_way_has_length_1_and_no_other_of_that_length_rises_more(name):
    """The rise is the dual norm of the gradient: l1 of l-infinity; of l2 the sum of the norms of the steps."""
    norm, generator = NORMS[name](1), torch.Generator().manual_seed(0)
    gradient = torch.randn(5, 4, 3, generator=generator, dtype=torch.float64)
    steepest = norm.steepest(gradient, ONE)
    dual = {
        "linf": gradient.abs().sum((1, 2)),
        "l2_step": gradient.norm(dim=2).sum(1),
        "l2_clip": gradient.flatten(1).norm(dim=1),
    }
    torch.testing.assert_close((steepest * gradient).sum((1, 2)), dual[name])
    torch.testing.assert_close(norm.length(steepest), torch.ones(5, dtype=torch.float64))


def test_in_a_ball_that_is_longer_one_way_the_steepest_way_leans_there():
    """Epsilon (1, 2) and a gradient (3, 1): in units of epsilon the gradient is (3, 2), of length sqrt(13)."""
    gradient, epsilon = torch.tensor([[3.0, 1.0]]), torch.tensor([1.0, 2.0])
    steepest = L2(None).steepest(gradient, epsilon)[0]
    assert steepest.tolist() == pytest.approx([3 / math.sqrt(13), 2 / math.sqrt(13)])


@pytest.mark.parametrize("name", NORMS)
def test_no_gradient_is_no_way_and_a_small_one_is_one(name):
    norm = NORMS[name](1)
    assert not norm.steepest(torch.zeros(2, 4, 3), ONE).any()
    # Of float32 the square of 1e-30 is 0.
    assert norm.length(norm.steepest(torch.full((1, 1, 4), 1e-30), ONE)).item() == pytest.approx(1)


@pytest.mark.parametrize("name", NORMS)
def test_the_projection_is_the_nearest_point_of_the_ball(name):
    norm, generator = NORMS[name](1), torch.Generator().manual_seed(0)
    clean = torch.randn(50, 4, 3, generator=generator, dtype=torch.float64)
    iterate = clean + 0.5 * torch.randn(50, 4, 3, generator=generator, dtype=torch.float64)
    epsilon = torch.tensor([[0.2], [0.3], [0.4], [0.5]], dtype=torch.float64)  # one of each time step
    made = norm.project(iterate, clean, epsilon)
    length = norm.length((iterate - clean) / epsilon)
    assert (length > 1).any()
    assert torch.equal(made[length <= 1], iterate[length <= 1])
    torch.testing.assert_close(norm.length((made - clean) / epsilon), length.clamp_max(1))
    torch.testing.assert_close(norm.project(made, clean, epsilon), made)


def test_a_projection_in_l2_by_hand():
    """13 and 5 long; to 2 of the whole clip, or of each step."""
    clean, epsilon = torch.zeros_like(VECTORS), torch.tensor(2.0, dtype=torch.float64)
    by_step = NORMS["l2_step"](1).project(VECTORS, clean, epsilon)
    assert by_step[0].tolist() == [pytest.approx([1.2, 0, 1.6]), [0, 0, 1]]
    by_clip = NORMS["l2_clip"](1).project(VECTORS, clean, epsilon)
    torch.testing.assert_close(by_clip[0], VECTORS[0] * 2 / math.sqrt(26))
    assert by_clip[1, 0].tolist() == pytest.approx([10 / 13, 24 / 13, 0])


def test_a_time_step_of_frames_has_three_axes_and_a_waveform_is_one_step():
    frames = torch.zeros(1, 2, 3, 4, 4)
    frames[0, 0, :, 0, 0], frames[0, 1, 0, 0, 0] = torch.tensor([2.0, 3, 6]), 1.0
    assert PIXEL["visual"].norm(frames, "l2_step").item() == pytest.approx(7)
    assert PIXEL["visual"].norm(frames, "l2_clip").item() == pytest.approx(math.sqrt(50))
    sound = torch.full((1, 1, 100), 0.1)
    assert PIXEL["audio"].norm(sound, "l2_step").item() == pytest.approx(1)


def test_features_have_no_bounds_and_each_step_is_a_vector():
    """Of (400, 64) a step is 64 values; only a range of the budget's own is as wide as it is."""
    unit = units("normalised", {"audio": Input((400, 64), "float16", -math.inf, math.inf, 1)})["audio"]
    features = torch.zeros(1, 400, 64)
    features[0, 0, :2], features[0, 1, :2] = torch.tensor([3.0, 4.0]), torch.tensor([5.0, 12.0])
    assert unit.norm(features, "l2_step").item() == pytest.approx(13)
    assert torch.equal(unit.budget(1.0).clamp(20 * features), 20 * features)
    assert unit.budget("range", range=[-80, 20]).epsilon.item() == 100
    with pytest.raises(UserError, match=r"as wide as the range, which is -inf to inf; give range: \[\.\.\., \.\.\.\]"):
        unit.budget("range")


def test_a_budget_in_the_papers_unit():
    """1 in every channel of a normalised frame is a standard deviation of it; the l2 norm counts in those."""
    one_pixel = torch.zeros(1, 3, 2, 2)
    one_pixel[0, :, 0, 0] = UNITS["visual"].scale.flatten()
    assert UNITS["visual"].norm(one_pixel, "l2_clip").item() == pytest.approx(math.sqrt(3))
    budget = UNITS["visual"].budget(2.0, "l2_clip", range=[0.25, 0.75])
    assert budget.used(one_pixel).item() == pytest.approx(math.sqrt(3) / 2)
    assert budget.clamp(torch.tensor([0.0, 0.5, 1.0])).tolist() == [0.25, 0.5, 0.75]


def test_a_signal_to_noise_ratio_gives_each_clip_its_own_ball():
    """20 dB are a tenth of the clip's l2 norm: 0.5 and 2 here. Nothing may change in a silent clip."""
    sounds = torch.zeros(3, 1, 4)
    sounds[0, 0, :2], sounds[1] = torch.tensor([3.0, 4.0]), 10.0
    budget = UNITS["audio"].budget(norm="l2_clip", snr=20, clean=sounds)
    assert budget.epsilon.flatten().tolist() == pytest.approx([0.5, 2, 0])
    noise = torch.full((3, 1, 4), 0.5)
    assert budget.used(noise).tolist() == pytest.approx([2, 0.5, math.inf])
    inside = budget.norm.project(sounds + noise, sounds, budget.epsilon)
    assert torch.equal(inside[2], sounds[2])
    ratio = 20 * torch.log10(sounds.norm(dim=2) / (inside - sounds).norm(dim=2))
    assert ratio[0].item() == pytest.approx(20, abs=1e-4)
    assert budget.active and not UNITS["audio"].budget(norm="l2_clip", snr=20, clean=sounds[2:]).active


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epsilon": 0.1, "norm": "l1"}, "one of linf, l2_step, l2_clip, not 'l1'"),
        ({}, "either an epsilon or an snr"),
        ({"epsilon": 0.1, "snr": 20, "norm": "l2_clip"}, "either an epsilon or an snr"),
        ({"snr": 20}, "20 dB is one of the norm l2_clip, not linf"),
    ],
)
def test_a_budget_that_means_nothing_is_refused(given, message):
    with pytest.raises(UserError, match=message):
        UNITS["audio"].budget(**given)


def test_points_drawn_of_a_ball_fill_it_evenly():
    """In d dimensions the share within radius r is r^d: half of them within 0.5^(1/d)."""
    torch.manual_seed(0)
    uniform, normal = (lambda name, *shape: torch.rand(4000, *shape)), (lambda name, *shape: torch.randn(4000, *shape))
    for norm, shape, dimensions in ((L2(None), (2, 3), 6), (L2(1), (2, 3), 3)):
        points = norm.inside("x", shape, uniform, normal)
        radii = points.flatten(1).norm(dim=1) if norm.axes is None else points.norm(dim=2).flatten()
        assert radii.max() <= 1 + 1e-6
        assert (radii < 0.5 ** (1 / dimensions)).double().mean().item() == pytest.approx(0.5, abs=0.03)
        assert points.mean(0).abs().max() < 0.03
    cube = NORMS["linf"](1).inside("x", (2, 3), uniform, normal)
    assert cube.abs().max() <= 1 and cube.abs().mean().item() == pytest.approx(0.5, abs=0.02)
