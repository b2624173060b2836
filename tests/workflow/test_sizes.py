"""What a scale has another number of than the paper, as figures say it; trainings that come to the same at a scale."""

from types import SimpleNamespace

import pytest

from avrobust.spec.conditions import CLEAN, Condition, Reading
from lib import schedules, sizes

ATTACKS = {"tma": {"update": "tma", "steps": 10, "copies": 5, "decay": {"by": "momentum", "with": 1.0, "without": 0.0}}}
VARIANTS = {
    "RsV": {"fusion": "sum"},
    "RsV+ours": {"training": "curriculum", "prepare": {"name": "curriculum", "options": {"sampled": [5, 20]}}},
}
TRAINING = {
    "curriculum": {"by": "dataset", "music": {"epochs": 10, "prepare": {"options": {"steps": 10, "attack": "tma"}}}}
}
HERE = {
    "attacks": {"tma": {**ATTACKS["tma"], "steps": 3, "copies": 2}},
    "training": {"curriculum": {"by": "dataset", "music": {"epochs": 2, "prepare": {"options": {"steps": 4}}}}},
    "variants": VARIANTS,
}


def read(net: str = "RsV", steps: int | None = None, attack: str = "tma") -> Reading:
    return Reading("music", net, net, attack, Condition("both", "small", steps))


@pytest.fixture
def settings() -> SimpleNamespace:
    own = {"attacks": ATTACKS, "variants": VARIANTS, "training": TRAINING}
    return SimpleNamespace(
        own=lambda paper, section: own[section],
        scale={"papers": {"p": {"attacks": {"tma": {"steps": 3}}, "training": {}}}},
        papers={"p": HERE},
        chosen={"p": {"momentum": "with"}},
        datasets={name: {"view": {"name": "clip", "options": {}}} for name in ("music", "ave")},
    )


def test_sizes_of_attacks_and_of_adversarial_trainings(settings: SimpleNamespace) -> None:
    tma = {"steps": [3, 10], "copies": [2, 5]}
    assert sizes.sizes(settings, "p", [read()]) == {"tma": tma}
    # Epochs are no size of an attack.
    assert sizes.sizes(settings, "p", [read("RsV+ours")]) == {"tma": tma, "RsV+ours": {"steps": [4, 10]}}


def test_sizes_of_a_training_before_and_of_what_an_objective_measures(settings: SimpleNamespace) -> None:
    """Of a defence in two phases, which is named by the second."""
    first = {"start": "RsV", "training": "curriculum"}
    second = {"start": "RsV+1", "objective": {"name": "certified_margin"}}
    fewer = {**second, "objective": {"name": "certified_margin", "options": {"clips": 27, "weight": 2.0}}}
    settings.papers["p"] = {**HERE, "variants": {**VARIANTS, "RsV+1": first, "RsV+2": fewer}}
    own = {"attacks": ATTACKS, "variants": {**VARIANTS, "RsV+1": first, "RsV+2": second}, "training": TRAINING}
    settings.own = lambda paper, section: own[section]
    found = sizes.sizes(settings, "p", [read("RsV+1"), read("RsV+2")])
    assert found["RsV+1"] == {"steps": [4, 10]}
    assert found["RsV+2"] == {"steps": [4, 10], "measured_clips": [27, "all"]}


def test_of_what_goes_by_dataset_the_last_that_is_read_is_said(settings: SimpleNamespace) -> None:
    steps = {"by": "dataset", "music": 3, "ave": 5}
    settings.papers["p"] = {**HERE, "attacks": {"tma": {**HERE["attacks"]["tma"], "steps": steps}}}
    readings = [read(), read()._replace(dataset="ave"), read()]
    assert sizes.sizes(settings, "p", readings)["tma"]["steps"] == [3, 10]


def test_fewer_transforms_are_a_size(settings: SimpleNamespace) -> None:
    settings.papers["p"] = {**HERE, "attacks": {"tma": {**ATTACKS["tma"], "transforms": ["identity", "masking"]}}}
    assert sizes.sizes(settings, "p", [read()]) == {"tma": {"transforms": ["identity and masking", "all"]}}


def test_by_what_classes_are_chosen_to_be_mixed_are_sizes(settings: SimpleNamespace) -> None:
    """The convexity too, by its name; not whose geometry it is."""
    chosen = {"geometry": "RsV", "convexity": 0.5, "densest": 0.2}
    here = {**chosen, "convexity": 0.95, "kappa": "kappa_05"}
    mixed = ({"RsV+m": {"prepare": {"name": "selected_mixup", "options": one}}} for one in (chosen, here))
    own, settings.papers["p"] = {"attacks": ATTACKS, "training": {}, "variants": next(mixed)}, {
        **HERE, "variants": next(mixed)
    }  # fmt: skip
    settings.own = lambda paper, section: own[section]
    found = sizes.sizes(settings, "p", [read("RsV+m")])
    assert found["RsV+m"] == {"convexity": [0.95, 0.5], "kappa": ["kappa_05", "the task's own"]}


def test_steps_that_a_figure_names_are_no_size(settings: SimpleNamespace) -> None:
    assert sizes.sizes(settings, "p", [read(steps=8)]) == {"tma": {"copies": [2, 5]}}
    assert sizes.sizes(settings, "p", [read(attack="fgsm"), read()._replace(condition=CLEAN)]) == {}


