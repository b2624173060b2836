"""What jobs ask for: time, memory and threads by their work, and never more than the scale gives the largest one."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from planning import ROOT, copy_project, plan, replace, unbundled, unedited

from avrobust.attacks.registry import ATTACKS
from avrobust.lazy import load
from avrobust.objectives.registry import OBJECTIVES
from lib import work
from lib.digest import constant, has_objective, mixes_clips, number, options
from lib.plan import Plan

# Options that must be given.
GIVEN = {"universal_random": {"as_long_as": "universal"}}


@pytest.fixture(scope="module")
def paper() -> Plan:
    return plan(unedited(), scale="paper")


@pytest.fixture(scope="module")
def apart() -> Plan:
    """The paper scale with each attack in a job of its own."""
    return unbundled(plan(unedited(), scale="paper"))


def cell(dataset: str, attack: str, variant: str = "concat") -> SimpleNamespace:
    return SimpleNamespace(dataset=dataset, variant=variant, attack=attack, bundle=f"{variant}.{attack}")


def planned(paper: Plan) -> Iterator[tuple[Callable, SimpleNamespace]]:
    """Every job that attacks, with what asks for its time."""
    for family, keys in paper.grid.conditions.items():
        for dataset, variant, attack in keys:
            yield paper.analysis.job_minutes(family), cell(dataset, attack, variant)
    for dataset, bundle in paper.attack.bundles:
        variant, name = bundle.rsplit(".", 1)
        yield paper.attack.job_minutes, cell(dataset, name, variant)


def test_work_is_counted_in_passes() -> None:
    # A clean clip's gradient, 3; its answer clean and under three conditions, as FGSM takes the shared gradient.
    assert work.attack_passes(clips=104, steps=[1] * 3, answered=3 * 4) == 104 * (3 + 3 * 4)
    # Nine more gradients a condition, and two victims that answer.
    assert work.attack_passes(clips=3104, steps=[10] * 3, answered=3 * 8) == 3104 * (3 + 3 * 27 + 3 * 8)
    # Noise: no gradient, not even the first.
    assert work.attack_passes(clips=104, steps=[0] * 3, answered=3 * 4) == 104 * 3 * 4
    # Conditions of 2 and of 20 steps, each step with the gradients of five copies in seven nets.
    assert work.attack_passes(clips=10, steps=[2, 20], answered=1, gradients=35) == 10 * (3 * 35 * (1 + 1 + 19) + 1)
    assert work.training_passes(clips=312, epochs=100) == 3 * 312 * 100


def test_encoding_is_work_that_more_threads_share(paper: Plan) -> None:
    # Clean and under three conditions, each with an answer.
    assert work.encoding_passes(clips=104, conditions=4, threads=1) == 104 * 4 * (1 + work.ENCODING)
    assert work.encoding_passes(clips=10, conditions=4, threads=8) == 10 * 4 + 5 * work.ENCODING
    for dataset, clips, threads in (("music", 104, 1), ("kinetics_sounds", 3104, 8)):
        key = (dataset, "concat", "pgd")
        plain = paper.attack.work_of(*key, paper.attack.cells[key])
        assert paper.attack.bundle_work([key]) == plain + work.encoding_passes(clips, 4, threads)
        other = (dataset, "concat", "mim")
        assert paper.attack.bundle_work([other]) == paper.attack.work_of(*other, paper.attack.cells[other])


def test_a_share_of_the_most_is_asked_for() -> None:
    assert [work.minutes(240, passes, 1000) for passes in (0, 500, 1000)] == [10, 125, 240]
    assert work.minutes(5, 500, 1000) == 5
    assert [work.memory_mb(16000, clips, 256) for clips in (0, 128, 256, 3104)] == [4000, 10000, 16000, 16000]
    assert [work.threads(8, clips) for clips in (0, 104, 401, 3104, 100_000)] == [1, 1, 2, 8, 8]


def test_fgsm_on_few_clips_asks_for_less_than_pgd_on_many(apart: Plan) -> None:
    small, large = cell("music", "fgsm"), cell("kinetics_sounds", "pgd")
    assert (apart.data.split_clips("music", "test"), apart.data.split_clips("kinetics_sounds", "test")) == (104, 3104)
    # 18 strengths of Figure 3, whatever they are called. Of 230 minutes after the start the share is less than one.
    assert [apart.attack.job_minutes(one, 1) for one in (small, large)] == [13, 240]
    victims = apart.attack.cells["music", "concat", "pgd"]
    answered = sum(1 + len(asked) for asked in victims.values())
    assert apart.attack.work_of("music", "concat", "pgd", victims) == 104 * (3 * (1 + 18 * 9) + 3 * answered)
    assert answered > 1 + 18
    assert [apart.attack.job_memory_mb(one, 1) for one in (small, large)] == [8875, 16000]
    assert [apart.attack.job_threads(one) for one in (small, large)] == [1, 8]


def test_measuring_the_classes_of_a_net_asks_for_one_look_at_each_training_clip(paper: Plan) -> None:
    one = cell("kinetics_sounds", "", "concat")
    assert paper.analysis.geometry_passes("kinetics_sounds") == 9309
    assert [paper.analysis.geometry_minutes(one, attempt) for attempt in (1, 2)] == [11, 22]
    # And for the features of each, 1,024 and half of them again: 57.2 MB.
    attacking, measuring = (
        [memory(one, attempt) for attempt in (1, 2, 3, 4)]
        for memory in (paper.analysis.job_memory_mb, paper.analysis.geometry_memory_mb)
    )
    assert [more - less for more, less in zip(measuring, attacking, strict=True)] == [58, 116, 174, 174]


def test_clips_of_several_classes_are_looked_at_for_each(paper: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets, clips = paper.settings.datasets, paper.data.split_clips("music", "train")
    assert paper.analysis.geometry_passes("music") == clips
    monkeypatch.setitem(datasets, "music", {**datasets["music"], "task": "multiple"})
    assert paper.analysis.geometry_passes("music") == 4 * clips


def test_more_clips_conditions_or_steps_never_ask_for_less(apart: Plan) -> None:
    minutes = apart.attack.job_minutes
    # By its 402 test clips beside Kinetics-Sounds' 3,104: 230 * 402 / 3104 = 29.8, and 10 to start.
    assert (apart.data.split_clips("ave", "test"), minutes(cell("ave", "mim"), 1)) == (402, 40)
    assert minutes(cell("music", "mim"), 1) > minutes(cell("music", "fgsm"), 1)
    assert minutes(cell("kinetics_sounds", "mim"), 1) > minutes(cell("ave", "mim"), 1)
    # Three conditions of the victim with a memory, and eighteen.
    assert minutes(cell("kinetics_sounds", "mim", "minsim_exfmem"), 1) < minutes(cell("kinetics_sounds", "mim"), 1)


def test_no_first_attempt_asks_for_more_than_the_scale_says_and_the_largest_asks_for_that(paper: Plan) -> None:
    jobs = list(planned(paper))
    assert max(minutes(job, 1) for minutes, job in jobs) == 240
    assert min(minutes(job, 1) for minutes, job in jobs) >= work.START
    assert max(paper.attack.job_memory_mb(job, 1) for _, job in jobs) == 16000
    trainings = [SimpleNamespace(dataset=one.dataset, variant=one.variant) for _, one in jobs]
    assert max(paper.train.job_minutes(one, 1) for one in trainings) == 720
    # 312 clips of MUSIC and 9,309 of Kinetics-Sounds, 100 epochs each at most.
    assert 10 < paper.train.job_minutes(cell("music", "", "concat"), 1) < 100


def test_each_attempt_asks_for_as_much_again_three_times_at_most(apart: Plan) -> None:
    job, attempts = cell("ave", "mim"), (1, 2, 3, 4)
    for asked in (apart.attack.job_minutes, apart.attack.job_memory_mb, apart.train.job_minutes):
        first = asked(job, 1)
        assert [asked(job, attempt) for attempt in attempts] == [first, 2 * first, 3 * first, 3 * first]


def test_a_search_asks_for_the_time_of_its_candidates(paper: Plan) -> None:
    pcl = cell("kinetics_sounds", "", "pcl")
    assert paper.train.search_minutes(pcl, 1) == len(paper.train.variant(pcl).search) * paper.train.job_minutes(pcl, 1)


@pytest.mark.parametrize("name", ATTACKS)
def test_the_steps_that_an_attack_says_in_its_file_are_those_that_it_takes(name: str) -> None:
    assert number(ROOT / "scripts", ATTACKS[name], "steps") == load(ATTACKS, name)(**GIVEN.get(name, {})).steps


@pytest.mark.parametrize("name", ATTACKS)
def test_gradients_of_a_step_are_counted_as_its_file_says(paper: Plan, name: str) -> None:
    """But for the clip itself, which may be one more beside the points of its paths."""
    attack = load(ATTACKS, name)(**GIVEN.get(name, {}))
    taken = len(attack.points(0)) if attack.points else 1
    assert 0 <= taken - paper.attack.gradients(name, "music", "concat") / attack.restarts <= 1


def test_the_options_of_an_attack_and_of_an_objective_are_read_from_its_file() -> None:
    scripts = ROOT / "scripts"
    assert options(scripts, ATTACKS["mim"]) == {
        "steps": ("int", False), "step_size": ("float", False), "decay": ("float", False)
    }  # fmt: skip
    assert options(scripts, ATTACKS["fgsm"]) == {}
    read = options(scripts, OBJECTIVES["prototype_conformity"])
    assert list(read) == ["dimensions", "classes", "prox_weight", "conprox_weight", "prox_rate", "conprox_rate"]
    assert read["prox_rate"] == ("float", True)


def test_fewer_steps_in_a_papers_file_are_less_work(apart: Plan, tmp_path) -> None:
    root, job = copy_project(tmp_path), cell("kinetics_sounds", "mim_ce", "minsim_exfmem")
    told = "update: mim, objective: cross_entropy"
    replace(root / "workflow/papers/tian2021/attacks.yaml", told, f"{told}, steps: 5")
    shorter = unbundled(plan(root, scale="paper")).attack.job_minutes(job, 1)
    assert work.START < shorter < apart.attack.job_minutes(job, 1)


def test_crafting_is_part_of_the_work_of_an_adversarial_training(paper: Plan, tmp_path) -> None:
    """Four steps with two shifted copies each are eight gradients before every step of the training."""
    root = copy_project(tmp_path)
    attack = "{update: pgd_shifted, steps: 4, copies: 2}"
    prepare = f"prepare: {{name: adversarial, options: {{attack: {attack}, budget: small}}}}"
    path = root / "workflow/papers/tian2021/variants.yaml"
    replace(path, "  sum: {<<: *concat, fusion: sum}", f"  sum: {{<<: *concat, fusion: sum, {prepare}}}")
    made = plan(root, scale="paper")
    assert made.train.passes("sum", "music") == 9 * paper.train.passes("sum", "music")
    assert made.train.passes("film", "music") == paper.train.passes("film", "music") == 3 * 312 * 100


def test_a_table_that_an_objective_measures_is_part_of_its_training() -> None:
    """CRMT's second phase: a gradient of each of 27 scores in each modality, a half of the net, of every clip."""
    made = plan(unedited(), scale="paper", papers=["zhang2025"])
    clips = made.data.split_clips("kinetics_sounds_721", "train")
    assert made.train.passes("AcV+crmt", "kinetics_sounds_721") == clips * (3 * 10 + 1 + 2 * 27)
    # The first phase attacks by ten gradients, as AT does.
    assert made.train.passes("AcV+crmt1", "kinetics_sounds_721") == clips * 10 * (3 + 3 * 10)
    # The demo's table is of nine clips.
    demo = plan(unedited(), papers=["zhang2025"])
    assert demo.train.passes("AcV+crmt", "music_videos") == 77 * 3 * 2 + 9 * (1 + 2 * 11)


