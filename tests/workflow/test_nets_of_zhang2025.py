"""Zhang et al. (ICLR 2025): the eight nets at both scales, what they see and hear, and how they are trained."""

import json
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from planning import ROOT, copy_project, paper, plan, unedited

from avrobust.keyed import seed_of
from avrobust.models.build import ModelSpec, build
from avrobust.models.late_fusion import LateFusion
from avrobust.program import UserError
from lib.errors import SettingsError
from lib.plan import Plan

PAPER = "zhang2025"
NETS = ["AcV", "AsV", "AcR", "AsR", "RcV", "RsV", "RcR", "RsR"]
# Of the paper's other reading of its backbones.
OTHERS = ["VsA", "VcA"]
VISUAL = {"A": "alexnet", "R": "resnet18", "V": "vgg11_bn"}
FUSION = {"s": "sum", "c": "concat"}
AUDIO = {"V": "vgg11_bn", "R": "resnet18", "A": "alexnet"}
DATASETS = ["kinetics_sounds_721", "music_videos"]
# Seconds, samples a second, steps, pixels, and the size of a feature.
SIZES = {"demo": (3, 8_000, 10, 40, 64), "paper": (10, 16_000, 20, 112, 512)}


@cache
def planned(scale: str, **choices: str) -> Plan:
    return plan(unedited(), scale=scale, papers=["tian2021", PAPER], **({PAPER: choices} if choices else {}))


def told(made: Plan, net: str, dataset: str = DATASETS[0]) -> dict:
    """Return what the training of a net is told, its JSON read."""
    given = made.train.told(SimpleNamespace(dataset=dataset, variant=net, seed="1"))
    return {name: json.loads(text) if isinstance(text, str) else text for name, text in given.items()}


def fresh(made: Plan, net: str, variant: str | None = None) -> LateFusion:
    """Return the untrained net of a variant, with 5 classes and what is drawn for seed 1."""
    return build(ModelSpec(**told(made, net)["model_spec"]), 5, seed_of(1, variant or net))


@pytest.mark.parametrize("scale", SIZES)
@pytest.mark.parametrize("net", [*NETS, *OTHERS])
def test_a_net_has_the_parts_that_its_letters_stand_for(scale: str, net: str) -> None:
    spec = told(planned(scale), net)["model_spec"]
    visual, fusion, audio = net
    assert spec["visual"]["name"] == VISUAL[visual] and spec["fusion"]["name"] == FUSION[fusion]
    assert spec["audio"]["name"] == "log_mel" and spec["audio"]["options"]["net"]["name"] == AUDIO[audio]
    assert {spec[part]["options"]["projection"] for part in ("visual", "audio")} == {SIZES[scale][-1]}


def test_the_eight_nets_are_the_list_that_figures_go_by() -> None:
    assert paper(unedited(), PAPER)["lists"]["nets"] == NETS


def test_nets_on_pictures_start_from_imagenet_and_those_on_sounds_from_nothing() -> None:
    named = {net: planned("paper").train.variant_on(net, DATASETS[0]).weights for net in (*NETS, *OTHERS)}
    assert named == {net: {"visual": f"{VISUAL[net[0]]}_imagenet"} for net in named}
    assert all(not planned("demo").train.variant_on(net, DATASETS[0]).weights for net in NETS)


@pytest.mark.parametrize("scale", SIZES)
@pytest.mark.parametrize("dataset", DATASETS)
def test_a_net_sees_pictures_of_the_whole_clip_and_hears_as_many_steps(scale: str, dataset: str) -> None:
    seconds, rate, steps, pixels, _ = SIZES[scale]
    made = planned(scale)
    given = told(made, "AcV", dataset)
    wanted = {"seconds": seconds, "frames": steps, "frame_size": pixels}
    wanted |= {"random_stretch": True} if dataset == "music_videos" else {}
    assert given["view"] == {"name": "clip", "options": wanted}
    assert made.settings.datasets[dataset]["audio_rate"] == rate
    heard = given["model_spec"]["audio"]["options"]
    assert heard["front"]["sample_rate"] == rate and heard["samples_per_step"] * steps == seconds * rate


