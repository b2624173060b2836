"""The recipe of Tian & Xu (CVPR 2021) as the programs get it at the paper's scale, against the sources that it is from.

Quoted are the paper, its appendix (A.x), the README and the scripts of the released code (github.com/YapengTian/
AV-Robustness-CVPR21, b45e9ae): train_attack_*.sh and eval_attack_*.sh run main_attack.py, train_defense_*.sh and
eval_defense_*.sh run main_defense.py.
"""

import json
from types import SimpleNamespace

import pytest
from planning import configuration, plan, unedited

from avrobust.attacks.registry import ATTACKS
from avrobust.defences.feature_memory import FeatureMemory
from avrobust.lazy import built
from avrobust.models.build import ModelSpec, build
from avrobust.objectives.registry import OBJECTIVES
from avrobust.spec.attacks import AttackSpec
from avrobust.training.recipe import TrainingRecipe
from avrobust.training.sgd import SGD
from avrobust.training.start import MemoryRecipe
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


def linf(epsilon: float) -> dict:
    """A strength of the l-infinity norm in both modalities."""
    return {name: {"norm": "linf", "epsilon": epsilon} for name in ("audio", "visual")}


@pytest.fixture(scope="module")
def paper() -> Plan:
    return plan(unedited(), scale="paper")


def job(dataset: str, variant: str, **more: str) -> SimpleNamespace:
    return SimpleNamespace(dataset=dataset, variant=variant, **{"seed": "1234", **more})


def test_these_are_all_variants(paper: Plan) -> None:
    assert set(paper.grid.variants) == {*FROM_SCRATCH, *GOES_ON, "planted_masking"}


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_control_of_the_checks_is_the_undefended_net_after_one_more_epoch(paper: Plan, dataset: str) -> None:
    told = job(dataset, "planted_masking")
    recipe = TrainingRecipe(**json.loads(paper.train.told(told)["recipe"]))
    assert (recipe.epochs, recipe.milestones) == (1, [])
    assert paper.train.start(told) == [f"results/paper/models/{dataset}/concat/s1234/model.pt"]
    net, of = (json.loads(paper.train.told(job(dataset, name))["model_spec"]) for name in ("planted_masking", "concat"))
    assert net.pop("defence")["name"] == "planted_masking" and net == of


@pytest.mark.parametrize("dataset", DATASETS)
def test_what_starts_from_scratch_is_trained_by_the_attack_scripts_and_what_goes_on_by_the_defence_scripts(
    paper: Plan, dataset: str
) -> None:
    for variants, scripts in ((FROM_SCRATCH, ATTACK_SCRIPTS), (GOES_ON, DEFENCE_SCRIPTS)):
        epochs, milestones, batch_size, rates = scripts[dataset]
        for variant in variants:
            recipe = TrainingRecipe(**json.loads(paper.train.told(job(dataset, variant))["recipe"]))
            assert recipe == TrainingRecipe(
                epochs=epochs,
                milestones=milestones,
                batch_size=batch_size,
                learning_rates=rates,
                decay=0.1,  # --lr_steps times 0.1
                replica_size=None,
            )
    # main_attack.py: torch.optim.SGD with --beta1 0.9 and --weight_decay 1e-4, which are what SGD takes unasked.
    assert recipe.optimiser == {"name": "sgd"}
    assert vars(SGD()) == {"momentum": 0.9, "weight_decay": 1e-4}


@pytest.mark.parametrize(
    ("dataset", "epochs", "milestones", "replica"),
    [("music", 100, [30, 60, 90], 12), ("kinetics_sounds", 30, [10, 20], 8), ("ave", 100, [30, 60, 90], 8)],
)
def test_what_the_appendix_prints_and_what_a_gpu_saw_are_alternatives(
    dataset: str, epochs: int, milestones: list[int], replica: int
) -> None:
    """A.5: batches of 48, an initial rate of 1e-4 for the sound and 1e-3 for the frame and the classifier, for all."""
    chosen = {"training": "paper", "learning_rates": "paper", "batch_norm": "replica"}
    printed = plan(unedited(), scale="paper", tian2021=configuration(unedited())["tian2021"] | chosen)
    rates = {"audio": 1e-4, "visual": 1e-3, "head": 1e-3}
    for variants, size in ((FROM_SCRATCH, 12), (GOES_ON, replica)):
        for variant in variants:
            recipe = TrainingRecipe(**json.loads(printed.train.told(job(dataset, variant))["recipe"]))
            assert recipe == TrainingRecipe(epochs, 48, rates, milestones, replica_size=size)


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
            spec = made.attack.attack_on("mim_official", dataset, variant)
            batch_size = with_memory if variant in ("exfmem", "minsim_exfmem") else without_memory
            assert spec == {"update": "mim_official", "batch_size": batch_size}


