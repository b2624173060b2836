"""`make plan`: hours of training and attacking, from the jobs that have run."""

import json
from pathlib import Path

import pytest
from planning import copy_project, plan, program, seen_through, unedited

from compute_plan import jobs, measured


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    return copy_project(tmp_path_factory.mktemp("compute_plan") / "project")


def rows(text: str) -> dict[str, list[str]]:
    """Return number, done, hours done and hours left of each kind of job."""
    lines = [line.split() for line in text.split("\n\n")[0].splitlines()[1:]]
    return {line[-5]: line[-4:] for line in lines if len(line) >= 5}


def ran(project: Path, scale: str, dataset: str, job: str, seconds: float) -> None:
    path = project / f"results/{scale}/benchmarks/{dataset}/{job}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\n{seconds}\t0:00:00\n")


def test_jobs_are_those_that_snakemake_plans(project):
    """As many as in tests/workflow/test_dry_run.py: 38 nets, 12 bundles, and so on; three seeds at the paper scale."""
    counts = {kind: int(row[0]) for kind, row in rows(program(project, "compute_plan", "scale=demo").stdout).items()}
    assert counts == {"train": 38, "search": 3, "attack": 12, "localise": 9, "embed": 2, "all": 64}
    run = program(project, "compute_plan")
    counts = {kind: int(row[0]) for kind, row in rows(run.stdout).items()}
    assert counts == {"train": 114, "search": 3, "attack": 168, "localise": 27, "embed": 6, "all": 318}
    assert {row[3] for row in rows(run.stdout).values()} == {"?"}
    assert "attack: none has run at this scale" in run.stdout


def test_what_has_run_tells_how_long_the_rest_takes(project):
    ran(project, "demo", "music", "train_audio_s1234", 3600)
    ran(project, "demo", "music", "train_visual_s1234", 7200)
    ran(project, "demo", "ave", "train_audio_s1234", 720)
    ran(project, "demo", "music", "train_of_another_grid_s1", 999999)
    ran(project, "demo", "ave", "search_pcl", 360)
    provenance = project / "results/demo/models/music/audio/s1234/train.json"
    provenance.parent.mkdir(parents=True)
    provenance.write_text(json.dumps({"device": "A GPU of ours"}))
    run = program(project, "compute_plan", "scale=demo")
    found = rows(run.stdout)
    # MUSIC trains 16 nets for 220 epochs of 242 clips, the others 11 for 155, of 280 and 270. Done: 1 + 2 + 0.2 h for
    # 32 and 16 epochs. Left: 188 and 139 at these rates, and Kinetics-Sounds' at that of all three.
    left = 188 * 3 / 32 + 139 * 0.2 / 16 + 155 * 270 * 3.2 / (32 * 242 + 16 * 280)
    assert found["train"] == ["38", "3", "3.20", f"{left:.2f}"]
    assert found["search"] == ["3", "1", "0.10", f"{0.1 * (242 + 270) / 280:.2f}"]
    assert found["attack"] == ["12", "0", "0.00", "?"]
    assert "on A GPU of ours" in run.stdout


@pytest.mark.parametrize(("argument", "message"), [("scale=papr", "papr"), ("demo", "'demo' is no key=value")])
def test_what_cannot_be_planned_is_one_line(project, argument, message):
    run = program(project, "compute_plan", argument)
    assert run.returncode == 1
    assert message in run.stderr and run.stderr.startswith("error: ") and run.stderr.count("\n") == 1


def test_a_paper_is_charged_with_its_own_jobs_only():
    made = plan(unedited())
    assert {kind for kind, *_ in jobs(made, "tian2021")} == {"train", "search", "attack", "localise", "embed"}
    assert jobs(made, "a_paper_with_nothing_yet") == {}
    assert all(passes > 0 for passes in jobs(made, "tian2021").values())


