"""Copies of clips: each transform by hand, what is drawn for it, and the points that they make."""

import pytest
import torch
from nets import CROSS_ENTROPY, UNITS, build_attack, clips, clips_in_time, net_in_time, partners_of
from test_encoders import RANDOM_ON_CUDA, Recorded

from avrobust import imagenet
from avrobust.attacks.context import PARTS, Context
from avrobust.attacks.loop import perturb
from avrobust.attacks.loss import Loss
from avrobust.attacks.transforms import TRANSFORMS, Copies, blurring, masked_parts, masking, mixing, scaling
from avrobust.program import UserError

IDS = ["a", "b", "c"]
MEAN = torch.tensor(imagenet.MEAN).view(3, 1, 1)


def context(parts: int = 10, **more: object) -> Context:
    return Context(IDS, 0, "mine", parts=parts, **more)


def hidden_frames(x: torch.Tensor) -> torch.Tensor:
    """Which frames of (N, T, 3, H, W) are of the mean colour."""
    return (x == MEAN).flatten(2).all(dim=2)


def hidden_sounds(x: torch.Tensor, parts: int) -> torch.Tensor:
    """Which of equal parts of (N, 1, L) are silent."""
    return (x.reshape(len(x), parts, -1) == 0).all(dim=2)


@pytest.mark.parametrize(("share", "count"), [(0, 0), (0.049, 0), (0.05, 1), (0.15, 2), (0.25, 3), (0.3, 3), (1, 10)])
def test_a_share_of_the_parts_in_time_is_masked_rounded_half_up(share, count):
    """Of ten frames; as many parts of the sound, which are silent, and the same ones."""
    frames, sounds = torch.rand(3, 10, 3, 4, 4) * 0.4 + 0.5, torch.rand(3, 1, 200) * 0.4 + 0.5
    masked = masking("visual", frames, context(), "one", share), masking("audio", sounds, context(), "one", share)
    pictures, silent = hidden_frames(masked[0]), hidden_sounds(masked[1], 10)
    assert pictures.sum(dim=1).tolist() == [count] * 3 and torch.equal(pictures, silent)
    assert torch.equal(masked[0][~pictures], frames[~pictures])
    assert ((masked[1] == sounds) | (masked[1] == 0)).all() and (masked[1] == 0).sum() == 3 * 20 * count
    assert not 0 < count < 10 or not torch.equal(pictures[0], pictures[1]) or not torch.equal(pictures[1], pictures[2])


def test_asynchronous_masks_are_drawn_for_each_modality():
    """Over 3 clips of 40 parts the same half for both would be chance of 1e-32."""
    frames, sounds = torch.rand(3, 40, 3, 2, 2) + 1, torch.rand(3, 1, 400) + 1
    apart = [masking(name, x, context(40), "one", 0.5, False) for name, x in (("visual", frames), ("audio", sounds))]
    pictures, silent = hidden_frames(apart[0]), hidden_sounds(apart[1], 40)
    assert pictures.sum(dim=1).tolist() == silent.sum(dim=1).tolist() == [20] * 3
    assert not torch.equal(pictures, silent)


def test_a_larger_share_masks_what_a_smaller_one_does_and_more():
    small, large = (masked_parts(context(), "one", share) for share in (0.2, 0.5))
    assert (small <= large).all() and (small.sum(), large.sum()) == (6, 15)


def test_masks_belong_to_the_clip_the_copy_and_the_step():
    whole = masked_parts(context(100), "one", 0.5)
    alone = [masked_parts(Context([clip], 0, "mine", parts=100), "one", 0.5) for clip in reversed(IDS)]
    assert torch.equal(torch.cat(alone[::-1]), whole)
    assert not torch.equal(masked_parts(context(100), "other", 0.5), whole)
    assert not torch.equal(masked_parts(context(100, step=1), "one", 0.5), whole)


def test_a_share_that_is_none_is_refused():
    for share in (-0.1, 1.1):
        with pytest.raises(UserError, match=f"a share of {share} of a clip cannot be masked"):
            masked_parts(context(), "one", share)


