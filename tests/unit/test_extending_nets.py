"""What docs/extending.md says of encoders, fusions and heads works as it stands there."""

import ast
import re
import sys
from types import ModuleType

import pytest
import torch
import yaml
from extending_page import PAGE as FILE
from extending_page import sections

from avrobust.models import registry
from avrobust.models.build import ModelSpec, build
from avrobust.models.extractor import build_extractor

PAGE = sections()
PARTS = [block for heading in ("An encoder", "A fusion", "A head", "An extractor") for block in PAGE[heading]]


@pytest.fixture
def registered(monkeypatch):
    """The files as modules, and the lines in the tables that they name."""
    for block in PARTS:
        if not block.file.endswith(".py"):
            continue
        if block.under:
            ((name, entry),) = ast.literal_eval(f"{{{block.text}}}").items()
            monkeypatch.setitem(getattr(registry, block.under), name, entry)
        else:
            module = ModuleType(block.file.removeprefix("scripts/").removesuffix(".py").replace("/", "."))
            exec(compile(block.text, block.file, "exec"), module.__dict__)
            monkeypatch.setitem(sys.modules, module.__name__, module)


def test_the_parts_make_a_net_that_learns(registered):
    torch.manual_seed(0)
    net = build(ModelSpec(**yaml.safe_load(PAGE["A net of these"][0].text)["mine"]), 5)
    inputs = {"audio": torch.rand(3, 1, 8192) - 0.5, "visual": torch.rand(3, 2, 3, 32, 32)}
    features = {name: net.encode(name, inputs[name]) for name in net.modalities}
    assert {name: tuple(feature.shape) for name, feature in features.items()} == {
        "audio": (3, 8, 64), "visual": (3, 2, 64),
    }  # fmt: skip
    logits = net.head(features)
    assert logits.shape == (3, 5)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_the_extractor_gives_features_of_each_step(registered):
    (told,) = (block.text for block in PAGE["An extractor"] if block.file.endswith(".yaml"))
    ((name, described),) = yaml.safe_load(told).items()
    view = described.pop("view")["options"]
    encoders, weights = build_extractor(name, described, {})
    pixels = torch.rand(1, 2, 3, 1, 1).repeat(1, view["frames"] // 2, 1, 8, 8)
    colours = encoders["visual"](pixels)
    torch.testing.assert_close(colours, pixels[:, :2].mean(dim=(1, 3, 4)).expand(1, 10, 3))
    assert weights == {}


def test_the_encoders_that_need_no_file(registered):
    found = re.findall(r"`((?:audio|visual): \{[^`]*\})`", FILE.read_text(encoding="utf-8"))
    assert len(found) == 2
    for text in found:
        ((modality, part),) = yaml.safe_load(text).items()
        net = build(ModelSpec(modality, **{modality: part}), 3).eval()
        given = torch.rand(1, 1, 16_000) if modality == "audio" else torch.rand(1, 2, 3, 40, 40)
        assert net({modality: given}).shape == (1, 3)
