"""Clips as files hold them: levels worked by hand, what is left of known attacks, and rows that say so."""

import math

import pytest
import torch
from nets import CROSS_ENTROPY, FORMS, budgets, build_attack, clips, narrow_net

from avrobust.attacks.threat import Threat
from avrobust.evaluation.as_files import AsFiles, quantised
from avrobust.evaluation.cell import Cell, evaluate
from avrobust.imagenet import STD
from avrobust.metrics.schema import FLOAT, ROUNDED, TRUNCATED, in_order
from avrobust.spec.conditions import Condition
from avrobust.views.features import Features
from avrobust.views.moment import Moment
from avrobust.views.view import Input, pixels, waveform

GIVEN = budgets(small=0.006, large=0.012, whole=0.1)
# What a level of a frame is on normalised pixels, by channel.
LEVEL = [1 / 255 / std for std in STD]


def on_a_grid(count: int = 6) -> dict[str, torch.Tensor]:
    """Clean clips as a store has them: 255ths and 32,768ths."""
    made = clips(count)
    return {
        "audio": (made["audio"] * 2**15).round().clamp(-(2**15), 2**15 - 1) / 2**15,
        "visual": (made["visual"] * 255).to(torch.uint8).float() / 255,
    }


def test_every_level_of_a_file_is_itself_rounded_and_truncated():
    clean = {"visual": torch.arange(256, dtype=torch.uint8)[None].float() / 255}
    clean["audio"] = (torch.arange(2**16) - 2**15)[None].float() / 2**15
    other = {name: x + 0 for name, x in clean.items()}
    for made in quantised(other, clean, FORMS).values():
        assert all(made[name] is clean[name] for name in clean)


def test_levels_worked_by_hand():
    clean = {"visual": torch.tensor([[10, 10, 10, 10, 255, 0]]) / 255, "audio": torch.zeros(1, 6)}
    frame = torch.tensor([[10.4, 10.6, 9.4, 9.6, 254.9, 0.2]]) / 255
    sound = torch.tensor([[0.4, 0.6, -0.4, -0.6, 2**15, -(2**15)]]) / 2**15
    found = quantised({"visual": frame, "audio": sound}, clean, FORMS)
    assert (found[ROUNDED]["visual"] * 255).tolist() == [[10, 11, 9, 10, 255, 0]]
    assert (found[TRUNCATED]["visual"] * 255).tolist() == [[10, 10, 9, 9, 254, 0]]
    # Sound is rounded whatever is done to the frame, and 1 is more than 16 bits hold.
    assert found[TRUNCATED]["audio"] is found[ROUNDED]["audio"]
    assert (found[ROUNDED]["audio"] * 2**15).tolist() == [[0, 1, 0, -1, 2**15 - 1, -(2**15)]]


def test_what_lies_beyond_a_clip_is_as_it_was():
    """The zero that ends an odd window: an attack moves it, a file cannot."""
    assert Moment(5, 32).inputs(None)["audio"].padding == 1 and Moment(4, 32).inputs(None)["audio"].padding == 0
    clean, made = torch.zeros(1, 1, 5), torch.full((1, 1, 5), 0.5)
    found = quantised({"audio": made}, {"audio": clean}, {"audio": waveform(1, 5, padding=1)})
    assert found[ROUNDED]["audio"].tolist() == [[[0.5, 0.5, 0.5, 0.5, 0.0]]] and made[0, 0, 4] == 0.5


def test_features_are_in_no_file():
    view = Features("net")
    forms = {"audio": Input((4, 8), "float16", -math.inf, math.inf, 1), "visual": pixels(3, 2, 2)}
    inputs = {"audio": torch.zeros(1, 4, 8), "visual": torch.zeros(1, 3, 2, 2)}
    assert quantised(inputs, inputs, forms) == {} and not view.bounded


def rows(name: str, conditions: list[Condition], as_files: AsFiles | None = AsFiles(FORMS), fusion="concat"):  # noqa: B008
    net, inputs = narrow_net(fusion), on_a_grid()
    batch = {"audio": inputs["audio"], "visual": (inputs["visual"] * 255).round().to(torch.uint8)}
    batch |= {"label": torch.arange(6) % 5, "clip_id": [f"clip{number}" for number in range(6)]}
    threat = Threat(build_attack(name), net, CROSS_ENTROPY)
    cell = Cell("net", name, threat, {"net": net}, {"net": conditions}, as_files)
    (part,) = evaluate([cell], [batch], GIVEN, torch.device("cpu"))
    return in_order([part.rows]).to_pandas()