def test_one_picture_is_masked_along_its_width():
    """Of 20 parts 4 are: of 40 columns 8, in colour, and of a sound of 100 samples 20."""
    frame, sound = torch.rand(3, 3, 8, 40) * 0.4 + 0.5, torch.rand(3, 1, 100) + 1
    hidden = (masking("visual", frame, context(PARTS), "one", 0.2) == MEAN).all(dim=1)
    assert hidden.all(dim=1).sum(dim=1).tolist() == hidden.any(dim=1).sum(dim=1).tolist() == [8] * 3
    assert (masking("audio", sound, context(PARTS), "one", 0.2) == 0).sum(dim=2).flatten().tolist() == [20] * 3


def test_scaling_and_mixing_by_hand():
    x, partner = torch.tensor([[[0.5, -1.0]]]), {"audio": torch.tensor([[[1.0, 0.0]]])}
    assert scaling("audio", x, context(), "one").tolist() == [[[0.25, -0.5]]]
    assert scaling("audio", x, context(), "one", factor=0.25).tolist() == [[[0.125, -0.25]]]
    mixed = mixing("audio", x, context(partner=partner), "one")
    torch.testing.assert_close(mixed, torch.tensor([[[0.6, -0.8]]]))
    torch.testing.assert_close(mixing("audio", x, context(partner=partner), "one", share=1.0), partner["audio"])
    with pytest.raises(RuntimeError, match="mine mixes visual with that of partners, which it is not told"):
        mixing("visual", x, context(partner=partner), "one")


def test_a_blurred_impulse_is_the_kernel_and_what_is_constant_stays():
    """By hand: exp(-k^2 / 2) for k = -2 ... 2 over their sum, 0.0545, 0.2442, 0.4026; a picture's is the product."""
    weights = torch.tensor([0.0545, 0.2442, 0.4026, 0.2442, 0.0545])
    sound, picture = torch.zeros(1, 1, 9), torch.zeros(1, 2, 3, 9, 9)
    sound[..., 4] = picture[0, 1, 2, 4, 4] = 1
    torch.testing.assert_close(blurring("audio", sound, context(), "")[0, 0, 2:7], weights, rtol=0, atol=1e-4)
    blurred = blurring("visual", picture, context(), "")
    torch.testing.assert_close(blurred[0, 1, 2, 2:7, 2:7], weights[:, None] * weights, rtol=0, atol=1e-4)
    assert blurred[0, 0].abs().sum() == 0 and blurred.sum().item() == pytest.approx(1, abs=1e-6)
    flat = torch.full((1, 1, 3, 6, 7), 0.3)
    torch.testing.assert_close(blurring("visual", flat, context(), ""), flat)
    torch.testing.assert_close(blurring("audio", flat[:, 0, :1, 0], context(), ""), flat[:, 0, :1, 0])
    with pytest.raises(UserError, match="a kernel of 4 values has no middle"):
        blurring("audio", sound, context(), "", size=4)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_gradients_pass_every_transform_and_no_operator_that_is_random_on_cuda(name):
    """By finite differences; a copy has the shape of the clip, and stays in its range."""
    inputs = {key: x.double() for key, x in clips_in_time(3).items()}
    told = context(4, partner=partners_of(inputs))
    for key, x in inputs.items():
        leaf = x.requires_grad_()
        with Recorded() as recorded:
            made = TRANSFORMS[name](key, leaf, told, "one")
            made.sum().backward()
        assert made.shape == x.shape and made.min() >= UNITS[key].low and made.max() <= UNITS[key].high
        assert not [one for one in recorded.names if any(word in one for word in RANDOM_ON_CUDA)]
        few = (x[:, :, :40] if key == "audio" else x[:, :, :, :3, :3]).detach().requires_grad_()
        partner = {key: few.detach().flip(-1)}
        told_few = context(4, partner=partner)
        assert torch.autograd.gradcheck(lambda x, key=key, told=told_few: TRANSFORMS[name](key, x, told, "one"), few)


def test_copies_go_through_the_transforms_in_turn_and_weigh_alike():
    points = Copies(["identity", {"name": "scaling", "modalities": ["audio"], "options": {"factor": 0.1}}], 3)(0)
    assert [point.weight for point in points] == [1 / 3] * 3
    assert [point.touches for point in points] == [(), ("audio",), ()]
    assert points[1].place("audio", torch.ones(1, 1, 2), context()).tolist() == [[[pytest.approx(0.1)] * 2]]


def test_every_copy_draws_its_own_masks():
    places = [point.place for point in Copies(["masking"], 3)(0)]
    made = [place("audio", torch.ones(3, 1, 100), context(100)) for place in places]
    assert not torch.equal(made[0], made[1]) and not torch.equal(made[1], made[2])


