"""What the rules are told for a job: files, parameters, resources, wildcards."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning import configuration, copy_project, plan, replace, seen_through, unedited, write_paper
from planning import paper as paper_told

from lib.jobs.data import count_rows
from lib.jobs.jobs import canonical
from lib.plan import Plan
from lib.settings import SettingsError


@pytest.fixture(scope="module")
def demo() -> Plan:
    return plan(unedited())


@pytest.fixture(scope="module")
def paper() -> Plan:
    return plan(unedited(), scale="paper")


CALIBRATION = {
    "dataset": "music", "variant": "concat", "attack": "fgsm", "others": ["sum"], "success": 78.3,
    "points": {"visual": {"grid": [1, 2], "of": 255}, "audio": 0.006},
}  # fmt: skip


def job(**wildcards: str) -> SimpleNamespace:
    return SimpleNamespace(**wildcards)


CONCAT = job(dataset="music", variant="concat")


# Clips: classes times clips per class in three splits (demo), lines of the released lists (paper). A shard holds 500 of
# the demo and 2,000 of the papers.
@pytest.mark.parametrize(
    ("scale", "dataset", "clips", "shards"),
    [
        ("demo", "music", 11 * (22 + 4 + 8), 1),
        ("demo", "kinetics_sounds", 27 * (10 + 2 + 3), 1),
        ("demo", "ave", 28 * (10 + 2 + 3), 1),
        ("paper", "music", 312 + 104 + 104, 1),
        ("paper", "kinetics_sounds", 9309 + 3103 + 3104, 8),
        ("paper", "ave", 3339 + 402 + 402, 3),
    ],
)
def test_shards_are_known_before_anything_is_made(scale: str, dataset: str, clips: int, shards: int) -> None:
    made = plan(unedited(), scale=scale)
    assert made.data.clips(dataset) == clips
    folder = f"results/{scale}/data/{dataset}/shards"
    assert made.data.shards(job(dataset=dataset)) == [f"{folder}/{number:04d}.arrow" for number in range(shards)]
    assert made.data.shard_reports(job(dataset=dataset)) == [f"{folder}/{number:04d}.csv" for number in range(shards)]


def test_a_table_of_ones_own_gives_its_lines_without_the_header(tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    table.write_text("clip_id,path,label,split\n" + "a,a.mp4,flute,train\n" * 501 + "\n", encoding="utf-8")
    own = {"source": "local", "table": str(table), "folder": "/media", "classes": "table"}
    made = plan(unedited(), datasets={"music": own})
    assert made.data.clips("music") == 501
    assert len(made.data.shards(job(dataset="music"))) == 2
    assert made.data.table(job(dataset="music")) == str(table)
    assert made.data.media_folder(job(dataset="music")) == "/media"
    assert made.data.classes_of_table(job(dataset="music")) == ["--classes-from-table"]
    assert made.data.datasets_from("local") == "music"
    assert made.data.datasets_from("render") == "ave|kinetics_sounds"
    assert re.fullmatch(made.data.datasets_from("lists"), "music") is None


def test_a_table_of_a_dataset_with_an_index_has_the_classes_of_the_index(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("clip_id,path,label,split\na,a.mp4,Siren,test\n", encoding="utf-8")
    given = {"source": "local", "table": str(tmp_path / "mine.csv")}
    words = plan(unedited(), datasets={"audioset_balanced": given}).data.classes_of_table(
        job(dataset="audioset_balanced")
    )
    assert words[0] == "--classes" and len(words) == 528 and {"Speech", "Siren"} <= {*words}


def test_lists_of_ones_own_copy_have_no_more_shards_than_rows(tmp_path: Path) -> None:
    lists = {}
    for name, rows in (("train", 600), ("val", 3)):
        lists[name] = str(tmp_path / f"{name}.csv")
        Path(lists[name]).write_text("label,youtube_id,time_start,time_end\n" + "singing,v,0,10\n" * rows)
    others: dict[str, dict] = {"kinetics_sounds_721": {}, "music_videos": {}}
    made = plan(unedited(), scale="paper", datasets={"kinetics_sounds_31": {"lists": lists}, **others})
    # With their headers, which the plan does not know from rows.
    assert made.data.clips("kinetics_sounds_31") == 605
    one = plan(unedited(), scale="paper", datasets={"kinetics_sounds_31": {"lists": {"val": lists["val"]}}})
    assert one.data.clips("kinetics_sounds_31") == 23_600 and made.data.clips("music_videos") == 536
    assert made.data.clips("kinetics_sounds_721") == 15_516


def test_a_manifest_of_lists_is_told_where_files_may_be() -> None:
    def told(dataset: str, **given: object) -> list[str]:
        listed = plan(unedited(), scale="paper", datasets={dataset: given}).data.listed(job(dataset=dataset))
        return [word for name in ("folder", "local_only", "spans_needed") for word in listed[name]]

    assert told("music") == ["data/music"]
    assert told("ave", folder="/media") == ["/media", "--spans-needed"]
    assert told("music", sources=["local"]) == ["data/music", "--local-only"]
    assert told("kinetics_sounds", sources=["archive"]) == ["--spans-needed"]


def test_a_mistake_in_where_clips_come_from_shows_when_the_plan_is_made(tmp_path: Path) -> None:
    own = {"source": "local", "table": str(tmp_path / "nowhere.csv")}
    with pytest.raises(SettingsError, match=r"nowhere\.csv: no such file"):
        plan(unedited(), datasets={"music": own})
    with pytest.raises(SettingsError, match=r"workflow/scales/paper\.yaml: `render`.*datasets\.music"):
        plan(unedited(), scale="paper", datasets={"music": {"source": "render"}})


def test_cells_of_a_table_are_those_of_all_seeds(paper: Plan) -> None:
    cells = paper.tables.read("cells")(job(artefact="tian2021/table2"))
    variants = ("sum", "concat", "film", "gated_sum", "gated_concat", "audio", "visual")
    assert sorted(cells) == sorted(
        f"results/paper/cells/music/s{seed}/{variant}.plain.parquet"
        for variant in variants
        for seed in (1234, 1235, 1236)
    )


def test_conditions_are_canonical_and_sorted(paper: Plan) -> None:
    official = job(dataset="kinetics_sounds", bundle="concat.one_step", seed="1235")
    wanted = '{"concat":[["audio","large"],["both","small"],["visual","large"]]}'
    told = '{"attack":"fgsm_official","spec":{"update":"fgsm_official"},"surrogate":"concat","victims":' + wanted + "}"
    cells = paper.attack.told(official)["cells"]
    assert told in cells and [cell["attack"] for cell in json.loads(cells)] == ["fgsm", "fgsm_official", "random_sign"]
    budgets = list(json.loads(paper.attack.told(official)["budgets"]))
    assert budgets == sorted(budgets) and {"large", "small"} <= set(budgets)
    assert paper.attack.told(official)["key"] == '{"dataset":"kinetics_sounds","seed":"1235"}'


def test_a_bundle_is_a_cell_by_itself_unless_the_scale_says_otherwise(demo: Plan, paper: Plan) -> None:
    def cells(plan: Plan, dataset: str) -> dict:
        return {
            bundle: {key[1:] for key in keys} for (of, bundle), keys in plan.attack.bundles.items() if of == dataset
        }

    # Of many clips the family of FGSM, noise beside it, that of MIM, and PGD by itself; of few all that is plain.
    held = {name.partition(".")[2]: {attack for _, attack in of} for name, of in cells(paper, "kinetics_sounds").items()
            if name.startswith("pcl.")}  # fmt: skip
    families = {
        "one_step": {"fgsm", "fgsm_ce", "random_sign"},
        "momentum": {"mim", "mim_ce", "mim_official"},
        "pgd": {"pgd"},
    }
    assert held == families
    assert {attack for _, attack in cells(paper, "ave")["pcl.plain"]} == set.union(*families.values())
    # Each net by itself. One cell of the paper scale is made in float32 too, and seven more nets are attacked by PGD.
    assert all(len({net for net, _ in of}) == 1 for of in cells(paper, "music").values())
    assert len(paper.attack.bundles) == 56
    assert cells(paper, "music")["concat.pgd_float32"] == {("concat", "pgd_float32")}
    made = cells(demo, "music")
    assert made.keys() == {"transferred", "undefended", "trained", "memory"}
    assert made["transferred"] == {("concat", "fgsm"), ("concat", "mim")} and ("concat", "pgd") in made["undefended"]
    assert sum(map(len, made.values())) == sum(map(len, cells(paper, "music").values())) - 1 - 7
    nets = demo.attack.told(job(dataset="music", bundle="transferred", seed="1234"))["nets"]
    trained = {"concat", "audio", "visual", "pcl", "maxsim", "minsim", "exfmem", "minsim_exfmem"}
    trained |= {"concat_continued", "minsim_continued", "planted_masking"}
    assert {*nets} == {f"{name}=results/demo/models/music/{name}/s1234/model.pt" for name in trained}
    assert nets[0].startswith("concat=") and len(nets) == len(trained)


def test_bundles_are_by_surrogates_by_attacks_or_by_both(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    path = root / "workflow/scales/paper.yaml"
    told = "  few: {surrogates: [pcl, maxsim], attacks: [mim, mim_ce]}\n  textbook: {attacks: [pgd, mim]}\n"
    replace(path, "bundles:\n", f"bundles:\n{told}")
    bundles = plan(root, scale="paper").attack.bundles
    assert [key[1:] for key in bundles["ave", "few"]] == [
        ("maxsim", "mim"), ("maxsim", "mim_ce"), ("pcl", "mim"), ("pcl", "mim_ce"),
    ]  # fmt: skip
    assert [key[1:] for key in bundles["ave", "concat.textbook"]] == [("concat", "mim"), ("concat", "pgd")]
    assert [key[1:] for key in bundles["ave", "minsim_exfmem.textbook"]] == [
        ("minsim_exfmem", name) for name in ("mim", "pgd")
    ]
    assert [key[2] for key in bundles["ave", "pcl.plain"]] == ["fgsm", "fgsm_ce", "mim_official", "random_sign"]


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_an_attack_of_ones_own_leaves_every_other_cell_as_it_is(tmp_path: Path, scale: str) -> None:
    """Whatever its name: this one comes before all others, and takes several steps by the net's own loss."""
    papers = ["tian2021", "zhang2025"]

    def told(root: Path) -> dict:
        made = plan(root, scale=scale, papers=papers)
        code = made.attack.code("attack.py", "variant", "attack")
        jobs = {place: job(dataset=place[0], bundle=place[1], seed="1234") for place in made.attack.bundles}
        return {place: (made.attack.told(one), code(one), made.attack.budget_files(one)) for place, one in jobs.items()}

    root = copy_project(tmp_path)
    registry = root / "scripts/avrobust/attacks/registry.py"
    replace(registry, "ATTACKS = {\n", 'ATTACKS = {\n    "a_mine": "avrobust.attacks.mim:mim",\n')
    before = told(root)
    for paper in papers:
        facts = paper_told(root, paper)
        facts["labels"].setdefault("attack", {})["a_mine"] = "Mine"
        if paper == "tian2021":
            facts["artefacts"]["table1"]["rows"]["rows"].append({"attack": "a_mine", "ours_only": True})
        else:
            facts["lists"]["own"] = ["a_mine"]
        write_paper(root, facts, paper)
    after = told(root)
    assert before.items() <= after.items()
    new = [json.loads(of["cells"]) for where, (of, *_) in after.items() if where not in before]
    assert new and {cell["attack"] for cells in new for cell in cells} == {"a_mine"}