@pytest.mark.parametrize("scale", SIZES)
def test_tian_and_xus_datasets_are_stored_and_seen_as_the_scale_says(scale: str) -> None:
    made = planned(scale)
    for dataset in ("music", "kinetics_sounds", "ave"):
        facts = made.settings.datasets[dataset]
        assert facts["view"] == made.settings.scale["view"] and facts["view"]["name"] == "moment"
        for size in ("audio_rate", "frame_rate", "short_side", "minimum_frames"):
            assert facts[size] == made.settings.scale[size]


@pytest.mark.parametrize(("scale", "choices"), [("demo", {}), ("paper", {}), ("paper", {"log_mel": "mels_128"})])
@pytest.mark.parametrize("net", ["AcV", "RsR", "VsA"])
def test_both_encoders_give_a_feature_of_the_same_size_for_each_step(scale: str, choices: dict, net: str) -> None:
    seconds, rate, steps, pixels, size = SIZES[scale]
    model = fresh(planned(scale, **choices), net).eval()
    with torch.inference_mode():
        audio = model.encode("audio", torch.zeros(1, 1, seconds * rate))
        visual = model.encode("visual", torch.zeros(1, steps, 3, pixels, pixels))
    assert audio.shape == visual.shape == (1, steps, size)


def test_nets_of_one_seed_begin_apart_and_of_a_name_alike() -> None:
    """Encoders of AcV and AsV are of the same layers: with the same first weights they would pass attacks on.

    That a training draws by its variant's name is tested with train.py, in test_training_programs.py.
    """
    one, other, again = (fresh(planned("demo"), net).encoders.state_dict() for net in ("AcV", "AsV", "AcV"))
    assert one.keys() == other.keys()
    drawn = [name for name, value in one.items() if value.ndim > 1]
    assert len(drawn) > 10 and not any(torch.equal(one[name], other[name]) for name in drawn)
    assert all(torch.equal(value, again[name]) for name, value in one.items())


@pytest.mark.parametrize("net", ["AcV", "RsR", "VsA"])
@pytest.mark.parametrize("training", [False, True])
def test_a_silent_clip_has_finite_gradients_through_every_net_on_sounds(net: str, training: bool) -> None:
    """Of the clip, where it is attacked, and of the weights, where it is learned from; a sound is beside it."""
    model = fresh(planned("demo"), net).train(training)
    sound = torch.zeros(2, 1, 24_000)
    sound[1] = torch.sin(torch.arange(24_000) / 3) / 2
    sound.requires_grad_()
    model.encode("audio", sound).square().sum().backward()
    assert sound.grad.isfinite().all() and sound.grad[1].abs().amax() > 0
    assert all(weight.grad.isfinite().all() for weight in model.encoders["audio"].parameters())


@pytest.mark.parametrize(
    ("front", "message"),
    [
        ({"mels": 16}, "log_mel: 2400 samples, one step, give vgg11_bn no map"),
        ({"hop": 480}, "log_mel: 2400 samples, one step, give vgg11_bn no map"),
        ({"hop": 320}, "log_mel: 100 steps of 2400 samples give vgg11_bn a map of 93 positions in time"),
        ({"mels": 256}, "of 256 mel bands are without a frequency"),
    ],
)
def test_sizes_that_leave_a_net_without_a_map_are_refused_before_it_is_trained(front: dict, message: str) -> None:
    spec = told(planned("demo"), "AcV")["model_spec"]
    spec["audio"]["options"]["front"] |= front
    with pytest.raises(UserError, match=message) as error:
        build(ModelSpec(**spec), 5, 1)
    assert "\n" not in str(error.value)