@pytest.mark.parametrize(
    ("told", "random", "partner"),
    [(["identity", "scaling"], False, False), (["masking"], True, False), (["blurring", "mixing"], False, True)],
)
def test_copies_say_what_they_need(told, random, partner):
    made = Copies(told, len(told))
    assert (made.random, made.needs_partner) == (random, partner)
    attack = build_attack("mma", {"transforms": told, "copies": len(told)})
    assert (attack.random, attack.needs_partner) == (random, partner)
    assert Copies([*told, "masking", "mixing"], len(told)).needs_partner == partner, "what is never taken"


@pytest.mark.parametrize(
    ("told", "count", "message"),
    [
        (["rotating"], 1, "'rotating'} is no transform {name, modalities, options} of identity, scaling"),
        ([{"name": "masking", "share": 0.2}], 1, "is no transform"),
        ([{"name": "masking", "options": {"shares": 0.2}}], 1, "masking: unknown option shares; its options are share"),
        ([{"name": "masking", "modalities": ["touch"]}], 1, "masking: touch is none of audio, visual"),
        ([], 2, "2 copies by 0 transforms are none"),
        (["identity"], 0, "0 copies by 1 transforms are none"),
    ],
)
def test_what_is_no_copy_is_refused(told, count, message):
    with pytest.raises(UserError, match=message):
        Copies(told, count)


@pytest.mark.parametrize("name", ["tia", "mma", "tma", "fgsm_masked", "masked"])
def test_clips_are_of_as_many_parts_as_frames(name):
    """The loss says so, to places and to starts: of four frames one is a quarter."""
    seen = []
    inputs = {**clips_in_time(3), "audio": torch.ones(3, 1, 1024)}
    loss = Loss(net_in_time(), CROSS_ENTROPY, inputs, torch.tensor([0, 1, 2]), partner=partners_of(inputs))
    encode = loss.model.encode

    def watched(modality, x):
        seen.append((modality, x.detach()))
        return encode(modality, x)

    loss.model.encode = watched
    options = {"share": 0.25} if "masked" in name else {"transforms": ["masking"], "copies": 1, "steps": 1}
    made = perturb(loss, {key: UNITS[key].budget(0.01) for key in inputs}, build_attack(name, options), Context(IDS))
    masks = [x for modality, x in seen if modality == "audio"] if name != "masked" else [made["audio"]]
    for x in masks:
        if (x == 0).any():
            assert hidden_sounds(x, 4).sum(dim=1).tolist() == [1, 1, 1]
    assert any((x == 0).any() for x in masks)


def test_masking_for_figure_1_is_the_same_whatever_the_budget_and_the_net():
    """And takes no gradient; of one modality the parts that both would have."""
    inputs, labels = clips_in_time(3), torch.tensor([0, 1, 2])

    def made(epsilon: float, modalities: tuple[str, ...], seed: int = 0) -> dict[str, torch.Tensor]:
        def forbidden(*given):
            raise AssertionError("the objective was looked at")

        loss = Loss(net_in_time(seed=seed), forbidden, inputs, labels)
        balls = {key: UNITS[key].budget(epsilon) for key in modalities}
        return perturb(loss, balls, build_attack("masked", {"share": 0.5}), Context(IDS, 0, "masked50"))

    both = made(0.01, ("audio", "visual"))
    assert hidden_frames(both["visual"]).sum(dim=1).tolist() == [2] * 3
    assert torch.equal(hidden_frames(both["visual"]), hidden_sounds(both["audio"], 4))
    for key in inputs:
        assert torch.equal(made(0.3, (key,), seed=1)[key], both[key])


@pytest.mark.parametrize("options", [{"share": 0.0}, {"share": 0.4, "modalities": []}])
def test_fgsm_of_copies_in_which_nothing_is_masked_is_fgsm(options):
    inputs, labels = clips(4), torch.tensor([0, 1, 2, 3])
    net, balls = net_in_time(), {key: UNITS[key].budget(0.01) for key in inputs}
    inputs = clips_in_time(4)
    one, other = (
        perturb(Loss(net, CROSS_ENTROPY, inputs, labels), balls, attack, Context(["a", "b", "c", "d"]))
        for attack in (build_attack("fgsm_masked", options), build_attack("fgsm"))
    )
    assert all(torch.equal(one[key], other[key]) for key in inputs)