def test_an_ensemble_takes_the_gradients_of_all_its_nets() -> None:
    made = plan(unedited(), papers=["zhang2025"])
    one, seven = (made.attack.gradients("pgd_shifted", "kinetics_sounds_721", net) for net in ("AcV", "all-AcV"))
    assert (one, seven) == (4, 28)


def test_what_a_class_says_may_stand_in_one_that_it_is_made_of(tmp_path) -> None:
    (tmp_path / "avrobust").mkdir()
    text = "class A:\n    task: str = 'multiple'\n\n\nclass B(A):\n    bounded = False\n"
    (tmp_path / "avrobust/mine.py").write_text(text)
    said = [constant(tmp_path, "avrobust.mine:B", name) for name in ("task", "bounded", "size")]
    assert said == ["multiple", False, None]


def test_an_attack_maximises_the_training_loss_only_where_all_that_it_makes_says_so(tmp_path) -> None:
    """Else it would be taken for the same as one by cross-entropy, and never made."""
    (tmp_path / "avrobust").mkdir()
    made = {
        "plain": "Attack(steps)", "steps": "Attack(steps, direction=d)", "own": "Attack(steps, objective=margin)",
        "told": "Attack(steps, **more)", "hidden": "_made(steps)", "changed": "replace(pgd(), steps=20)",
    }  # fmt: skip
    text = "\n".join(f"def {name}(steps=3):\n    return {what}\n" for name, what in made.items())
    (tmp_path / "avrobust/mine.py").write_text(text)
    known = {name for name in made if not has_objective(tmp_path, f"avrobust.mine:{name}")}
    assert known == {"plain", "steps"}
    assert has_objective(tmp_path, "avrobust.mine:absent")


def test_an_attack_that_says_no_number_counts_as_long(tmp_path) -> None:
    (tmp_path / "avrobust").mkdir()
    (tmp_path / "avrobust/mine.py").write_text("def mine(steps=3 * 4):\n    return Attack(steps)\n\n\nOTHER = mine\n")
    with (tmp_path / "avrobust/mine.py").open("a") as file:
        file.write("\n\ndef told():\n    '''Not with steps=3, no mixes_clips=True.'''\n    return Attack(twice(4))\n")
    assert not mixes_clips(tmp_path, "avrobust.mine:told")
    for name in ("mine", "OTHER", "absent", "told"):
        assert number(tmp_path, f"avrobust.mine:{name}", "steps") is None
    assert number(tmp_path, "avrobust.nowhere:MINE", "steps") is None
