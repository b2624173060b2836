"""Clips attacked through what made the features that a net takes: the same answers, and gradients down to samples."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from tiny_store import CLASSES, write_shard

import attack
import extract
import fit
from avrobust.models.build import ModelSpec, Part, build
from avrobust.models.end_to_end import EndToEnd
from avrobust.models.files import save_model
from avrobust.program import UserError
from avrobust.spec.budgets import named

FRONT = {"sample_rate": 11025, "n_fft": 2048, "window": 512, "hop": 128, "mels": 32, "logarithm": "decibel"}
ENCODERS = {
    "audio": {"name": "log_mel_steps", "options": {"steps": 32, "front": FRONT}},
    "visual": {"name": "r2plus1d18", "options": {"frames_per_window": 2, "width": 0.125}},
}
CLIP = {"name": "clip", "options": {"seconds": 0.4, "frames": 4, "frame_size": 32}}
FEATURES = {"name": "features", "options": {"extractor": "windows"}}
BLOCKS = {"heads": 4, "passes": 1}
SPEC = ModelSpec(
    "concat",
    Part("csn", {"mels": 32, "width": 0.125, **BLOCKS}),
    Part("standardised_video_transformer", {"size": 64, "features": 64, **BLOCKS}),
)
# In the whole of a sound, in each picture; of features, whose unit is a deviation, in each step.
BUDGETS = named({"small": {"audio": {"norm": "l2_step", "epsilon": 2}, "visual": {"norm": "l2_step", "epsilon": 0.5}}})
CONDITIONS = [["audio", "small"], ["visual", "small"], ["both", "small"]]
PGD = {"surrogate": "net", "attack": "pgd", "spec": {"update": "pgd"}, "ranked": True, "floats": ["net"]}


def call(monkeypatch: pytest.MonkeyPatch, program: object, plain: dict, told: dict, *more: str) -> None:
    words = [f"--{name.replace('_', '-')}={value}" for name, value in plain.items()]
    words += [f"--{name.replace('_', '-')}={json.dumps(value)}" for name, value in told.items()]
    monkeypatch.setattr(sys, "argv", ["program", *words, *more])
    program.main()


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A net on features, the clips, and what the extractor made of them."""
    write_shard(tmp_path / "0.arrow")
    plain = {"shards": tmp_path / "0.arrow", "extractor": "windows", "device": "cpu", "batch-size": 8}
    plain |= {"features": tmp_path / "f.arrow", "moments": tmp_path / "m.json", "provenance": tmp_path / "f.json"}
    call(monkeypatch, extract, plain, {"encoders": ENCODERS, "view": CLIP})
    net = build(SPEC, len(CLASSES), seed=0).eval()
    with torch.no_grad():
        net.classifier.weight.normal_()
        for name, (mean, deviation) in {"audio": (-20.0, 9.0), "visual": (0.5, 0.4)}.items():
            net.encoders[name].standardise.mean.fill_(mean)
            net.encoders[name].standardise.deviation.fill_(deviation)
    state = {"model": net.state_dict(), "objective": {}}
    save_model(tmp_path / "net.pt", SPEC, Part("cross_entropy"), CLASSES, state, state, {})
    return tmp_path


def attacked(folder: Path, monkeypatch: pytest.MonkeyPatch, through: bool, *more: str, cell: dict = PGD):
    """Return the rows of floats and the provenance."""
    plain = {"shards": folder / ("0.arrow" if through else "f.arrow"), "batch-size": 4, "device": "cpu"}
    plain |= {"epsilon-space": "pixel", "rows": folder / "c.parquet", "provenance": folder / "c.json"}
    told = {
        "cells": [{**cell, "victims": {"net": CONDITIONS}}],
        "budgets": BUDGETS,
        "view": CLIP if through else FEATURES,
    }
    told["key"] = {"dataset": "music", "seed": "1"}
    if through:
        told["extractor"] = {"name": "windows", "encoders": ENCODERS}
    call(monkeypatch, attack, plain, told, "--nets", f"net={folder / 'net.pt'}", *more)
    rows = pq.read_table(folder / "c.parquet").to_pandas()
    return rows[rows.form == "float"], json.loads((folder / "c.json").read_text())