def test_what_goes_on_starts_from_the_net_of_the_same_seed(paper: Plan) -> None:
    for variant, start in GOES_ON.items():
        for seed in ("1234", "1235", "1236"):
            assert paper.train.start(job("ave", variant, seed=seed)) == [
                f"results/paper/models/ave/{start}/s{seed}/model.pt"
            ]
    assert all(paper.train.start(job("ave", variant)) == [] for variant in FROM_SCRATCH)


# Equation 3 has no weight; main_defense.py: "#0.8-ks", main_attack.py: "0.8 for kinetics". MaxSim as MinSim.
@pytest.mark.parametrize(("dataset", "weight"), [("music", 1.0), ("kinetics_sounds", 0.8), ("ave", 1.0)])
def test_the_losses_and_their_weights(paper: Plan, dataset: str, weight: float) -> None:
    similarity = dict.fromkeys(("minsim", "minsim_exfmem", "minsim_continued"), "min_similarity")
    for variant in (*FROM_SCRATCH, *GOES_ON):
        told = json.loads(paper.train.told(job(dataset, variant))["objective"])
        if variant == "pcl":
            # arguments.py: --lr_prox 0.1, --lr_conprox 1e-4.
            assert told == {"name": "prototype_conformity", "options": {"prox_rate": 0.1, "conprox_rate": 1e-4}}
        elif variant in similarity or variant == "maxsim":
            assert told == {"name": similarity.get(variant, "max_similarity"), "options": {"weight": weight}}
            assert built(OBJECTIVES, told, {"audio": 2, "visual": 2}, 3).weight == weight
        else:
            assert told == {"name": "cross_entropy"}


def test_pcl_is_searched_around_its_inventors_weights(paper: Plan) -> None:
    """Mustafa et al. (ICCV 2019): 1 * prox - 1e-4 * conprox; both centres on the features of both modalities."""
    pcl = job("music", "pcl")
    assert json.loads(paper.train.told_to_search(pcl)["candidates"]) == [
        {"prox_weight": 10.0**-k, "conprox_weight": pytest.approx(1e-4 * 10.0**-k)} for k in range(4)
    ]
    assert TrainingRecipe(**json.loads(paper.train.told_to_search(pcl)["recipe"])) == TrainingRecipe(
        100, 36, FAST, [30, 60, 90]
    )
    assert json.loads(paper.train.told_to_search(pcl)["attack"]) == {"update": "fgsm", "objective": "cross_entropy"}
    assert json.loads(paper.train.told_to_search(pcl)["budget"]) == paper.grid.budgets["small"] == linf(0.006)
    assert paper.train.told_to_search(pcl)["epsilon_space"] == "normalised"


# main_defense.py: "#MUSIC 6e-6/kINETICS2e-6/ave 2e-6" after alpha_v, "#MUSIC 1e-6/kINETICS5.8e-7/ave7e-7" after
# alpha_a; "a = 0.5 # 0.6 KS; 0.5 MUSIC/AVE"; lamb=0.1; torch.norm(h - h_prime) < 0.0008; iter>2000; D[:, :1024]. The
# clips of a GPU stop together: --batch_size_per_gpu of train_defense_*.sh, and 4 of eval_defense_*.sh.
@pytest.mark.parametrize(
    ("dataset", "audio_step", "visual_step", "mixing", "training_group"),
    [("music", 1e-6, 6e-6, 0.5, 12), ("kinetics_sounds", 5.8e-7, 2e-6, 0.6, 8), ("ave", 7e-7, 2e-6, 0.5, 8)],
)
def test_the_memory_and_its_sparse_coding(
    paper: Plan, dataset: str, audio_step: float, visual_step: float, mixing: float, training_group: int
) -> None:
    for variant in ("exfmem", "minsim_exfmem"):
        assert MemoryRecipe(**json.loads(paper.train.told(job(dataset, variant))["memory"])) == MemoryRecipe(
            columns=1024, features="train_mode", steps={"audio": audio_step, "visual": visual_step}
        )
        spec = json.loads(paper.train.told(job(dataset, variant))["model_spec"])
        assert spec["defence"]["name"] == "feature_memory"
        memory = FeatureMemory(2, 3, **spec["defence"]["options"])
        assert (memory.mixing, memory.penalty, memory.tolerance, memory.iterations) == (mixing, 0.1, 8e-4, 2001)
        assert (memory.training_group, memory.evaluation_group, memory.clips_together) == (training_group, 4, 4)
    # A first stage keeps as many features of its last epoch as a memory takes.
    for variant in (*FROM_SCRATCH, *GOES_ON):
        if variant not in ("exfmem", "minsim_exfmem"):
            told = job(dataset, variant)
            assert paper.train.told(told)["kept_features"] == (1024 if variant in ("concat", "minsim") else 0)
            assert paper.train.told(told)["memory"] == "null"


