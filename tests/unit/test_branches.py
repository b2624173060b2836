"""What a net of branches starts from: encoders of trained nets, and moments of the training clips."""

import json
from pathlib import Path

import pytest
import torch

from avrobust.models.build import ModelSpec, Part, build
from avrobust.models.files import save_model
from avrobust.program import UserError
from avrobust.training.start import fresh_model

AUDIO = Part("csn", {"mels": 32, "width": 0.125, "heads": 4})
VISUAL = Part("video_transformer", {"size": 16, "features": 64, "heads": 4})
BOTH = ModelSpec("mid_fusion", AUDIO, VISUAL, head="attention")


def saved(path: Path, spec: ModelSpec, seed: int) -> dict:
    """A net of two epochs, the best of which `seed` made; return the weights of that."""
    best, latest = (build(spec, 3, one).state_dict() for one in (seed, seed + 1))
    states = ({"model": state, "objective": {}} for state in (best, latest))
    save_model(path, spec, Part("cross_entropy"), ["a", "b", "c"], *states, {})
    return best


@pytest.fixture
def moments(tmp_path: Path) -> Path:
    path = tmp_path / "moments.json"
    of_sound = {"count": 9, "mean": [float(band) for band in range(32)], "deviation": [2.0] * 31 + [0.0]}
    path.write_text(
        json.dumps({"audio": of_sound, "visual": {"count": 9, "mean": [0.0] * 16, "deviation": [1.0] * 16}})
    )
    return path


def test_encoders_are_those_of_the_best_epoch_and_the_rest_is_drawn(tmp_path, moments):
    best = saved(tmp_path / "csn.pt", ModelSpec("audio", AUDIO, head="attention"), seed=7)
    net = fresh_model(BOTH, 3, 1, {}, {"audio": tmp_path / "csn.pt"}, moments)
    alone = build(BOTH, 3, 1).state_dict()
    for name, value in net.state_dict().items():
        assert torch.equal(value, best[name] if name.startswith("encoders.audio.") else alone[name]), name


def test_a_net_from_nothing_standardises_by_the_moments(moments):
    net = fresh_model(BOTH, 3, 1, {}, moments=moments)
    layer = net.encoders["audio"].standardise
    assert layer.mean.tolist() == list(range(32))
    assert layer.deviation.tolist() == [2.0] * 31 + [1.0]


def test_a_net_that_standardises_needs_moments():
    with pytest.raises(UserError, match="the audio encoder standardises its input; give --moments"):
        fresh_model(BOTH, 3, 1, {})


def test_moments_of_other_clips_are_refused(moments):
    wider = ModelSpec("audio", Part("csn", {**AUDIO.options, "mels": 64}), head="attention")
    with pytest.raises(UserError, match=r"audio: moments of \(32,\) values, but the net takes 64"):
        fresh_model(wider, 3, 1, {}, moments=moments)


def test_a_branch_of_another_encoder_or_modality_is_refused(tmp_path, moments):
    other = Part("csn", {**AUDIO.options, "shared": False})
    saved(tmp_path / "csn.pt", ModelSpec("audio", other, head="attention"), seed=7)
    with pytest.raises(UserError, match=r"another audio encoder: .*give both nets the same one"):
        fresh_model(BOTH, 3, 1, {}, {"audio": tmp_path / "csn.pt"}, moments)
    with pytest.raises(UserError, match="has no visual encoder to start from"):
        fresh_model(BOTH, 3, 1, {}, {"visual": tmp_path / "csn.pt"}, moments)