def test_an_extractor_that_starts_from_nothing_is_said_for_nothing_trains_it(settings: SimpleNamespace) -> None:
    settings.scale = {}
    extractors = {
        "video": {"audio": {"name": "log_mel_steps"}, "visual": {"name": "r2plus1d18", "weights": "kinetics"}},
        "other": {"pretrained": False, "visual": {"name": "r2plus1d18", "weights": "others"}},
    }
    settings.datasets["music"] = {
        "view": {"name": "features", "options": {"extractor": "video"}}, "extractors": extractors
    }  # fmt: skip
    assert sizes.sizes(settings, "p", [read()]) == {}
    extractors["video"]["pretrained"] = False
    assert sizes.sizes(settings, "p", [read()]) == {"music": {"extractor_weights": ["drawn by a seed", "kinetics"]}}
    extractors["video"]["audio"]["weights"] = "sounds"
    assert sizes.sizes(settings, "p", [read()])["music"]["extractor_weights"][1] == "sounds and kinetics"
    # Nothing is read of the other dataset.
    settings.datasets["music"]["extractors"] = {}
    settings.datasets["music"]["view"] = settings.datasets["ave"]["view"]
    assert sizes.sizes(settings, "p", [read()]) == {}


def test_a_scale_that_says_nothing_has_the_papers_sizes(settings: SimpleNamespace) -> None:
    settings.scale = {}
    assert sizes.sizes(settings, "p", [read("RsV+ours")]) == {}


def variant(net: str, epochs: int, **told: object) -> SimpleNamespace:
    parts = {"fusion": {"name": "sum"}, **{key: {"options": {"projection": 64}} for key in ("audio", "visual")}}
    prepare = {"name": "curriculum", "options": {"budget": "calibrated", **told}}
    recipe = {"epochs": epochs, "prepare": prepare if told else {"name": "plain"}}
    return SimpleNamespace(net=parts, net_parts=parts, objective={}, start="RsV", recipe=recipe)


CYCLES = {"cycle": 2, "steps": 4}
NETS = {
    "none": {"sampled": 100, "dropped": 0, "schedule": "constant", "steps": 4},
    "linear": {"schedule": "linear", **CYCLES},
    "cosine": {"schedule": "cosine", **CYCLES},
    "few": {"sampled": 5, "dropped": 5, "schedule": "constant", "steps": 4},
    "fewer": {"sampled": 3, "dropped": 5.1, "schedule": "constant", "steps": 4},
    "RsV": {},
}


@pytest.mark.parametrize(
    ("epochs", "frames", "same"),
    [
        # Begin and end are alike by both; 3 % and 5 % of ten steps are one step.
        (2, 10, {"linear": "cosine", "few": "fewer"}),
        # Of eighty steps they are two and four.
        (2, 80, {"linear": "cosine"}),
        (1, 80, {"linear": "cosine"}),
    ],
)  # fmt: skip
def test_trainings_that_come_to_the_same(epochs: int, frames: int, same: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        schedules, "variant_of", lambda settings, paper, net, dataset: variant(net, epochs, **NETS[net])
    )
    datasets = {"music": {"view": {"options": {"frames": frames}}}}
    settings = SimpleNamespace(papers={"p": {"variants": NETS}}, datasets=datasets)
    assert schedules.alike(settings, "p", "music", NETS) == same


def test_schedules_that_differ_in_one_epoch_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"linear": {"schedule": "linear", "cycle": 5}, "cosine": {"schedule": "cosine", "cycle": 5}}
    monkeypatch.setattr(schedules, "variant_of", lambda settings, paper, net, dataset: variant(net, 2, **told[net]))
    settings = SimpleNamespace(
        papers={"p": {"variants": told}}, datasets={"music": {"view": {"options": {"frames": 20}}}}
    )
    assert schedules.alike(settings, "p", "music", told) == {}
    assert schedules.alike_of(settings, "p", {"read": {"variant": "RsV"}, "ticks": {"values": {}}}) == {}


@pytest.mark.parametrize(
    ("frames", "counted"),
    [
        (10, {"linear": "1 to 2 of 10 steps", "few": "1 of 10 steps", "fewer": "1 of 10 steps"}),
        # 3 % of twenty are 0.6, and all others whole numbers.
        (20, {"fewer": "1 of 20 steps"}),
        (100, {}),
    ],
)
def test_shares_of_no_whole_number_of_steps(frames: int, counted: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {name: options for name, options in NETS.items() if name != "cosine"}
    monkeypatch.setattr(schedules, "variant_of", lambda settings, paper, net, dataset: variant(net, 2, **told[net]))
    settings = SimpleNamespace(
        papers={"p": {"variants": told}}, datasets={"music": {"view": {"options": {"frames": frames}}}}
    )
    assert schedules.shares(settings, "p", "music", told) == counted


def test_schedules_are_compared_where_they_are_those_that_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "variant_of", lambda settings, paper, net, dataset: variant(net, 2, **NETS[net]))
    settings = SimpleNamespace(
        papers={"p": {"variants": NETS}}, datasets={"music": {"view": {"options": {"frames": 10}}}}
    )

    def why(*nets: str) -> str:
        return schedules.other_than_said(settings, "p", "music", nets)

    assert why("none", "few") == "few attacks 1 of 10 steps, which is another share than it is called by"
    # No comparison of schedules: one alone, beside a net that has none.
    assert why("few", "RsV") == why("none") == ""
    settings.datasets["music"]["view"]["options"]["frames"] = 20
    assert why("none", "few") == "" and why("linear", "cosine") == "linear comes to cosine"