# Appendix A.3 and nets/: 8 convolutions on the waveform, 512 channels; ResNet-18, its average pool kept; Linear.
def test_the_nets_and_what_they_see(paper: Plan) -> None:
    fusions = {name: name for name in ("audio", "visual", "sum", "film", "gated_sum", "gated_concat")}
    fusions["localisation"] = "attended_concat"
    for dataset in DATASETS:
        for variant in (*FROM_SCRATCH, *GOES_ON):
            told = job(dataset, variant)
            spec = json.loads(paper.train.told(told)["model_spec"])
            wanted = {"fusion": (fusions.get(variant, "concat"), {}), "head": ("linear", {})}
            if variant != "visual":
                wanted["audio"] = "conv1d", {}
            if variant != "audio":
                localising = variant == "localisation"
                wanted["visual"] = (
                    "resnet18",
                    {"pooling": "none", "stride": 32} if localising else {"pooling": "average"},
                )
            assert {part: (of["name"], of["options"]) for part, of in spec.items() if part != "defence"} == wanted
            # 65,535 samples at 11,025 Hz (audLen, audRate) and a frame of 224 pixels (imgSize), trained and tested.
            view = {"name": "moment", "options": {"audio_samples": 65_535, "frame_size": 224}}
            assert (
                json.loads(paper.train.told(told)["view"]) == json.loads(paper.attack.view_on(variant, dataset)) == view
            )
        form = paper.data.form(job(dataset, "concat"))
        assert (form["audio_rate"], form["frame_rate"]) == (11025, 8)
    concat = build(ModelSpec(**json.loads(paper.train.told(job("music", "concat"))["model_spec"])), 11)
    assert concat.dimensions == {"audio": 512, "visual": 512}
    assert concat.classifier.weight.shape == (11, 1024)


# Section 4.2: "10-step" PGD and MIM; main_attack.py: alpha = epsilon / 8, range(10), momentum * 1.0 (tests/unit/
# test_attacks.py follows each on its way). eval_*.sh test *_best.pth; epsilon counts normalised values of a frame.
def test_the_attacks(paper: Plan) -> None:
    steps = {"fgsm": (1, 1.0), "pgd": (10, 1 / 8), "mim": (10, 1 / 8)}
    steps |= {"fgsm_official": (1, 1.0), "mim_official": (10, 1 / 8), "random_sign": (0, 0.0)}
    told = {
        **{name: {"update": name} for name in ("fgsm", "pgd", "mim", "fgsm_official", "random_sign")},
        "fgsm_ce": {"update": "fgsm", "objective": "cross_entropy"},
        "mim_ce": {"update": "mim", "objective": "cross_entropy"},
        "fgsm_bypass": {"update": "fgsm", "without_defences": True},
        # Beside PGD in bfloat16, a check of ours.
        "pgd_float32": {"update": "pgd", "precision": "float32"},
    }
    for dataset, bundle in paper.attack.bundles:
        bundle_told = paper.attack.told(SimpleNamespace(dataset=dataset, bundle=bundle, seed="1"))
        assert {**bundle_told, "model_state": "best", "epsilon_space": "normalised"} == bundle_told
        for cell in json.loads(bundle_told["cells"]):
            attack, spec = cell["attack"], cell["spec"]
            assert spec == told.get(attack, spec) and (attack in told or attack == "mim_official")
            made = AttackSpec.of(spec)
            made = built(ATTACKS, {"name": made.update, "options": made.options})
            assert (made.steps, made.step_length) == steps[spec["update"]]


# README: "The perturbation strengthens are 0.006 and 0.012 as in Fig. 3 (10^-3) rather than 0.06 and 0.12."
# main_attack.py: [0, 0], [0, 0.012], [0.012, 0], [0.006, 0.006]; main_defense.py: ep = 0.006 for all three.
def test_the_strengths(paper: Plan) -> None:
    def read(artefact: str) -> dict:
        columns = paper.grid.artefacts["tian2021", artefact].spec["columns"]
        conditions = [column["condition"] for column in columns if "condition" in column and "ours_only" not in column]
        return {one["modality"]: paper.grid.budgets[one["budget"]] for one in conditions if "budget" in one}

    assert read("table1") == {"audio": linf(0.012), "visual": linf(0.012), "both": linf(0.006)}
    for artefact in ("table2", "table3", "tableA1", "tableA2", "tableA3"):
        assert read(artefact) == {"audio": linf(0.006), "visual": linf(0.006), "both": linf(0.006)}
    for figure in ("figure3", "figureA2", "figureA3"):
        strengths = [paper.grid.budgets[name] for name in paper.grid.artefacts["tian2021", figure].spec["budgets"]]
        assert strengths == list(map(linf, [0.002, 0.004, 0.006, 0.008, 0.010, 0.012]))


def test_the_demo_tells_what_goes_on_from_what_starts_from_scratch() -> None:
    demo = plan(unedited())
    long, short = ((16, [12]), (7, [5]))
    longest, rest = (40, [30]), [variant for variant in FROM_SCRATCH if variant != "localisation"]
    for variants, lengths in ((rest, long), (GOES_ON, short), (["localisation"], longest)):
        for variant in variants:
            recipe = json.loads(demo.train.told(job("kinetics_sounds", variant))["recipe"])
            assert (recipe["epochs"], recipe["milestones"]) == lengths