def test_a_choice_changes_what_it_is_about() -> None:
    fine = planned("paper", log_mel="mels_128")
    assert told(fine, "AcV")["model_spec"]["audio"]["options"]["front"]["mels"] == 128
    # The demo's picture is of its own size, whatever is chosen.
    assert told(planned("demo", log_mel="mels_128"), "AcV") == told(planned("demo"), "AcV")

    def listed(dataset: str, **choices: str) -> dict:
        return json.loads(planned("paper", **choices).data.listed(SimpleNamespace(dataset=dataset))["options"])

    assert listed("music_videos") == {"duets": "drop"} and listed("music_videos", duets="first") == {"duets": "first"}
    clips = [planned("paper", **one).data.clips("music_videos") for one in ({}, {"duets": "first"})]
    assert clips == [536, 685]
    assert listed("kinetics_sounds_721") == {"split": "anew"}
    assert listed("kinetics_sounds_721", kinetics_sounds_split="released") == {"split": "released"}


def test_the_demo_renders_the_papers_ratios_of_each_class() -> None:
    rendered = {name: planned("demo").settings.datasets[name]["rendered"] for name in DATASETS}
    counts = {name: [of[split] for split in ("train", "val", "test")] for name, of in rendered.items()}
    assert counts == {"kinetics_sounds_721": [7, 2, 2], "music_videos": [7, 1, 2]}
    # As clear as the clips of the same classes that the world was calibrated with.
    scale = planned("demo").settings.datasets
    for name, other in (("kinetics_sounds_721", "kinetics_sounds"), ("music_videos", "music")):
        assert rendered[name]["clearness"] == scale[other]["rendered"]["clearness"]


def test_the_number_of_clips_by_an_option_that_is_none_is_named(tmp_path: Path) -> None:
    given = {"options": {"duets": "second"}}
    with pytest.raises(
        SettingsError, match=r"datasets\.music_videos\.options\.duets: 'second' is not known; allowed are "
    ):
        plan(copy_project(tmp_path), scale="paper", datasets={"music_videos": given})


@pytest.mark.parametrize("dataset", DATASETS)
def test_clips_may_be_rendered_of_lists_or_ones_own(dataset: str, tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    table.write_text("clip_id,path,label,split\n" + "a,a.mp4,flute,train\n" * 3, encoding="utf-8")
    own = {"source": "local", "table": str(table), "folder": "/media", "classes": "table"}
    made = plan(unedited(), scale="paper", papers=[PAPER], datasets={dataset: own})
    assert (made.data.clips(dataset), made.data.datasets_from("local")) == (3, dataset)
    assert made.data.table(SimpleNamespace(dataset=dataset)) == str(table)
    assert told(made, "AcV", dataset)["view"]["name"] == "clip"
    from_lists = planned("paper").data.listed(SimpleNamespace(dataset=dataset))
    assert from_lists["protocol"] == {"kinetics_sounds_721": "resplit", "music_videos": "music_videos"}[dataset]
    assert re.fullmatch(planned("paper").data.datasets_from("lists"), dataset)
    assert re.fullmatch(planned("demo").data.datasets_from("render"), dataset)


def test_trainings_are_those_of_tian_and_xu_on_the_same_clips() -> None:
    ours = told(planned("paper"), "AcV")["recipe"]
    theirs = told(planned("paper"), "concat", "kinetics_sounds")["recipe"]
    del theirs["replica_size"]
    assert ours == theirs
    assert told(planned("paper"), "AcV", "music_videos")["recipe"]["epochs"] == 100


def test_nothing_of_the_paper_stands_in_a_scale_but_sizes() -> None:
    for scale in SIZES:
        over = yaml.safe_load((ROOT / f"workflow/scales/{scale}.yaml").read_text("utf-8")).get("papers", {})
        assert not {"claims", "choices", "labels"} & over.get(PAPER, {}).keys()
