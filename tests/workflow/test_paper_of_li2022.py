"""Li et al. (ICASSP 2022): nets, features, training, attacks and defences at both scales, as the facts have them."""

import json
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from planning import ROOT, copy_project, plan, replace, unedited

from avrobust.lazy import built
from avrobust.models.build import ModelSpec, build
from avrobust.models.registry import AUDIO_ENCODERS
from avrobust.spec.budgets import named
from avrobust.training.recipe import TrainingRecipe
from lib.errors import SettingsError
from lib.plan import Plan

PAPER = "li2022"
AUDIOSET, KINETICS = "audioset_balanced", "kinetics_sounds_31"
NETS = ["csn", "video", "mid_fusion", "mid_fusion+plain_mixup", "mid_fusion+mixup", "mid_fusion+at"]
FUSED = NETS[2:]
UNIVERSAL = {
    "released": ("universal", "test"),
    "released_train": ("universal", "train"),
    "projected": ("universal_projected", "test"),
    "projected_train": ("universal_projected", "train"),
}


@cache
def planned(scale: str, **choices: str) -> Plan:
    return plan(unedited(), scale=scale, papers=[PAPER], **({PAPER: choices} if choices else {}))


def told(made: Plan, net: str, dataset: str = AUDIOSET) -> dict:
    """Return what the training of a net is told, its JSON read."""
    given = made.train.told(SimpleNamespace(dataset=dataset, variant=net, seed="1"))
    return {name: json.loads(text) if isinstance(text, str) else text for name, text in given.items()}


def test_clips_of_audioset_have_several_labels_and_those_of_kinetics_sounds_one() -> None:
    for net in NETS:
        assert told(planned("paper"), net)["model_spec"]["task"] == "multiple"
        assert "task" not in told(planned("paper"), net, KINETICS)["model_spec"]
        assert told(planned("paper"), net)["objective"] == {"name": "binary_cross_entropy"}
        assert told(planned("paper"), net, KINETICS)["objective"] == {"name": "cross_entropy"}


def test_balanced_segments_are_a_part_of_what_the_paper_has_and_all_of_audioset_is_not() -> None:
    def whose(scale: str) -> dict[str, str]:
        return planned(scale).grid.artefacts[PAPER, "table1"].spec["sources"]

    assert whose("paper") == {AUDIOSET: "part"}
    assert whose("audioset") == {"audioset": "lists"}
    assert whose("demo") == {AUDIOSET: "render"}


def test_a_dataset_is_a_part_of_one_that_is_there(tmp_path) -> None:
    root = copy_project(tmp_path)
    replace(root / f"workflow/datasets/{AUDIOSET}.yaml", "part_of: audioset", "part_of: audiosets")
    with pytest.raises(SettingsError, match=rf"{AUDIOSET}.yaml: part_of: 'audiosets' is not known; .*audioset"):
        plan(root, papers=[PAPER])


def test_nets_at_the_papers_sizes() -> None:
    """The sound's branch gives 100 x 1024 of 400 x 64, the video's 10 x 1024 of 10 x 512; both meet in ten steps."""
    net = build(ModelSpec(**told(planned("paper"), "mid_fusion")["model_spec"]), 527, 1).eval()
    inputs = {"audio": torch.randn(1, 400, 64), "visual": torch.rand(1, 10, 512)}
    features = {name: net.encode(name, x) for name, x in inputs.items()}
    assert [tuple(one.shape) for one in features.values()] == [(1, 100, 1024), (1, 10, 1024)]
    assert net.fusion(features).shape == (1, 10, 1024)
    assert net.head(features).shape == (1, 527)
    both = [encoder.transformer for encoder in net.encoders.values()]
    assert [(one.passes, len(one.blocks), one.blocks[0].heads, one.blocks[0].dropout) for one in both] == [
        (2, 1, 8, 0.75)
    ] * 2
    assert [one.blocks[0].inner[0].out_features for one in both] == [1024, 1024]


@pytest.mark.parametrize("scale", ["demo", "paper"])
@pytest.mark.parametrize("dataset", [AUDIOSET, KINETICS])
def test_every_net_takes_the_features_that_are_made(scale: str, dataset: str) -> None:
    made = planned(scale)
    facts = made.settings.datasets[dataset]
    extractor = facts["extractors"][facts["view"]["options"]["extractor"]]
    steps = extractor["audio"]["options"]["steps"]
    front = built(AUDIO_ENCODERS, extractor["audio"])
    mels = front(torch.zeros(1, 1, 10 * facts["audio_rate"])).shape[2]
    seconds = extractor["view"]["options"]["frames"] // extractor["visual"]["options"]["frames_per_window"]
    size = int(512 * extractor["visual"]["options"].get("width", 1))
    for name in [*NETS, "pre_transformer_fusion"]:
        net = build(ModelSpec(**told(made, name, dataset)["model_spec"]), 31, 1).eval()
        shapes = {"audio": (2, steps, mels), "visual": (2, seconds, size)}
        assert net({modality: torch.rand(shapes[modality]) for modality in net.modalities}).shape == (2, 31), name