def test_rates_are_those_of_the_paper_whose_clips_are_alike(tmp_path):
    """A picture and a window take less than twenty pictures and ten seconds, whatever a pass is called."""
    root = copy_project(tmp_path)
    made = plan(root, papers=["tian2021", "zhang2025"])

    def left(job: str, dataset: str = "") -> set[float]:
        of = measured(made)
        hours = of[(of["paper"] == "zhang2025") & (of["kind"] == job) & of["dataset"].isin([dataset or "music_videos"])]
        return set((hours["left"] / hours["passes"]).round(9).dropna())

    ran(root, "demo", "music", "train_audio_s1234", 3600)
    assert left("train") == set()
    of_net = jobs(made, "zhang2025")["train", "kinetics_sounds_721", "train_AcV_s1234"]
    ran(root, "demo", "kinetics_sounds_721", "train_AcV_s1234", of_net / 100)
    assert left("train") == {0.01} and left("attack") == set()
    of_cells = jobs(made, "zhang2025")["attack", "kinetics_sounds_721", "attack_AcV.temporal_s1234"]
    ran(root, "demo", "kinetics_sounds_721", "attack_AcV.temporal_s1234", of_cells / 50)
    found = measured(made)
    (calibration,) = found[found["kind"] == "calibrate"].itertuples()
    assert calibration.left == pytest.approx(0.02 * calibration.passes), "it is an attack"


def test_features_are_extracted_once_for_all_seeds(tmp_path):
    root = copy_project(tmp_path)
    seen_through(root, "music")
    for scale in ("demo", "paper"):
        made = plan(root, scale=scale)
        of_features = {key: clips for key, clips in jobs(made, "tian2021").items() if key[0] == "features"}
        assert of_features == {("features", "music", "features_windows_0000"): made.data.clips("music")}


def test_jobs_of_features_are_as_large_as_the_shards_that_they_take():
    """Four packed shards each, of 2,000 clips, which differ by at most one."""
    made = plan(unedited(), scale="paper", datasets={"audioset": {}})
    found = made.features.clips_of_jobs("audioset")
    assert list(found) == [f"features_log_mel_r2plus1d_{number:04d}" for number in range(261)]
    assert sum(found.values()) == 2_084_320 and set(found.values()) - {found["features_log_mel_r2plus1d_0260"]} <= {
        7993, 7994,
    }  # fmt: skip


def test_the_classes_of_a_net_are_measured_before_its_mix_up():
    made = plan(unedited(), scale="paper", papers=["zhang2025"])
    found = jobs(made, "zhang2025")
    of_geometry = {name: passes for (kind, _, name), passes in found.items() if kind == "geometry"}
    assert len(of_geometry) == 8 * 3, "of every net and seed, on both datasets by the same name"
    assert found["geometry", "kinetics_sounds_721", "geometry_AcV_s1234"] == 10_861


def test_a_calibration_is_charged_to_the_paper_that_asks_for_it():
    found = jobs(plan(unedited(), papers=["zhang2025"]), "zhang2025")
    # FGSM at six strengths: one gradient, and eight nets that answer clean clips and these, 54 validation clips in all.
    assert found["calibrate", "", "calibrate_calibrated"] == 54 * (3 + 8 * 7)


def test_what_is_ranked_counts_by_its_logits_once_for_each_file_of_cells():
    made = plan(unedited(), scale="paper", papers=["li2022"])
    found = jobs(made, "li2022")
    of = {kind: {job[1:] for job in found if job[0] == kind} for kind in ("attack", "rank")}
    unread = {job for job in of["attack"] if "float32" in job[1]}
    assert of["rank"] == {(dataset, name.replace("attack_", "rank_")) for dataset, name in of["attack"] - unread}
    # Clean, and three modalities: at four strengths by one attack, at one by seven.
    logits = made.data.split_clips("kinetics_sounds_31", "test") * 31 * ((1 + 3 * 4) + 7 * (1 + 3))
    assert found["rank", "kinetics_sounds_31", "rank_mid_fusion.on_features_s1234"] == logits
