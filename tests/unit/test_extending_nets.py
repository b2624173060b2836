"""What docs/extending.md says of encoders, fusions and heads works as it stands there."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml

from avrobust.models import registry
from avrobust.models.build import ModelSpec, build

PAGE = (Path(__file__).parents[2] / "docs/extending.md").read_text(encoding="utf-8")
SECTION = PAGE[PAGE.index("## An encoder, a fusion or a head") : PAGE.index("## A view")]


@pytest.fixture
def registered(monkeypatch):
    """The section's files as modules, and its lines in the tables that it names."""
    places = re.findall(r"`scripts/(avrobust/models/\w+/\w+)\.py`", SECTION)
    codes = re.findall(r"```python\n(.*?)```", SECTION, flags=re.DOTALL)
    for place, code in zip(dict.fromkeys(places), codes, strict=True):
        module = ModuleType(place.replace("/", "."))
        exec(compile(code, place, "exec"), module.__dict__)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    lines = re.findall(r'`"(\w+)": "(avrobust\.models\.(\w+)\.\w+:\w+)",`', SECTION)
    tables = {"encoders": registry.AUDIO_ENCODERS, "fusions": registry.FUSIONS, "heads": registry.HEADS}
    assert len(lines) == len(codes) == 3
    for name, entry, folder in lines:
        monkeypatch.setitem(tables[folder], name, entry)


def test_the_parts_make_a_net_that_learns(registered):
    (text,) = re.findall(r"```yaml\n(.*?)```", SECTION, flags=re.DOTALL)
    torch.manual_seed(0)
    net = build(ModelSpec(**yaml.safe_load(text)["mine"]), 5)
    inputs = {"audio": torch.rand(3, 1, 8192) - 0.5, "visual": torch.rand(3, 2, 3, 32, 32)}
    features = {name: net.encode(name, inputs[name]) for name in net.modalities}
    assert {name: tuple(feature.shape) for name, feature in features.items()} == {
        "audio": (3, 8, 64), "visual": (3, 2, 64),
    }  # fmt: skip
    logits = net.head(features)
    assert logits.shape == (3, 5)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_the_encoders_that_need_no_file(registered):
    for text in re.findall(r"`((?:audio|visual): \{[^`]*\})`", SECTION):
        ((modality, part),) = yaml.safe_load(text).items()
        net = build(ModelSpec(modality, **{modality: part}), 3).eval()
        given = torch.rand(1, 1, 16_000) if modality == "audio" else torch.rand(1, 2, 3, 40, 40)
        assert net({modality: given}).shape == (1, 3)