def test_clean_clips_are_answered_as_their_stored_features_are(made, monkeypatch):
    """But for what float16 rounds, a hundredth of what tells clips apart at most; and attacks are other ones."""
    stored, said = attacked(made, monkeypatch, through=False)
    assert "extractor" not in said and "through_extractor" not in said["cells"][0]
    through, said = attacked(made, monkeypatch, through=True)
    assert said["extractor"] == {"name": "windows", "encoders": ENCODERS} and said["view"] == CLIP
    assert said["cells"][0]["through_extractor"] == "windows"
    clean = [np.stack(of[of.modality == "clean"].logits) for of in (stored, through)]
    assert 0 < np.abs(clean[0] - clean[1]).max() < 0.01 * clean[0].std(axis=0).max()
    assert through.clip_id.tolist() == stored.clip_id.tolist()
    for modality in ("audio", "visual", "both"):
        one, two = (of[of.modality == modality] for of in (stored, through))
        rounded = np.abs(clean[0] - clean[1]).max()
        assert np.abs(np.stack(one.logits) - np.stack(two.logits)).max() > 2 * rounded


def test_gradients_go_down_to_samples_and_pixels_in_the_units_of_the_clip(made, monkeypatch):
    """2 in the whole of a sound and 0.5 in each of four pictures, but for the ends of the range; noise costs less."""
    rows, _ = attacked(made, monkeypatch, through=True)
    random = {**PGD, "attack": "noise", "spec": {"update": "random_sign"}}
    noise, _ = attacked(made, monkeypatch, through=True, cell=random)
    of = {name: rows[rows.modality == name] for name in ("clean", "audio", "visual", "both")}
    assert of["audio"].norm_audio.min() > 1.5 and of["audio"].norm_audio.max() <= 2 + 1e-4
    assert of["visual"].norm_visual.min() > 0.3 and of["visual"].norm_visual.max() <= 0.5 + 1e-4
    # Each picture goes as far.
    assert of["visual"].clip_norm_visual.min() > 0.7 and of["visual"].clip_norm_visual.max() <= 1 + 1e-4
    for name in ("audio", "visual", "both"):
        gained, by_noise = (of_one.loss.to_numpy() - of["clean"].loss.to_numpy()
                            for of_one in (of[name], noise[noise.modality == name]))  # fmt: skip
        assert (gained > 0).all() and gained.sum() > 2 * by_noise.sum()


def test_one_perturbation_of_samples_and_pixels_is_fitted_and_added(made, monkeypatch):
    spec = {"update": "universal", "passes": 2, "fit_batch": 4}
    fitted = {"attack": "released", "spec": spec, "split": "test", "conditions": CONDITIONS}
    told = {"attacks": [fitted], "budgets": BUDGETS, "view": CLIP}
    told |= {"key": {"dataset": "music", "variant": "net", "seed": "1"}}
    plain = {"model": made / "net.pt", "shards": made / "0.arrow", "batch-size": 4, "device": "cpu"}
    plain |= {"epsilon-space": "pixel", "perturbations": made / "p.pt", "provenance": made / "p.json"}
    call(monkeypatch, fit, plain, told | {"extractor": {"name": "windows", "encoders": ENCODERS}})
    found = torch.load(made / "p.pt", weights_only=True)["perturbations"]["released"]["both at small"]
    assert found["audio"].shape == (1, 4410) and found["visual"].shape == (4, 3, 32, 32)
    given = ("--perturbations", f"net/released={made / 'p.pt'}")
    cell = {**PGD, "attack": "released", "spec": spec}
    rows, _ = attacked(made, monkeypatch, True, *given, cell=cell)
    both, clean = (rows[rows.modality == name] for name in ("both", "clean"))
    assert both.loss.mean() > clean.loss.mean() and 0.1 < both.norm_visual.max() <= 1 + 1e-4
    with pytest.raises(UserError, match=r"p\.pt: .*: audio is of shape \(1, 4410\), but clips are of \(32, 32\)"):
        attacked(made, monkeypatch, False, *given, cell=cell)


def test_a_net_of_another_modality_is_refused():
    with pytest.raises(UserError, match="extractor windows makes no features of audio, which the net takes"):
        EndToEnd({"name": "windows", "encoders": {"visual": ENCODERS["visual"]}}, {}, torch.device("cpu"))(
            build(SPEC, 3)
        )