def test_features_of_the_paper_are_log_mel_columns_and_ten_windows_of_a_second() -> None:
    for dataset in (AUDIOSET, KINETICS):
        facts = planned("paper").settings.datasets[dataset]
        extractor = facts["extractors"]["log_mel_r2plus1d"]
        assert facts["view"] == {"name": "features", "options": {"extractor": "log_mel_r2plus1d"}}
        assert extractor["audio"]["options"]["steps"] == 400
        front = extractor["audio"]["options"]["front"]
        assert [front[name] for name in ("sample_rate", "n_fft", "window", "hop", "mels", "spectrum", "logarithm")] == [
            16000, 4096, 1024, 400, 64, "magnitude", "decibel",
        ]  # fmt: skip
        assert extractor["view"]["options"] == {"seconds": 10, "frames": 160, "frame_size": 112}
        assert extractor["visual"]["options"] == {"frames_per_window": 16}
        assert extractor["visual"]["weights"] == "r2plus1d_18_kinetics400"


@pytest.mark.parametrize("net", FUSED)
def test_fused_nets_start_from_the_trained_branches(net: str) -> None:
    given = told(planned("paper"), net)["branches"]
    folder = f"results/paper/models/{AUDIOSET}"
    assert given == [f"audio={folder}/csn/s1/model.pt", f"visual={folder}/video/s1/model.pt"]


def test_the_recipe_is_the_released_codes() -> None:
    for dataset in (AUDIOSET, KINETICS):
        for net in NETS:
            recipe = told(planned("paper"), net, dataset)["recipe"]
            assert recipe["optimiser"] == {"name": "adam"}
            assert (recipe["batch_size"], recipe["accumulation"], recipe["annealing"]) == (100, 3, "linear")
            assert recipe["learning_rates"]["head"] == 4e-4
            assert (recipe["clip_norm"], recipe["batch_warm_up"]) == (None, 0)
            assert recipe.get("best_is", "validation") == ("last" if net == "mid_fusion+at" else "validation")
    rates = told(planned("paper"), "mid_fusion", KINETICS)["recipe"]["learning_rates"]
    assert (rates["audio"], rates["visual"]) == (1e-4, 1e-4)


def test_all_of_audioset_takes_its_place_by_a_scale() -> None:
    made = plan(unedited(), scale="audioset", papers=[PAPER])
    assert {dataset for dataset, _ in made.grid.trained} == {"audioset", KINETICS}
    recipe = json.loads(made.train.told(SimpleNamespace(dataset="audioset", variant="csn", seed="1"))["recipe"])
    assert [recipe[part] for part in ("epochs", "epoch_batches", "warm_up")] == [20, 2500, 1000]