def test_what_nets_are_attacked_by_without_bounds_is_an_attack(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    replace(root / "workflow/papers/tian2021/paper.yaml", "unbounded: [mim, pgd]", "unbounded: [mime]")
    with pytest.raises(SettingsError, match=r"^workflow/papers/tian2021/paper\.yaml: unbounded: 'mime' is not known"):
        plan(root)


@pytest.mark.parametrize(
    ("check", "changed"),
    [
        ("float32", "{dataset: music, variant: concat, attack: pdg}"),
        ("coded", "{variant: concat, attack: pdg, budgets: [large, small]}"),
    ],
)
def test_what_a_check_of_a_paper_attacks_by_is_an_attack(tmp_path: Path, check: str, changed: str) -> None:
    root = copy_project(tmp_path)
    told = changed.replace("pdg", "pgd")
    replace(root / "workflow/papers/tian2021/paper.yaml", f"{check}: {told}", f"{check}: {changed}")
    with pytest.raises(SettingsError, match=rf"paper\.yaml: {check}\.attack: 'pdg' is not known"):
        plan(root)


def test_nets_that_see_or_are_tested_otherwise_are_no_bundle(tmp_path: Path) -> None:
    """Two papers attack the nets of each other's variants; one of them tests the latest weights."""
    root = copy_project(tmp_path)
    told = paper_told(root)
    told |= {"variants": {"theirs": told["variants"]["concat"]}, "claims": []}
    told["attacks"].pop("mim_official")
    told["labels"]["fusion"]["theirs"] = "Theirs"
    told["budgets"]["sweep"] = [0.006, 0.012]
    rows = {"dataset": "music", "variant": "theirs", "attack": "pgd", "ours_only": True}
    told["artefacts"] = {"table2": told["artefacts"]["table2"] | {"rows": rows, "columns": {"AV_clean": "clean"}}}
    write_paper(root, told, "second")
    path = root / "workflow/scales/demo.yaml"
    replace(path, "surrogates: [audio, visual, concat,", "surrogates: [audio, theirs, visual, concat,")
    with pytest.raises(SettingsError, match=r"bundles: undefended holds .* and theirs, .* tested on something else"):
        plan(root, papers=["tian2021", "second"], second={"model_state": "latest"})


def test_attacks_on_features_and_from_pixels_on_are_no_bundle(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    together = "{attacks: [released_waveform, projected_waveform, released, projected]}"
    replace(root / "workflow/scales/paper.yaml", "bundles:\n", f"bundles:\n  mixed: {together}\n")
    said = r"bundles: mid_fusion\.mixed holds .*waveform, which goes through an extractor, and .*, which does not; put"
    with pytest.raises(SettingsError, match=said):
        plan(root, papers=["li2022"], scale="paper")


def test_only_the_bundle_whose_clips_are_encoded_has_the_code_that_does_it(demo: Plan, paper: Plan) -> None:
    where = job(dataset="music", bundle="undefended", seed="1234")
    coded = [cell for cell in json.loads(demo.attack.told(where)["cells"]) if "coded" in cell]
    assert [(cell["surrogate"], cell["attack"]) for cell in coded] == [("concat", "pgd")]
    assert coded[0]["coded"] == [["audio", "large"], ["both", "small"], ["visual", "large"]]
    coder = "avrobust.evaluation.coded:Coded"
    entries = {name: paper.attack.entries("attack", job(dataset=dataset, bundle=name, seed="1234"))
               for dataset, name in paper.attack.bundles if dataset == "ave"}  # fmt: skip
    assert {name for name, of in entries.items() if coder in of} == {"concat.plain"}


def test_one_attack_of_each_net_is_tried_without_bounds(paper: Plan) -> None:
    """Of those that take several steps on their own net, and of those one by the net's own training loss."""
    free = {
        key
        for key, victims in paper.attack.cells.items()
        if any(one.budget == "unbounded" for conditions in victims.values() for one in conditions)
    }
    iterative = {key[:2] for key in paper.grid.cells if key[2] in ("pgd", "mim", "mim_ce")}
    assert {key[:2] for key in free} == iterative and len(free) == len(iterative)
    assert {key[2] for key in free if key[1] != "planted_masking"} == {"mim"}
    assert ("music", "planted_masking", "pgd") in free
    budgets = json.loads(paper.attack.told(job(dataset="ave", bundle="pcl.plain", seed="1234"))["budgets"])
    assert budgets["unbounded"]["audio"] == {"epsilon": "range", "norm": "linf"}


def test_what_has_no_bounds_is_not_attacked_as_far_as_they_are_wide(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    seen_through(root, "ave")
    replace(
        root / "workflow/papers/tian2021/paper.yaml",
        "ave: {by: ave_test_window, whole: 65535, half: 33075}",
        "ave: 65535",
    )
    free = {
        key[0]
        for key, victims in plan(root).attack.cells.items()
        if any(one.budget == "unbounded" for conditions in victims.values() for one in conditions)
    }
    assert free == {"music", "kinetics_sounds"}


def test_a_calibrated_budget_is_an_input_of_what_names_it_alone(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    told = paper_told(root)
    told["budgets"]["nearest"] = {"from": "calibrated"}
    told["calibrations"] = {"calibrated": CALIBRATION}
    told["artefacts"]["table2"]["columns"][1]["Extra"] = "audio@nearest*"
    write_paper(root, told)
    made = plan(root, scale="paper")
    with_it = job(dataset="music", bundle="film.plain", seed="1234")
    assert made.attack.budget_files(with_it) == ["results/paper/budgets/calibrated.json"]
    assert json.loads(made.attack.told(with_it)["budgets"])["nearest"] == {"from": "calibrated"}
    assert made.attack.budget_files(job(dataset="ave", bundle="pcl.plain", seed="1234")) == []


def test_only_a_net_with_a_frame_encoder_starts_from_imagenet_and_only_where_the_scale_says(
    demo: Plan, paper: Plan, tmp_path: Path
) -> None:
    weights = "results/weights/resnet18_imagenet.pth"
    music = {name: job(dataset="music", variant=name) for name in ("concat", "visual", "audio", "sum", "pcl", "exfmem")}
    assert paper.train.weights(music["concat"]) == [weights]
    assert paper.train.told(music["visual"])["weights"] == [f"visual={weights}"]
    assert paper.train.weights(music["audio"]) == paper.train.told(music["audio"])["weights"] == []
    # What goes on from another net has its weights.
    assert paper.train.weights(music["pcl"]) == paper.train.weights(music["exfmem"]) == []
    assert demo.train.weights(music["concat"]) == []
    (tmp_path / "mine.pth").touch()
    own = plan(unedited(), scale="paper", weights={"resnet18_imagenet": f"{tmp_path}/mine.pth"})
    assert own.train.weights(music["sum"]) == [f"{tmp_path}/mine.pth"]


def test_choices_of_the_configuration_arrive_at_the_programs() -> None:
    default = configuration(unedited())["tian2021"]
    other = default | {
        "epsilon": "printed", "epsilon_space": "pixel", "visual_pooling": "max",
        "learning_rates": "paper", "training": "paper", "model_state": "latest",
    }  # fmt: skip
    made = {name: plan(unedited(), scale="paper", tian2021=given) for name, given in
            (("code", default), ("paper", other))}  # fmt: skip
    ave = job(dataset="ave", variant="concat", attack="fgsm")
    music = job(dataset="music", variant="audio")
    assert json.loads(made["code"].train.told(ave)["recipe"]) == {
        "epochs": 30, "milestones": [10, 20], "batch_size": 48, "replica_size": None,
        "learning_rates": {"audio": 1e-3, "visual": 1e-4, "head": 1e-3},
    }  # fmt: skip
    assert json.loads(made["paper"].train.told(ave)["recipe"]) == {
        "epochs": 100, "milestones": [30, 60, 90], "batch_size": 48, "replica_size": None,
        "learning_rates": {"audio": 1e-4, "visual": 1e-3, "head": 1e-3},
    }  # fmt: skip
    assert [json.loads(made[name].train.told(music)["recipe"])["batch_size"] for name in made] == [36, 48]
    plain = {name: {"name": name, "options": {}} for name in ("concat", "audio", "conv1d", "linear")}
    net = {"fusion": plain["concat"], "audio": plain["conv1d"], "head": plain["linear"]}
    for name, pooling in (("code", "average"), ("paper", "max")):
        frame = {"name": "resnet18", "options": {"pooling": pooling}}
        assert json.loads(made[name].train.told(ave)["model_spec"]) == net | {"visual": frame}
    assert json.loads(made["paper"].train.told(music)["model_spec"]) == net | {"fusion": plain["audio"]}
    bundle = job(dataset="ave", bundle="concat.plain", seed="1234")
    told = [made[name].attack.told(bundle) for name in made]
    assert [one["model_state"] for one in told] == ["best", "latest"]
    assert [one["epsilon_space"] for one in told] == ["normalised", "pixel"]


def test_batch_statistics_of_a_replica_are_the_papers_share_of_a_batch() -> None:
    default = configuration(unedited())["tian2021"]
    for scale in ("demo", "paper"):
        whole, replica = (
            json.loads(
                plan(unedited(), scale=scale, tian2021=default | {"batch_norm": choice}).train.told(CONCAT)["recipe"]
            )
            for choice in ("batch", "replica")
        )
        assert replica == whole | {"replica_size": 12}
        assert whole["replica_size"] is None


@pytest.mark.parametrize(("scale", "whole", "half"), [("paper", 65535, 33075), ("demo", 8191, 4133)])
def test_half_a_window_is_for_the_test_clips_of_ave(scale: str, whole: int, half: int) -> None:
    default = configuration(unedited())["tian2021"]
    ave = job(dataset="ave", variant="concat")
    made = plan(unedited(), scale=scale, tian2021=default | {"ave_test_window": "half"})
    same = plan(unedited(), scale=scale)
    trained, (attacked, *others) = (
        made.train.told(ave)["view"],
        [one.attack.view_on("concat", of) for one, of in ((made, "ave"), (made, "music"), (same, "ave"))],
    )
    lengths = [json.loads(view)["options"]["audio_samples"] for view in (attacked, trained, *others)]
    assert lengths == [half, whole, whole, whole]
    bundle = job(dataset="ave", bundle="transferred" if scale == "demo" else "concat.plain", seed="1234")
    assert made.attack.told(bundle)["view"] == attacked


def test_the_released_audio_is_picked_at_one_rate_that_is_taken_for_another() -> None:
    resampled, released = (
        plan(unedited(), audio_recipe=recipe).data.form(CONCAT) for recipe in ("resampled", "released")
    )
    assert (resampled["audio_rate"], resampled["stated_audio_rate"], resampled["picked_from"]) == (11025, 11025, [])
    assert released == resampled | {"audio_rate": 11000, "picked_from": [44100]}


def test_a_dataset_has_rates_and_a_view_of_its_own_where_its_file_says_so() -> None:
    """Zhang et al.'s frames are 2 a second, Li et al.'s 16, both with sound at 16,000; Tian & Xu's are the scale's."""
    for recipe in ("resampled", "released"):
        others = ("kinetics_sounds_721", "music_videos", "kinetics_sounds_31", "audioset", "audioset_balanced")
        made = plan(unedited(), scale="paper", audio_recipe=recipe, datasets={name: {} for name in others})
        for dataset, form in (
            *((name, (16000, 2, 128, 13)) for name in ("kinetics_sounds_721", "music_videos")),
            *((name, (16000, 16, 128, 16)) for name in ("kinetics_sounds_31", "audioset", "audioset_balanced")),
            *((name, (11000 if recipe == "released" else 11025, 8, 256, 49)) for name in ("music", "ave")),
        ):
            told = made.data.form(job(dataset=dataset))
            names = ("audio_rate", "frame_rate", "short_side", "minimum_frames")
            assert tuple(told[name] for name in names) == form
            assert bool(told["picked_from"]) == (form[0] == 11000)
    views = {name: facts["view"] for name, facts in made.settings.datasets.items()}
    ten = {"seconds": 10, "frames": 20, "frame_size": 112}
    assert views["kinetics_sounds_721"] == {"name": "clip", "options": ten}
    assert views["music_videos"] == {"name": "clip", "options": ten | {"random_stretch": True}}
    assert views["music"] == {"name": "moment", "options": {"audio_samples": 65_535, "frame_size": 224}}


def test_options_of_a_view_that_a_dataset_leaves_out_are_the_scales(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    file = root / "workflow/datasets/ave.yaml"
    file.write_text(file.read_text() + "view: {options: {frame_size: 48}}\nframe_rate: 4\n", encoding="utf-8")
    made = plan(root)
    view = json.loads(made.train.told(job(dataset="ave", variant="concat"))["view"])
    assert view["options"] == {"audio_samples": 8191, "frame_size": 48}
    rates = [made.data.form(job(dataset=name))["frame_rate"] for name in ("ave", "music")]
    assert rates == [4, 8]


def test_a_view_of_features_reads_their_shards(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    seen_through(root, "ave")
    data = plan(root).data
    assert data.shards(job(dataset="ave")) == ["results/demo/features/ave/windows/0000.arrow"]
    assert data.shards(job(dataset="music")) == ["results/demo/data/music/shards/0000.arrow"]
    assert data.moments(job(dataset="ave")) == ["results/demo/features/ave/windows/moments.json"]
    assert data.moments(job(dataset="music")) == []


@pytest.mark.parametrize(
    ("view", "said"),
    [
        ("{name: momnt}", "'momnt' is not in VIEWS of scripts/avrobust/views/registry.py: clip, features, moment"),
        ("{options: {frames: 2}}", "view of ave: moment: unknown option frames = 2; its options are audio_samples"),
        ("{name: clip, options: {seconds: 3, frames: 4}}", "view of ave: clip: the option frame_size must be given"),
        ("{options: {frame_size: 31}}", "workflow/datasets/ave.yaml: view.options.frame_size: 31 must be at least 32"),
        ("{size: 3}", "workflow/datasets/ave.yaml: view: unknown key size = 3; allowed are name, options"),
    ],
)
def test_a_view_that_cannot_be_is_named_before_any_job_starts(tmp_path: Path, view: str, said: str) -> None:
    root = copy_project(tmp_path)
    file = root / "workflow/datasets/ave.yaml"
    file.write_text(f"{file.read_text()}view: {view}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=re.escape(said)):
        plan(root)


def test_a_choice_of_attacking_leaves_training_alone() -> None:
    default = configuration(unedited())["tian2021"]
    attacking = {"epsilon": "printed", "epsilon_space": "pixel", "model_state": "latest", "ave_test_window": "half"}
    same, other = plan(unedited()), plan(unedited(), tian2021=default | attacking)
    assert same.train.told(CONCAT) == other.train.told(CONCAT)


def test_what_a_stage_starts_from_and_leaves_to_the_next(paper: Plan) -> None:
    full = job(dataset="kinetics_sounds", variant="minsim_exfmem", seed="1235")
    assert paper.train.start(full) == ["results/paper/models/kinetics_sounds/minsim/s1235/model.pt"]
    assert json.loads(paper.train.told(full)["memory"]) == {
        "columns": 1024, "features": "train_mode", "steps": {"audio": 5.8e-7, "visual": 2e-6},
    }  # fmt: skip
    net = json.loads(paper.train.told(full)["model_spec"])
    assert net["defence"]["name"] == "feature_memory"
    assert net["defence"]["options"] == {
        "mixing": 0.6, "penalty": 0.1, "tolerance": 8e-4, "iterations": 2001, "training_group": 8,
        "evaluation_group": 4,
    }  # fmt: skip
    assert json.loads(paper.train.told(full)["objective"]) == {"name": "min_similarity", "options": {"weight": 0.8}}
    for variant in ("minsim", "concat"):
        assert paper.train.told(job(dataset="music", variant=variant))["kept_features"] == 1024
        assert paper.train.told(job(dataset="music", variant=variant))["memory"] == "null"
    assert paper.train.told(job(dataset="music", variant="maxsim"))["kept_features"] == 0
    pcl = job(dataset="music", variant="pcl", seed="1236")
    assert paper.train.found_options(pcl) == ["results/paper/models/music/pcl/search.json"]
    # One search for all seeds, with the first of them.
    assert paper.train.search_start(pcl) == "results/paper/models/music/concat/s1234/model.pt"


def test_the_choices_of_the_memory_arrive_at_it(demo: Plan) -> None:
    default = configuration(unedited())["tian2021"]
    other = default | {
        "ista": "per_sample", "mixing_weight": "paper", "memory_features": "eval_mode", "similarity_weight": "paper",
        "attention": "scaled",
    }  # fmt: skip
    made, full = plan(unedited(), tian2021=other), job(dataset="kinetics_sounds", variant="minsim_exfmem", seed="1")
    options = json.loads(made.train.told(full)["model_spec"])["defence"]["options"]
    assert (options["tolerance"], options["mixing"]) == (0.0, 0.5)
    assert json.loads(made.train.told(full)["memory"])["features"] == "eval_mode"
    assert json.loads(made.train.told(full)["objective"])["options"] == {"weight": 1.0}
    where = job(dataset="ave", variant="localisation")
    nets = [json.loads(one.train.told(where)["model_spec"]) for one in (demo, made)]
    assert [net["fusion"]["name"] for net in nets] == ["attended_concat", "scaled_attended_concat"]
    assert all(net["visual"]["options"] == {"pooling": "none", "stride": 8, "width": 0.125} for net in nets)


def test_a_search_may_take_as_long_as_all_its_candidates(paper: Plan) -> None:
    assert [
        paper.train.search_minutes(job(dataset="kinetics_sounds", variant="pcl"), attempt) for attempt in (1, 2)
    ] == [
        2880,
        5760,
    ]


def test_another_size_of_a_memory_trains_no_net_anew_that_it_starts_from(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    replace(root / "workflow/scales/demo.yaml", "columns: 128", "columns: 64")
    before, after = plan(unedited()), plan(root)
    assert before.train.told(CONCAT)["kept_features"] == after.train.told(CONCAT)["kept_features"] == 1024
    full = job(dataset="music", variant="minsim_exfmem")
    assert before.train.told(full)["memory"] != after.train.told(full)["memory"]


def test_two_papers_must_train_a_variant_of_one_name_alike(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    first = root / "workflow/papers/tian2021/variants.yaml"
    second = root / "workflow/papers/second/variants.yaml"
    shutil.copytree(first.parent, second.parent)
    # At a scale that has sizes of its own for neither.
    papers = {"papers": ["tian2021", "second"], "scale": "paper"}
    assert plan(root, **papers).tables.artefacts["table3"].spec == {"papers": ["tian2021", "second"]}
    second.write_text(first.read_text(encoding="utf-8").replace("epochs: 100", "epochs: 7"), encoding="utf-8")
    with pytest.raises(SettingsError, match="variant audio on music is not the same in tian2021 and second"):
        plan(root, **papers)
    second.write_text(first.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(SettingsError, match="is not the same"):
        plan(root, second={"model_state": "latest"}, **papers)


def test_an_attack_says_whose_gradients_it_takes(demo: Plan) -> None:
    def told(attack: str) -> dict:
        return demo.attack.attack_on(attack, "ave", "exfmem")

    assert told("pgd") == {"update": "pgd"}
    assert told("mim_ce") == {"update": "mim", "objective": "cross_entropy"}
    assert told("fgsm_bypass") == {"update": "fgsm", "without_defences": True}


def test_an_attack_is_what_its_own_paper_chooses(tmp_path: Path) -> None:
    """A second paper attacks a net of the first one; what its attack leaves open is its own choice."""
    root = copy_project(tmp_path)
    told = paper_told(root)
    clips = {"by": "epsilon", "corrected": 3, "printed": 5}
    told["attacks"] |= {"theirs": {"update": "mim_official", "batch_size": clips}}
    told["labels"]["attack"]["theirs"] = "Theirs"
    rows = {"dataset": "music", "variant": "concat", "attack": "theirs", "ours_only": True}
    told |= {"artefacts": {"table2": told["artefacts"]["table2"] | {"rows": rows}}, "claims": []}
    # What a strength is called it is called in all papers.
    told["budgets"] = {"small": 0.006, "large": 0.012}
    write_paper(root, told, "second")
    made = plan(root, papers=["tian2021", "second"], second={"epsilon": "printed"}, scale="paper")
    assert made.attack.attack_on("theirs", "music", "concat") == {"update": "mim_official", "batch_size": 5}


def test_the_demo_recipe_is_the_scales(demo: Plan) -> None:
    rates = {"audio": 0.02, "visual": 0.02, "head": 0.02}
    for dataset in ("music", "ave"):
        assert json.loads(demo.train.told(job(dataset=dataset, variant="sum"))["recipe"]) == {
            "epochs": 16, "milestones": [12], "batch_size": 16, "learning_rates": rates, "replica_size": None,
        }  # fmt: skip
        second = json.loads(demo.train.told(job(dataset=dataset, variant="minsim_exfmem"))["recipe"])
        assert (second["epochs"], second["milestones"], second["batch_size"]) == (7, [5], 16)


def test_the_demo_limits_the_sparse_coding(demo: Plan, paper: Plan) -> None:
    def iterations(plan: Plan) -> int:
        return json.loads(plan.train.told(job(dataset="music", variant="exfmem"))["model_spec"])["defence"]["options"][
            "iterations"
        ]

    assert (iterations(demo), iterations(paper)) == (400, 2001)
    assert "iterations" not in demo.train.told(job(dataset="music", variant="exfmem"))["memory"]


@pytest.mark.parametrize(("device", "gpus"), [("auto", 1), ("cuda", 1), ("cuda_or_cpu", 1), ("cpu", 0)])
def test_one_gpu_unless_none_is_to_be_used(device: str, gpus: int) -> None:
    made = plan(unedited(), device=device)
    assert made.train.gpus == gpus
    assert made.train.device == device


def test_memory_and_time_grow_with_each_attempt(paper: Plan) -> None:
    assert [paper.train.memory_mb("train")(job(), attempt) for attempt in (1, 2, 3)] == [16000, 32000, 48000]
    assert [paper.train.minutes("pack")(job(), attempt) for attempt in (1, 2, 3)] == [240, 480, 720]
    assert [paper.train.threads(kind) for kind in ("render", "pack", "train", "attack")] == [8, 8, 8, 8]


def test_wildcards_are_registered_names_only(demo: Plan) -> None:
    patterns = demo.wildcard_patterns
    for name, yes, no in (
        ("scale", "demo", "paper"),
        ("paper", "tian2021", "li2022"),
        ("dataset", "kinetics_sounds", "kinetics"),
        ("variant", "gated_sum", "gated"),
        ("attack", "mim", "cw"),
        ("bundle", "undefended", "defended"),
        ("seed", "1234", "x"),
        ("shard", "0001", "1"),
    ):
        assert re.fullmatch(patterns[name], yes)
        assert not re.fullmatch(patterns[name], no)


def test_published_files_of_the_paper(demo: Plan) -> None:
    tables = (
        "table1",
        "table2",
        "table3",
        "tableA1",
        "tableA2",
        "tableA3",
        "localisation",
        "controls",
        "claims",
        "choices",
        "realisable",
    )
    figures = ("figure1", "figure2", "figure3", "figure4", "figure5", *(f"figureA{number}" for number in range(1, 7)))
    wanted = {f"paper_tables/tian2021/{name}.{suffix}" for name in tables for suffix in ("csv", "md")}
    wanted |= {f"paper_tables/{name}.csv" for name in (*tables, "availability", "checks")}
    wanted |= {"paper_tables/tian2021/claims_tests.csv"}
    wanted |= {f"paper_tables/tian2021/{name}.{suffix}" for name in figures for suffix in ("csv", "svg", "png")}
    wanted |= {f"paper_tables/tian2021/{name}_measures.csv" for name in ("figure5", "figureA5", "figureA6")}
    targets = demo.tables.targets(["tian2021"])
    assert set(targets) == wanted
    assert len(targets) == len(wanted) == 11 * 3 + 1 + 11 * 3 + 3 + 2
    # One job an artefact.
    assert len(demo.tables.published) == 2 * 11 + 11 + 2
    for name, files in demo.tables.published.items():
        assert re.fullmatch(demo.tables.published_as(files), name)
    assert demo.tables.targets(["li2022"]) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=5), st.randoms())
def test_equal_parameters_are_equal_texts(value: dict, random: object) -> None:
    pairs = list(value.items())
    random.shuffle(pairs)
    assert canonical(dict(pairs)) == canonical(value)
    assert json.loads(canonical(value)) == value


@given(st.lists(st.sampled_from(["a,b", "", "  ", "\t"])), st.booleans())
def test_rows_are_lines_that_are_not_empty(tmp_path_factory: pytest.TempPathFactory, lines: list, ended: bool) -> None:
    path = tmp_path_factory.mktemp("rows") / "list.csv"
    path.write_text("\n".join(lines) + "\n" * ended, encoding="utf-8")
    assert count_rows(path) == lines.count("a,b")


def test_a_line_break_within_quotes_is_no_new_row(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text('clip_id,path\n"a\nb",c\nd,e\n', encoding="utf-8")
    assert count_rows(tmp_path / "list.csv") == 3


def test_what_is_no_list_of_clips_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read: Is a directory; it is the list of clips"):
        count_rows(tmp_path)
    (tmp_path / "list.csv").write_text(f'"{"a" * 200_000}', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"list\.csv: not CSV: field larger than field limit"):
        count_rows(tmp_path / "list.csv")


def test_another_batch_size_of_attacks_or_another_device_changes_no_parameter(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    replace(root / "workflow/scales/demo.yaml", "attack_batch_size: 96", "attack_batch_size: 97")
    before, after = plan(unedited(), device="auto"), plan(root, device="cpu")
    assert (before.attack.batch_size, after.attack.batch_size, before.train.device, after.train.device) == (
        "96",
        "97",
        "auto",
        "cpu",
    )
    concat = job(dataset="music", variant="concat", attack="fgsm", seed="1234")
    assert before.train.told(concat) == after.train.told(concat)
    assert before.data.form(concat) == after.data.form(concat)
    assert before.analysis.told("embeddings")(concat) == after.analysis.told("embeddings")(concat)
    bundle = job(dataset="music", bundle="undefended", seed="1234")
    assert before.attack.told(bundle) == after.attack.told(bundle)


def test_planning_imports_none_of_the_heavy_libraries() -> None:
    program = """
import sys
from pathlib import Path
sys.path[:0] = ["workflow", "scripts"]
from lib.plan import Plan
from lib.settings import read_config
plan = Plan.load(Path.cwd(), read_config(Path.cwd(), ()))
plan.tables.targets(["tian2021"])
plan.train.code("train.py")(None)
plan.choices = plan.tables.spec(type("Job", (), {"artefact": "tian2021/claims"}))
print(*{name.split(".")[0] for name in sys.modules}, *(name for name in sys.modules if name.startswith("avrobust.")))
"""
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, cwd=unedited(), check=True, capture_output=True, text=True).stdout.split()
    assert {"lib", "yaml"} <= set(loaded)
    heavy = {"torch", "torchvision", "pandas", "numpy", "matplotlib", "pyarrow", "scipy", "sklearn", "av"}
    assert heavy & set(loaded) == set()
    own = {name for name in loaded if name.startswith("avrobust.") and not name.startswith("avrobust.spec")}
    assert own <= {"avrobust.csv_text", "avrobust.files", "avrobust.lazy", "avrobust.program"}
