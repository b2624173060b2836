"""A dataset that nets see through a fixed net: clips to features and moments, once."""

import json
import re

import numpy as np
import pytest
from project import CLASSES, CLIPS, Project

from avrobust.data.feature_store import FeatureStore
from avrobust.data.moments import read_moments

DATASET = "kinetics_sounds_31"
FRONT = {"sample_rate": 11025, "n_fft": 512, "window": 256, "hop": 250, "mels": 16}
MOMENTS = f"results/tiny/features/{DATASET}/log_mel_r2plus1d/moments.json"
EXTRACTOR = {
    "pretrained": False,
    "view": {"options": {"seconds": 1.5, "frames": 8, "frame_size": 32}},
    "audio": {"options": {"steps": 60, "front": FRONT}},
    "visual": {"options": {"frames_per_window": 4, "width": 0.125}},
}


@pytest.fixture
def extracted(fresh_copy: Project) -> Project:
    """The clips of four classes, and what the default extractor makes of them."""

    def small(scale: dict) -> None:
        sizes = {"audio_rate": 11025, "frame_rate": 8, "short_side": 48, "minimum_frames": 8}
        extractors = {"log_mel_r2plus1d": EXTRACTOR, "log_mel_power": EXTRACTOR}
        extractors["log_mel_resnet152"] = {"view": {"options": {"seconds": 1.5}}, "audio": EXTRACTOR["audio"]}
        scale["datasets"][DATASET] = {**sizes, "rendered": CLIPS, "extractors": extractors}

    fresh_copy.edit_yaml("workflow/scales/tiny.yaml", small)
    fresh_copy.edit_yaml(f"workflow/datasets/{DATASET}.yaml", lambda facts: facts.update(classes=["a", "b", "c", "d"]))
    fresh_copy.edit_yaml("config.yaml", lambda config: config.update(datasets={DATASET: {}}))
    fresh_copy.make(MOMENTS)
    return fresh_copy


def to_do(project: Project) -> set[str]:
    """Return the rules of which a dry run has jobs."""
    return set(re.findall(r"^(?:local)?rule (\w+):$", project.make("--dry-run", MOMENTS), re.MULTILINE))


def test_features_are_made_once_and_again_only_by_what_makes_them(extracted: Project) -> None:
    folder = extracted.results / f"features/{DATASET}/log_mel_r2plus1d"
    store = FeatureStore([folder / "0000.arrow"])
    assert len(store) == CLASSES * sum(CLIPS.values()) and store.shapes == {"audio": (60, 16), "visual": (2, 64)}
    assert re.fullmatch(r"initialised by seed \d+", store.weights["visual"]) and "audio" not in store.weights
    provenance = json.loads((folder / "0000_provenance.json").read_text(encoding="utf-8"))
    assert (provenance["weights"], len(provenance["shards"])) == (store.weights, 2)
    for name, (mean, deviation) in read_moments(folder / "moments.json").items():
        features = np.concatenate([store.features(i, name) for i in store.indices("train")]).astype(np.float64)
        np.testing.assert_allclose(mean, features.mean(axis=0))
        np.testing.assert_allclose(deviation, features.std(axis=0), rtol=1e-6, atol=1e-9)
    assert to_do(extracted) == set()
    extracted.edit_code("models/encoders/csn.py", "CSN")
    assert to_do(extracted) == set(), "a net that is trained on them"
    extracted.edit_code("models/encoders/r2plus1d18.py", "R2Plus1D18")
    assert to_do(extracted) == {"features", "moments"}
