"""Features of a dataset: which extractor a view reads, jobs of 8,000 clips, weights, mistakes before any job."""

import argparse
import json
import shlex
from pathlib import Path
from types import SimpleNamespace as Wildcards

import pytest
import yaml
from planning import copy_project, plan, replace, seen_through, snakemake, unedited

import extract
import moments
from lib.errors import SettingsError
from lib.extractors import view_taken
from lib.plan import Plan

NAMES = ("audioset", "audioset_balanced", "kinetics_sounds_31")
KINETICS = "results/weights/r2plus1d_18_kinetics400.pth"
EXTRACTORS = ("log_mel_r2plus1d", "log_mel_power", "log_mel_resnet152")


def planned(root: Path | None = None, **changes: object) -> Plan:
    return plan(root or unedited(), datasets={name: {} for name in NAMES}, **changes)


def wildcards(dataset: str, extractor: str = EXTRACTORS[0], shard: str = "0000") -> Wildcards:
    return Wildcards(dataset=dataset, extractor=extractor, shard=shard)


BALANCED = "workflow/datasets/audioset_balanced.yaml"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("extractors") / "project")


def test_packed_shards_of_8000_clips_make_one_of_features_and_none_is_left_out() -> None:
    made = planned(scale="paper")
    together = made.data.together
    assert together == 4 and planned().data.together == 16
    for name in NAMES:
        packed = made.data.packed_shards(name)
        features = made.data.shards(Wildcards(dataset=name))
        assert len(features) == -(-len(packed) // together)
        taken = [made.features.packed(wildcards(name, shard=Path(path).stem)) for path in features]
        assert [path for of in taken for path in of] == packed and {len(of) for of in taken[:-1]} <= {together}
    assert len(made.data.shards(Wildcards(dataset="audioset"))) == 261, "1,043 packed ones"
    assert made.features.parts(wildcards("kinetics_sounds_31"))[-1].endswith("log_mel_r2plus1d/0002_moments.json")


def test_features_take_a_net_and_are_no_part_of_the_data_that_are_brought_here() -> None:
    assert not any("features" in path for path in planned().targets["data"])
    assert [planned().data.moments_of(name) for name in NAMES] == [
        [f"results/demo/features/{name}/log_mel_r2plus1d/moments.json"] for name in NAMES
    ]


DESCRIBED = {"extractors": {name: {} for name in EXTRACTORS}}
OTHERWISE = {"by": "features", "usual": "log_mel_r2plus1d", "loud": "log_mel_power"}


@pytest.mark.parametrize(
    ("given", "chosen", "taken"),
    [
        ("log_mel_power", {"features": "usual"}, "log_mel_power"),
        ({"by": "features"}, {"features": "log_mel_resnet152"}, "log_mel_resnet152"),
        ({"by": "features"}, {}, "log_mel_r2plus1d"),  # no paper that has the dataset chooses: the first
        (OTHERWISE, {"features": "loud"}, "log_mel_power"),
        (OTHERWISE, {}, "log_mel_r2plus1d"),
    ],
)
def test_a_view_reads_the_extractor_that_a_paper_chooses(given: object, chosen: dict, taken: str) -> None:
    view = {"name": "features", "options": {"extractor": given}}
    made = view_taken(DESCRIBED, view, chosen, "mine.yaml")
    assert made == {"name": "features", "options": {"extractor": taken}}


@pytest.mark.parametrize(
    ("given", "chosen", "said"),
    [
        ({"by": "feature"}, {"features": "a", "other": "b"}, "by: 'feature' is none of features, other"),
        ({"by": "features"}, {"features": "densenet"}, "'densenet' is not known; `extractors` has log_mel_r2plus1d, "),
        (OTHERWISE, {"features": "quiet"}, "by: features: nothing is said for quiet; given are usual, loud"),
    ],
)
def test_a_choice_that_names_no_extractor_is_named(given: object, chosen: dict, said: str) -> None:
    view = {"name": "features", "options": {"extractor": given}}
    with pytest.raises(SettingsError) as raised:
        view_taken(DESCRIBED, view, chosen, "mine.yaml")
    assert str(raised.value).startswith(f"mine.yaml: view.options.extractor: {said}")


@pytest.mark.parametrize(("scale", "given"), [("paper", [f"visual={KINETICS}"]), ("demo", [])])
def test_published_weights_are_taken_unless_an_extractor_starts_from_nothing(scale: str, given: list[str]) -> None:
    features = planned(scale=scale).features
    for name in NAMES:
        told, files = features.told(wildcards(name)), features.weights(wildcards(name))
        assert told["weights"] == given and [f"visual={path}" for path in files] == given


def test_a_users_own_file_of_weights_is_taken(tmp_path: Path) -> None:
    (tmp_path / "w.pth").touch()
    features = planned(scale="paper", weights={"resnet152_imagenet": str(tmp_path / "w.pth")}).features
    assert features.weights(wildcards("audioset", "log_mel_resnet152")) == [str(tmp_path / "w.pth")]


def test_the_papers_features_are_those_of_its_code() -> None:
    """400 columns of 64 bands every 25 ms, 64 ms long, of the magnitude in decibels; ten windows of 16 frames."""
    features = planned(scale="paper").features
    for name in NAMES:
        told = {extractor: features.told(wildcards(name, extractor)) for extractor in EXTRACTORS}
        encoders = {extractor: json.loads(of["encoders"]) for extractor, of in told.items()}
        audio = encoders["log_mel_r2plus1d"]["audio"]["options"]
        front = {"sample_rate": 16_000, "n_fft": 4096, "window": 1024, "hop": 400, "mels": 64}
        assert audio == {"steps": 400, "front": {**front, "spectrum": "magnitude", "logarithm": "decibel"}}
        power = {**audio, "front": {**audio["front"], "spectrum": "power"}}
        assert encoders["log_mel_power"]["audio"]["options"] == power
        assert encoders["log_mel_power"]["visual"] == encoders["log_mel_r2plus1d"]["visual"]
        assert encoders["log_mel_resnet152"]["audio"]["options"] == audio
        views = {extractor: json.loads(of["view"])["options"] for extractor, of in told.items()}
        assert views["log_mel_r2plus1d"] == {"seconds": 10, "frames": 160, "frame_size": 112}
        assert views["log_mel_resnet152"] == {"seconds": 10, "frames": 10, "frame_size": 224}


MADE, VIEW = "extractors.log_mel_r2plus1d", "view.options.extractor"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda told: told.pop("extractors"), f"{VIEW}: None is not known; `extractors` has none"),
        (
            lambda told: told["view"]["options"].update(extractor="log_mel"),
            f"{VIEW}: 'log_mel' is not known; `extractors` has {', '.join(EXTRACTORS)}",
        ),
        (
            lambda told: told["extractors"]["log_mel_r2plus1d"]["visual"].update(weights="r2plus1d_34"),
            f"{MADE}.visual.weights: 'r2plus1d_34' is not known; allowed are alexnet_imagenet",
        ),
        (
            lambda told: [
                told["extractors"]["log_mel_power"].update(pretrained=False),
                told["extractors"]["log_mel_power"]["visual"].update(weights="r2plus1d_34"),
            ],
            "extractors.log_mel_power.visual.weights: 'r2plus1d_34' is not known; allowed are alexnet_imagenet",
        ),
        (
            lambda told: told["extractors"]["log_mel_r2plus1d"]["visual"].update(name="r2plus1d"),
            f"{MADE}.visual: 'r2plus1d' is not in VISUAL_ENCODERS of scripts/avrobust/models/registry.py",
        ),
        (
            lambda told: told["extractors"]["log_mel_r2plus1d"]["visual"]["options"].update(depth=34),
            f"{MADE}.visual: r2plus1d18: unknown option depth = 34; its options are frames_per_window, width",
        ),
        (
            lambda told: told["extractors"]["log_mel_r2plus1d"]["visual"]["options"].update(frames_per_window=0),
            f"{MADE}.visual: r2plus1d18: frames_per_window: 0 must be at least 1",
        ),
        (
            lambda told: told["extractors"]["log_mel_r2plus1d"].update(
                audio={
                    "name": "log_mel",
                    "options": {
                        "net": {"name": "resnet18", "options": {"widht": 0.5}},
                        "samples_per_step": 16000,
                        "front": {"sample_rate": 16000},
                    },
                }
            ),
            f"{MADE}.audio.net: resnet18: unknown option widht = 0.5; its options are width",
        ),
        (
            lambda told: told["extractors"]["log_mel_r2plus1d"]["view"].update(name="features"),
            f"{MADE}.view: 'features' is of what an extractor made; give one of clips",
        ),
        (
            lambda told: told["extractors"]["log_mel_r2plus1d"]["view"]["options"].update(frames=150),
            f"{MADE}: 150 frames (view) make no whole windows of 16 (frames_per_window)",
        ),
        (
            lambda told: told.update(frame_rate=8),
            f"{MADE}: 160 frames in 10 seconds (view) are more than the 8 a second that are stored (frame_rate)",
        ),
        (
            lambda told: told.update(audio_rate=22050),
            f"{MADE}: sample_rate 16000 of the sound is not the rate at which it is stored, 22050 (audio_rate)",
        ),
        (
            lambda told: told["extractors"]["log_mel_r2plus1d"]["audio"]["options"].update(steps=402),
            f"{MADE}: 402 steps of sound are more than the 401 that 10 seconds (view) make every 400 samples (hop)",
        ),
        (lambda told: told["extractors"]["log_mel_r2plus1d"].pop("view"), f"{MADE}: view must be given"),
        (
            lambda told: told["extractors"]["log_mel_r2plus1d"].update(fusion="sum"),
            f"{MADE}: unknown key fusion = 'sum'; allowed are audio, pretrained, view, visual",
        ),
    ],
)
def test_what_cannot_be_extracted_is_named_before_any_job(root: Path, change: object, said: str) -> None:
    told = yaml.safe_load((unedited() / BALANCED).read_text(encoding="utf-8"))
    told = json.loads(json.dumps(told))  # what was an alias is a copy
    change(told)
    (root / BALANCED).write_text(yaml.safe_dump(told, sort_keys=False), encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        plan(root, scale="paper", datasets={"audioset_balanced": {}})
    assert str(raised.value).startswith(f"{BALANCED}: {said}"), raised.value
    assert "\n" not in str(raised.value)


def test_a_misspelt_view_of_features_is_named_before_any_job(root: Path) -> None:
    text = (unedited() / BALANCED).read_text(encoding="utf-8")
    assert "name: features" in text
    (root / BALANCED).write_text(text.replace("name: features", "name: featuers"), encoding="utf-8")
    with pytest.raises(SettingsError, match=r"^view of audioset_balanced: 'featuers' is not in VIEWS of "):
        plan(root, scale="paper", datasets={"audioset_balanced": {}})


def test_a_net_that_takes_what_nothing_is_extracted_of_is_named(tmp_path: Path) -> None:
    root = copy_project(tmp_path)
    seen_through(root, "music", ["visual"])
    with pytest.raises(SettingsError) as raised:
        plan(root)
    assert str(raised.value) == (
        "workflow/papers/tian2021/variants.yaml: variants.audio: workflow/datasets/music.yaml: extractors.windows has "
        "no audio for a net that takes it"
    )


def test_a_job_tells_its_program_all_that_it_can_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = "datasets={kinetics_sounds_31: {}}"
    wanted = "results/paper/features/kinetics_sounds_31/log_mel_r2plus1d/moments.json"
    run = snakemake(unedited(), "-n", "-p", "--config", datasets, "scale=paper", "--", wanted)
    assert run.status == 0, run.text
    assert (run.counts["features"], run.counts["moments"]) == (3, 1)
    for program, rule in ((extract, "features"), (moments, "moments")):
        for job in (one for one in run.jobs if one.rule == rule):
            told = shlex.split(job.command)
            words = told[2 : told.index("2>")]
            monkeypatch.setattr("sys.argv", [rule, *words])
            given = program.arguments()
            assert isinstance(given, argparse.Namespace)
            assert {word.partition("=")[0] for word in words if word.startswith("--")} == {
                f"--{name.replace('_', '-')}" for name in vars(given)
            }
            read = {word.rpartition("=")[2] for word in words}
            assert {path for path in (*job.input, *job.output) if not path.endswith("availability.csv")} <= read
    assert {job.resources["gpu"] for job in run.jobs if job.rule == "features"} == {"1"}


def test_an_encoder_makes_its_own_features_anew_and_nothing_else(tmp_path: Path) -> None:
    root = copy_project(tmp_path)

    def codes(of: Path) -> dict[tuple[str, str], str]:
        features = planned(of, scale="paper").features
        code = features.code("extract.py", "extractor")
        return {(name, extractor): code(wildcards(name, extractor)) for name in NAMES for extractor in EXTRACTORS}

    path = root / "scripts/avrobust/models/encoders/r2plus1d18.py"
    path.write_text(f"{path.read_text(encoding='utf-8')}\nMORE = 1\n", encoding="utf-8")
    table = "AUDIO_ENCODERS = {\n"
    replace(root / "scripts/avrobust/models/registry.py", table, f'{table}    "x": "a.b:C",\n')
    before, after = codes(unedited()), codes(root)
    assert {key for key in before if before[key] != after[key]} == {
        (name, extractor) for name in NAMES for extractor in EXTRACTORS if extractor != "log_mel_resnet152"
    }
