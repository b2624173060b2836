"""The recipe of Tian & Xu (CVPR 2021) as the programs get it at the paper's scale, against the sources that it is from.

Quoted are the paper, its appendix (A.x), the README and the scripts of the released code (github.com/YapengTian/
AV-Robustness-CVPR21, b45e9ae): train_attack_*.sh and eval_attack_*.sh run main_attack.py, train_defense_*.sh and
eval_defense_*.sh run main_defense.py.
"""

import json
from types import SimpleNamespace

import pytest
from planning import plan, unedited

from avrobust.training.loop import TrainingRecipe
from lib.plan import Plan

DATASETS = ("music", "kinetics_sounds", "ave")
FROM_SCRATCH = (
    "audio", "visual", "concat", "sum", "film", "gated_sum", "gated_concat", "localisation", "maxsim", "minsim",
)  # fmt: skip
GOES_ON = {
    "pcl": "concat", "exfmem": "concat", "concat_continued": "concat",
    "minsim_exfmem": "minsim", "minsim_continued": "minsim",
}  # fmt: skip

# train_attack_*.sh: --num_epoch, --lr_steps, --num_gpus times --batch_size_per_gpu; "--lr_frame 1e-4 --lr_sound 1e-3
# --lr_classifier 1e-3" in all of them. README: MinSim is made by training again with these scripts, its term added.
FAST = {"audio": 1e-3, "visual": 1e-4, "head": 1e-3}
ATTACK_SCRIPTS = {
    "music": (100, [30, 60, 90], 3 * 12, FAST),
    "kinetics_sounds": (30, [10, 20], 4 * 12, FAST),
    "ave": (30, [10, 20], 4 * 12, FAST),
}
# train_defense_*.sh: on Kinetics-Sounds all three rates are 1e-4.
DEFENCE_SCRIPTS = {
    "music": (100, [30, 60, 90], 3 * 12, FAST),
    "kinetics_sounds": (30, [10, 20], 4 * 8, {"audio": 1e-4, "visual": 1e-4, "head": 1e-4}),
    "ave": (30, [10, 20], 2 * 8, FAST),
}


@pytest.fixture(scope="module")
def paper() -> Plan:
    return plan(unedited(), scale="paper")


def job(dataset: str, variant: str, **more: str) -> SimpleNamespace:
    return SimpleNamespace(dataset=dataset, variant=variant, **{"seed": "1234", **more})


def test_these_are_all_variants(paper: Plan) -> None:
    assert set(paper.grid.variants) == {*FROM_SCRATCH, *GOES_ON}


@pytest.mark.parametrize("dataset", DATASETS)
def test_what_starts_from_scratch_is_trained_by_the_attack_scripts_and_what_goes_on_by_the_defence_scripts(
    paper: Plan, dataset: str
) -> None:
    for variants, scripts in ((FROM_SCRATCH, ATTACK_SCRIPTS), (GOES_ON, DEFENCE_SCRIPTS)):
        epochs, milestones, batch_size, rates = scripts[dataset]
        for variant in variants:
            recipe = TrainingRecipe(**json.loads(paper.recipe(job(dataset, variant))))
            assert recipe == TrainingRecipe(
                epochs=epochs,
                milestones=milestones,
                batch_size=batch_size,
                learning_rates=rates,
                # main_attack.py: torch.optim.SGD with --beta1 0.9 and --weight_decay 1e-4; --lr_steps times 0.1.
                momentum=0.9,
                weight_decay=1e-4,
                decay=0.1,
                replica_size=None,
            )


# eval_attack_*.sh and eval_defense_*.sh: --num_gpus times --batch_size_per_gpu, over which MIM takes its norm.
# main_defense.py is for nets with a memory, main_attack.py for all others.
@pytest.mark.parametrize(
    ("dataset", "without_memory", "with_memory"),
    [("music", 3 * 12, 2 * 4), ("kinetics_sounds", 3 * 12, 4 * 4), ("ave", 1 * 8, 2 * 4)],
)
def test_official_mim_takes_the_batches_of_the_released_evaluation(
    paper: Plan, dataset: str, without_memory: int, with_memory: int
) -> None:
    for made in (paper, plan(unedited())):
        for variant in (*FROM_SCRATCH, *GOES_ON):
            spec = json.loads(made.attack_spec(job(dataset, variant, attack="mim_official")))
            batch_size = with_memory if variant in ("exfmem", "minsim_exfmem") else without_memory
            assert spec == {"update": "mim_official", "batch_size": batch_size}


def test_what_goes_on_starts_from_the_net_of_the_same_seed(paper: Plan) -> None:
    for variant, start in GOES_ON.items():
        for seed in ("1234", "1235", "1236"):
            assert paper.start(job("ave", variant, seed=seed)) == [f"results/paper/models/ave/{start}/s{seed}/model.pt"]
    assert all(paper.start(job("ave", variant)) == [] for variant in FROM_SCRATCH)


def test_the_demo_tells_what_goes_on_from_what_starts_from_scratch() -> None:
    demo = plan(unedited())
    long, short = ((16, [12]), (7, [5]))
    for variants, lengths in ((FROM_SCRATCH, long), (GOES_ON, short)):
        for variant in variants:
            recipe = json.loads(demo.recipe(job("kinetics_sounds", variant)))
            assert (recipe["epochs"], recipe["milestones"]) == lengths