@pytest.mark.parametrize("name", ["fgsm", "pgd", "mim"])
def test_a_third_of_a_level_is_rounded_away_and_two_thirds_become_a_whole_one(name):
    """0.006 on normalised pixels is 0.34 to 0.35 of a level, 0.012 twice that: no step of these ends in between."""
    assert [round(255 * 0.006 * std, 2) for std in STD] == [0.35, 0.34, 0.34]
    table = rows(name, [Condition("visual", "small"), Condition("visual", "large")])
    of = {(form, budget): table[(table.form == form) & (table.budget == budget)] for form in (FLOAT, ROUNDED, TRUNCATED)
          for budget in ("", "small", "large")}  # fmt: skip
    answers = ["clip_id", "prediction", "loss"]
    assert (of[ROUNDED, "small"].norm_visual == 0).all()
    assert of[ROUNDED, "small"][answers].values.tolist() == of[FLOAT, ""][answers].values.tolist()
    # One whole level, on a channel whose levels are the widest: out of the ball, and written down.
    for form, budget in ((ROUNDED, "large"), (TRUNCATED, "small"), (TRUNCATED, "large")):
        assert of[form, budget].norm_visual.tolist() == pytest.approx([max(LEVEL)] * 6, rel=1e-4)
        assert (of[form, budget].norm_visual > of[form, budget].epsilon_visual + 0.005).all()
    assert max(LEVEL) == pytest.approx(0.0175, abs=2e-5)


def test_truncating_takes_single_steps_of_any_size_below_a_level_to_the_same_frames():
    """Down where the sign is negative, and nothing where it is positive."""
    table = rows("fgsm", [Condition("visual", "small"), Condition("visual", "large")])
    small, large = (table[(table.form == TRUNCATED) & (table.budget == name)] for name in ("small", "large"))
    assert small.loss.tolist() == large.loss.tolist() != table[table.budget == ""].loss.tolist()[:6]


def test_16_bits_leave_the_sound_within_half_a_level():
    table = rows("pgd", [Condition("audio", "small")])
    floats, rounded, truncated = (
        table[(table.form == form) & (table.budget == "small")].drop(columns="form").reset_index(drop=True)
        for form in (FLOAT, ROUNDED, TRUNCATED)
    )
    # 0.006 is 196.6 levels, and 197 are out of the ball, if by little.
    assert rounded.norm_audio.tolist() == pytest.approx([197 / 2**15] * 6) and (floats.norm_audio < 0.0060001).all()
    assert truncated.equals(rounded)
    assert (rounded.loss - floats.loss).abs().max() < 1e-2 * floats.loss.max()


def test_forms_leave_the_rows_of_floats_as_they_are():
    asked = [Condition(modality, "whole") for modality in ("audio", "visual", "both")]
    with_files, without = rows("mim", asked), rows("mim", asked, None)
    assert set(without.form) == {FLOAT} and len(with_files) == 3 * len(without)
    assert with_files[with_files.form == FLOAT].reset_index(drop=True).equals(without)
    clean = with_files[with_files.modality == "clean"]
    of_form = [clean[clean.form == form].drop(columns="form").reset_index(drop=True) for form in set(clean.form)]
    assert all(one.equals(of_form[0]) for one in of_form)


@pytest.mark.parametrize(("name", "made_once"), [("fgsm", True), ("random_sign", True), ("pgd", False)])
def test_what_forms_share_is_encoded_once(name, made_once):
    """Sound: once as floats, once rounded; frames: as floats and truncated, for 0.006 is rounded to the clean one.

    What an attack makes of a modality apart from the other is there for both conditions that attack it.
    """
    net, counts = narrow_net(), {"audio": 0, "visual": 0}
    encode = net.encode

    def counting(modality, x):
        counts[modality] += not torch.is_grad_enabled()
        return encode(modality, x)

    net.encode = counting
    inputs = on_a_grid()
    batch = {"audio": inputs["audio"], "visual": (inputs["visual"] * 255).round().to(torch.uint8)}
    batch |= {"label": torch.arange(6) % 5, "clip_id": list("abcdef")}
    threat = Threat(build_attack(name), net, CROSS_ENTROPY)
    asked = [Condition(modality, "small") for modality in ("audio", "visual", "both")]
    cell = Cell("net", name, threat, {"net": net}, {"net": asked}, AsFiles(FORMS))
    list(evaluate([cell], [batch], GIVEN, torch.device("cpu")))
    clean, alone, both = 1, 2, 0 if made_once else 2
    assert counts == {"audio": clean + alone + both, "visual": clean + alone + both}
