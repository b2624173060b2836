"""Extractors: R(2+1)D-18 against torchvision's, columns of log-mel, features of shards as their encoders give them."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from tiny_store import CLIPS, write_more, write_shard

import extract
import moments
from avrobust.data.batches import EvaluationViews, collate, inputs_of
from avrobust.data.feature_store import FeatureStore
from avrobust.data.moments import read_moments
from avrobust.data.store import Store
from avrobust.lazy import built
from avrobust.models.encoders.log_mel_steps import LogMelSteps
from avrobust.models.encoders.r2plus1d18 import R2Plus1D18
from avrobust.models.encoders.torchvision import KINETICS
from avrobust.models.extractor import ENCODERS, build_extractor
from avrobust.models.log_mel import LogMel
from avrobust.program import UserError
from avrobust.views.clip import ClipView
from avrobust.views.features import Features

FRONT = {"sample_rate": 11025, "n_fft": 512, "window": 256, "hop": 128, "mels": 8, "logarithm": "decibel"}
PARTS = {
    "audio": {"name": "log_mel_steps", "options": {"steps": 30, "front": FRONT}},
    "visual": {"name": "r2plus1d18", "options": {"frames_per_window": 2, "width": 0.125}},
}
VIEW = {"name": "clip", "options": {"seconds": 0.4, "frames": 4, "frame_size": 32}}


def as_trained(net: torch.nn.Module) -> None:
    """Give batch normalisations statistics that are not those they begin with."""
    torch.manual_seed(1)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)


def test_r2plus1d18_is_torchvisions_on_each_window(tmp_path: Path) -> None:
    theirs = torchvision.models.video.r2plus1d_18(weights=None).eval()
    as_trained(theirs)
    torch.save(theirs.state_dict(), tmp_path / "r2plus1d_18.pth")
    part = {"name": "r2plus1d18", "options": {"frames_per_window": 8}}
    extractor, origin = build_extractor("windows", {"visual": part}, {"visual": tmp_path / "r2plus1d_18.pth"})
    assert origin["visual"].startswith("SHA-256 ") and len(origin["visual"]) == 8 + 64
    theirs.fc = torch.nn.Identity()
    pixels = torch.rand(1, 16, 3, 32, 32)
    mean, deviation = (torch.tensor(of).view(3, 1, 1) for of in KINETICS)
    with torch.inference_mode():
        windows = ((pixels[0] - mean) / deviation).unflatten(0, (2, 8)).transpose(1, 2)
        assert torch.equal(extractor["visual"](pixels)[0], theirs(windows))


def test_a_narrow_r2plus1d18_that_starts_from_nothing_neither_explodes_nor_vanishes() -> None:
    """As it stands: its batch normalisations have seen nothing, and leave what they get as it is."""
    for seed in range(5):
        torch.manual_seed(seed)
        net, clips = R2Plus1D18(4, 0.125).eval(), torch.rand(4, 1, 3, 1, 1) * torch.rand(4, 8, 3, 40, 40)
        with torch.inference_mode():
            features = net(clips)
        assert features.shape == (4, 2, net.out_features) == (4, 2, 64)
        assert features.min() >= 0 and 0.01 < features.mean() < 3
        # Clips differ by more than float16 rounds; some features are 0 of every clip.
        assert (features.std(dim=0) / features.mean(dim=0)).nanmedian() > 0.01


@pytest.mark.parametrize("width", [0.125, 0.5, 1])
def test_the_size_that_a_plan_reads_is_the_nets(width: float) -> None:
    assert R2Plus1D18(4, width).out_features == R2Plus1D18.own_features * width


def test_frames_that_make_no_whole_windows_are_refused() -> None:
    with pytest.raises(ValueError, match="6 frames make no whole windows of 4"):
        R2Plus1D18(4, 0.125)(torch.rand(1, 6, 3, 32, 32))


def test_columns_of_log_mel_are_the_steps() -> None:
    net, sound = LogMelSteps(20, FRONT), torch.rand(2, 1, 128 * 25) - 0.5
    assert torch.equal(net(sound), LogMel(**FRONT)(sound)[:, 0, :, :20].mT) and net.out_features == 8
    assert net(sound[..., : 128 * 19]).shape == (2, 20, 8)
    with pytest.raises(ValueError, match="2431 samples make 19 columns, no 20 steps"):
        net(sound[..., : 128 * 19 - 1])


def extracted(folder: Path, shards: list[Path], monkeypatch, **more: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    given = {
        "encoders": json.dumps(PARTS),
        "view": json.dumps(VIEW),
        "extractor": "windows",
        "device": "cpu",
        "batch_size": 8,
    }
    given |= {"features": folder / "0.arrow", "moments": folder / "0.moments.json", "provenance": folder / "0.json"}
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in {**given, **more}.items()]
    monkeypatch.setattr(sys, "argv", ["extract.py", "--shards", *map(str, shards), *arguments])
    extract.main()


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    return [write_shard(tmp_path / "a.arrow"), write_more(tmp_path / "b.arrow")]


def test_features_are_what_the_encoders_make_of_each_clip_one_after_the_other(
    tmp_path: Path, shards: list[Path], monkeypatch
) -> None:
    extracted(tmp_path / "made", shards, monkeypatch, batch_size="4")
    packed = Store(shards)
    made = Features("windows").opened([tmp_path / "made/0.arrow"])
    assert (made.clip_ids, made.splits, made.labels) == (packed.clip_ids, packed.splits, packed.labels)
    assert made.classes == packed.classes and made.shapes == {"audio": (30, 8), "visual": (2, 64)}
    views = EvaluationViews(packed, range(len(packed)), ClipView(**VIEW["options"]), ("audio", "visual"))
    extractor, origin = build_extractor("windows", PARTS, {})
    assert made.weights == origin and origin.keys() == {"visual"}
    for index in range(len(packed)):
        inputs = inputs_of(collate([views[index]]), torch.device("cpu"))
        for name, encoder in extractor.items():
            with torch.inference_mode():
                wanted = encoder(inputs[name])[0].numpy().astype(np.float16)
            np.testing.assert_allclose(made.features(index, name), wanted, rtol=2e-3, atol=1e-4)


def test_moments_are_those_of_the_training_clips_as_they_are_stored(
    tmp_path: Path, shards: list[Path], monkeypatch
) -> None:
    """By the shards together, and by each of them merged."""
    extracted(tmp_path / "both", shards, monkeypatch)
    for name, shard in zip("ab", shards, strict=True):
        extracted(tmp_path / name, [shard], monkeypatch)
    made = FeatureStore([tmp_path / "both/0.arrow"])
    train = made.indices("train")
    assert len(train) == CLIPS["train"] + 5 < len(made)
    for parts in (["both"], ["a", "b"]):
        words = ["--parts", *(str(tmp_path / part / "0.moments.json") for part in parts)]
        monkeypatch.setattr(sys, "argv", ["moments.py", *words, f"--moments={tmp_path / 'moments.json'}"])
        moments.main()
        for name, (mean, deviation) in read_moments(tmp_path / "moments.json").items():
            stored = np.concatenate([made.features(i, name) for i in train]).astype(np.float64)
            np.testing.assert_allclose(mean, stored.mean(axis=0), rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(deviation, stored.std(axis=0), rtol=1e-3, atol=1e-4)


def test_an_encoder_without_weights_is_the_same_in_every_job_and_no_other_extractors() -> None:
    def weights(name: str, parts: dict = PARTS) -> torch.Tensor:
        torch.rand(3)  # wherever the generator is
        return build_extractor(name, parts, {})[0]["visual"].stem[0].weight

    assert torch.equal(weights("windows"), weights("windows", {"visual": PARTS["visual"]}))
    assert not torch.equal(weights("windows"), weights("others"))
    assert not any(one.requires_grad for one in build_extractor("windows", PARTS, {})[0].parameters())


def test_shards_of_other_weights_are_not_read_together(tmp_path: Path, shards: list[Path], monkeypatch) -> None:
    torch.save(built(ENCODERS["visual"], PARTS["visual"]).state_dict(), tmp_path / "w.pth")
    extracted(tmp_path / "a", shards[:1], monkeypatch)
    extracted(tmp_path / "b", shards[1:], monkeypatch, weights=f"visual={tmp_path / 'w.pth'}")
    with pytest.raises(UserError, match="are shards of different weights"):
        FeatureStore([tmp_path / "a/0.arrow", tmp_path / "b/0.arrow"])
    said = json.loads((tmp_path / "b/0.json").read_text())
    assert said["weights"]["visual"].startswith("SHA-256 ") and said["clips"] == 5
    assert json.loads((tmp_path / "a/0.json").read_text())["weights"]["visual"].startswith("initialised by seed ")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"view": json.dumps({**VIEW, "options": {**VIEW["options"], "frames": 3}})}, "3 frames make no whole windows"),
        ({"encoders": json.dumps({"visual": {"name": "r2plus1d"}})}, "unknown name 'r2plus1d'"),
        ({"encoders": json.dumps({"smell": PARTS["visual"]})}, "extractor windows: smell has no encoder"),
        ({"weights": "visual=none.pth"}, "none.pth: no such file"),
        ({"encoders": "{}"}, "extractor windows: encoders are JSON .*, not {}"),
        ({"encoders": "[]"}, "extractor windows: encoders are JSON .*, not "),
        ({"encoders": '{"audio": "log_mel_steps"}'}, "encoders are JSON .*, not {'audio': 'log_mel_steps'}"),
        ({"encoders": '{"audio": {"nam": "x"}}'}, "encoders are JSON .*, not {'audio': {'nam': 'x'}}"),
        (
            {"view": '{"name": "features", "options": {"extractor": "windows"}}'},
            "--view: features are what this program",
        ),
        ({"encoders": json.dumps({"audio": PARTS["audio"]}), "weights": "visual=w.pth"}, "visual has no encoder"),
    ],
)
def test_what_cannot_be_extracted_is_named_and_nothing_is_left(
    tmp_path: Path, shards: list[Path], monkeypatch, more: dict, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        extracted(tmp_path / "made", shards, monkeypatch, **more)
    assert list((tmp_path / "made").iterdir()) == []


def test_features_are_not_taken_for_damaged_clips(tmp_path: Path, shards: list[Path], monkeypatch) -> None:
    extracted(tmp_path / "made", shards[:1], monkeypatch)
    with pytest.raises(
        UserError, match=r"0\.arrow: an Arrow file, but not of packed clips: it has no 'audio_rate'; give"
    ):
        extracted(tmp_path / "again", [tmp_path / "made/0.arrow"], monkeypatch)