def test_the_warm_up_is_the_released_share_of_the_steps() -> None:
    """1,000 of 20 x 2,500 / 3 steps, and as large a share of those of the balanced segments."""
    made = planned("paper")
    recipe = TrainingRecipe(**told(made, "csn")["recipe"])
    clips = 22_160 * 19 // 20
    steps = recipe.epochs * -(-(clips // recipe.batch_size) // recipe.accumulation)
    assert recipe.warm_up / steps == pytest.approx(1000 / (20 * 2500 / 3), rel=0.01)


@pytest.mark.parametrize(("choice", "value", "part", "expected"), [
    ("gradient_clipping", "before_the_step", "clip_norm", 1.0),
    ("warm_up", "batches_too", "batch_warm_up", 127),
])  # fmt: skip
def test_the_released_codes_mistakes_can_be_chosen(choice: str, value: str, part: str, expected: object) -> None:
    assert told(planned("paper", **{choice: value}), "csn")["recipe"][part] == expected


@pytest.mark.parametrize(("choice", "value", "net", "option", "expected"), [
    ("transformer_blocks", "separate", "csn", "audio.shared", False),
    ("transformer_blocks", "shared", "csn", "audio.shared", True),
    ("features", "log_mel_resnet152", "video", "visual.size", 2048),
])  # fmt: skip
def test_choices_of_nets(choice: str, value: str, net: str, option: str, expected: object) -> None:
    part, name = option.split(".")
    assert told(planned("paper", **{choice: value}), net)["model_spec"][part]["options"][name] == expected


def test_the_video_may_be_standardised() -> None:
    spec = told(planned("paper", video_scale="standardised"), "mid_fusion")["model_spec"]
    assert spec["visual"]["name"] == "standardised_video_transformer"


def test_nets_that_standardise_an_input_are_not_attacked_together_with_others_that_do_not(tmp_path) -> None:
    root = copy_project(tmp_path)
    variants = root / f"workflow/papers/{PAPER}/variants.yaml"
    replace(variants, "visual: {name: *video, options", "visual: {name: standardised_video_transformer, options")
    said = f"on_features on {AUDIOSET}: pre_transformer_fusion standardises visual and .* does not, so that an epsilon"
    with pytest.raises(SettingsError, match=said):
        plan(root, papers=[PAPER])


def test_the_mixup_chooses_by_density_and_convexity_and_its_control_does_not() -> None:
    chosen, plain = (
        told(planned("paper"), f"mid_fusion+{name}")["recipe"]["prepare"] for name in ("mixup", "plain_mixup")
    )
    assert chosen["options"] == {
        "geometry": "mid_fusion", "tau": 60, "convexity": 0.5, "density": "quantile", "densest": 0.2,
        "probability": 0.5, "alpha": 1.0,
    }  # fmt: skip
    assert plain == {"name": "mixup", "options": {"alpha": 1.0, "probability": 0.5}}
    as_many = told(planned("paper"), "mid_fusion+unselected_mixup")["recipe"]["prepare"]
    assert as_many == chosen | {"name": "unselected_mixup"}
    eight = told(planned("paper", density_threshold="eight_or_median", mixup_share="beta"), "mid_fusion+mixup")
    assert [eight["recipe"]["prepare"]["options"][name] for name in ("density", "alpha")] == [8, 10.0]


def test_as_many_steps_are_taken_for_every_fused_net() -> None:
    for scale in ("demo", "paper"):
        for dataset in (AUDIOSET, KINETICS):
            recipes = [told(planned(scale), net, dataset)["recipe"] for net in FUSED]
            assert len({(one["epochs"], one["batch_size"], one["accumulation"]) for one in recipes}) == 1


def test_adversarial_training_takes_one_step_of_five_fourths_from_a_random_start() -> None:
    prepare = told(planned("paper"), "mid_fusion+at")["recipe"]["prepare"]
    assert prepare["options"]["attack"] == {"update": "pgd_random", "steps": 1, "step_size": 1.25}
    assert prepare["options"]["budget"] == {name: {"norm": "l2_step", "epsilon": 0.1} for name in ("audio", "visual")}


def test_attacks_are_the_three_modes_on_both_splits() -> None:
    grid = planned("paper").grid
    for attack, (update, split) in UNIVERSAL.items():
        assert grid.attacks[attack][1] == {"update": update, "passes": 20, "fit_batch": 100, "fitted_on": split}
        assert grid.attacks.get(f"{attack}_waveform", ("", {"through_extractor": True}))[1]["through_extractor"]
    assert grid.attacks["samplewise_strict"][1] == {"update": "pgd", "steps": 20, "step_size": 1.0}
    assert {name: grid.budgets[name]["audio"] for name in ("released", "strict")} == {
        "released": {"norm": "l2_step", "epsilon": 0.1},
        "strict": {"norm": "l2_clip", "epsilon": 0.1},
    }


def test_labels_of_the_radii_are_those_of_the_budgets() -> None:
    settings = planned("paper").settings.papers[PAPER]
    labels = {name: text for name, text in settings["labels"]["epsilon"].items() if name != "of"}
    radii = {name: one for name, one in named(settings["budgets"]).items() if name.startswith("radius/")}
    assert labels == {name: f"{one['audio']['epsilon']:g}" for name, one in radii.items()}


def test_each_open_point_of_the_facts_is_a_choice() -> None:
    """26 points, some of them together, and those of the two mistakes in the recipe."""
    choices = planned("paper").settings.papers[PAPER]["choices"]
    assert len(choices) >= 26
    said = " ".join(one["question"] + one["why"] for one in choices)
    for word in ("G-Blend", "Cnn14", "R(2+1)D", "exponent", "one in twenty", "after the step", "overrules"):
        assert word in said, word


def test_an_unknown_choice_is_named() -> None:
    with pytest.raises(SettingsError, match="li2022: unknown key blocks = 'shared'"):
        plan(unedited(), papers=[PAPER], li2022={"blocks": "shared"})


def test_every_published_value_is_read() -> None:
    notes = [note for note in planned("demo").notes if PAPER in note]
    assert notes == []
    assert sorted(path.name for path in (ROOT / f"workflow/papers/{PAPER}/published").iterdir()) == [
        "table1.csv", "table2.csv",
    ]  # fmt: skip


def test_the_papers_sixteen_claims_are_tested() -> None:
    claims = planned("demo").settings.papers[PAPER]["claims"]
    assert len({claim["name"] for claim in claims}) >= 16
    assert not [
        claim["name"] for claim in planned("demo").grid.artefacts[PAPER, "claims"].spec["claims"] if "skipped" in claim
    ]
    of_audioset = [claim for claim in claims if claim["datasets"] == [AUDIOSET]]
    assert len(of_audioset) == len(claims) - 2
