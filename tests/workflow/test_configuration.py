"""What a user writes, in files, on the command line and in variables: all of it counts, or one line says why not."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
from planning import ROOT, configuration, copy_project, files, replace, snakemake, unedited
from snakemake.resources import Resource, Resources

from lib.configuration import check_once
from lib.errors import SettingsError
from lib.jobs.analysis import Analysis
from lib.plan import Plan
from lib.settings import load_settings, paper_scale_config, read_config
from lib.surroundings import check_folder, check_variables
from lib.yaml_files import read_yaml


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2\na: 3\n", "a is given twice, in lines 1 and 3"),
        ("a: {b: {c: 1, c: 2}}\n", "a.b.c is given twice, in line 1"),
        ("a:\n  - x: 1\n    x: 1\n", "a.0.x is given twice, in lines 2 and 3"),
        ("1: a\n0x1: b\n", "0x1 is given twice, in lines 1 and 2"),
        ('a: 1\n"a": 1\n', "a is given twice, in lines 1 and 2"),
        ('{"a": 1,\n"a": 2}', "a is given twice, in lines 1 and 2"),
        ("a: [1, 2\n", "not YAML"),
        ("a: 2024-02-30\n", "not YAML"),
    ],
)
def test_a_key_that_stands_twice_is_named_with_its_lines(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "some.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=re.escape(told)) as error:
        read_yaml(tmp_path / "some.yaml")
    assert str(error.value).startswith(f"{tmp_path}/some.yaml: ")


def test_a_file_that_is_not_yaml_is_named_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "some.yaml").write_text("a: 1\n@b: 2\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"some\.yaml: not YAML: line 2: found character"):
        read_yaml(tmp_path / "some.yaml")


def test_what_a_merge_brings_may_be_given_again(tmp_path: Path) -> None:
    text = "x: &x {a: 1, b: 2}\ny: &y {<<: *x, a: 3}\nz: {<<: *y, a: 4, b: 5}\n"
    (tmp_path / "some.yaml").write_text(text, encoding="utf-8")
    assert read_yaml(tmp_path / "some.yaml") == {"x": {"a": 1, "b": 2}, "y": {"a": 3, "b": 2}, "z": {"a": 4, "b": 5}}


def test_what_an_alias_names_is_looked_at_once(tmp_path: Path) -> None:
    """Each line doubles what the one before stands for, and the last stands for itself."""
    lines = ["a0: &a0 {b: 1}", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)), "z: &z [*z]"]
    (tmp_path / "some.yaml").write_text("\n".join(lines), encoding="utf-8")
    assert read_yaml(tmp_path / "some.yaml")["a1"] == [{"b": 1}, {"b": 1}]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.yaml: cannot be read"):
        read_yaml(tmp_path / "nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes("a: é\n".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"latin\.yaml: not UTF-8 at byte 3"):
        read_yaml(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("workflow/scales/demo.yaml", "seeds: [1]\n"),
        ("workflow/datasets/music.yaml", "media: youtube\n"),
        ("workflow/papers/tian2021/claims.yaml", "claims: {}\n"),
    ],
)
def test_every_file_of_the_workflow_is_read_so(tmp_path: Path, name: str, line: str) -> None:
    root = copy_project(tmp_path)
    with (root / name).open("a", encoding="utf-8") as file:
        file.write(line)
    with pytest.raises(SettingsError, match=rf"{name}: {line.partition(':')[0]} is given twice"):
        load_settings(root, configuration(root))


def told(*words: str) -> dict:
    return read_config(unedited(), words)


def test_a_key_without_a_value_is_empty_text_or_nothing() -> None:
    """Where text is meant it is empty; else nothing, which the schema then refuses by the key's name."""
    made = told("scale=", "weights=", "device=  # a comment")
    assert (made["scale"], made["weights"], made["device"]) == ("", None, None)


def test_numbers_inside_braces_are_numbers_and_a_mapping_adds_to_the_one_of_the_file() -> None:
    before, after = told(), told("download={videos_per_hour: 100, web: {margin: 2}}")
    assert after["download"] == before["download"] | {"videos_per_hour": 100, "web": {"margin": 2}}
    assert {name: value for name, value in after.items() if name != "download"} == {
        name: value for name, value in before.items() if name != "download"
    }


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [
        ("minimum_share=.5", "minimum_share", 0.5),
        ("minimum_share=5e-1", "minimum_share", 0.5),
        ("scale=2024", "scale", "2024"),
        ("scale=2024-11-01", "scale", "2024-11-01"),
        ("scale=on", "scale", "on"),
        ("weights={resnet18_imagenet: 007}", "weights.resnet18_imagenet", "007"),
        ("papers=[tian2021, 7]", "papers", ["tian2021", "7"]),
        ("tian2021={ave_leaked: 1}", "tian2021.ave_leaked", "1"),
        ("datasets={'music': {'source': 'local', 'table': 12.csv}}", "datasets.music.table", "12.csv"),
        ("datasets={music: {lists: {train: 12}}}", "datasets.music.lists.train", "12"),
        ("datasets={music: {sources: [local]}}", "datasets.music.sources", ["local"]),
        ("download={web: {extractor_arguments: {youtube: {n: 3}}}}", "download.web.extractor_arguments.youtube.n", 3),
        ("download={connections: 1e3}", "download.connections", "1e3"),
    ],
)
def test_a_word_is_a_number_or_text_as_its_place_wants(word: str, key: str, value: object) -> None:
    found = told(word)
    for name in key.split("."):
        found = found[name]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["scale=demo", "scale=paper"], ("scale", "scale=demo", "scale=paper")),
        (["download={keep_free_gb: 1}", "download={keep_free_gb: 2}"], ("download.keep_free_gb",)),
        (["download={keep_free_gb: 1, keep_free_gb: 2}"], ("keep_free_gb is given twice",)),
        (["demo"], ("'demo' is no key=value",)),
        (["datasets={music: {source: local"], ("datasets={music", "not YAML")),
    ],
)
def test_a_word_that_cannot_count_is_an_error(words: list[str], parts: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError) as error:
        told(*words)
    for part in parts:
        assert part in str(error.value)


def test_words_of_different_keys_of_one_mapping_add_up() -> None:
    assert told("download={keep_free_gb: 1}", "download={connections: 2}")["download"]["keep_free_gb"] == 1


def test_further_files_win_over_config_and_words_over_them(tmp_path: Path) -> None:
    root = copy_project(tmp_path / "project")
    (tmp_path / "mine.yaml").write_text("scale: paper\ndevice: cpu\ntian2021: {epsilon: printed}\n", encoding="utf-8")
    (tmp_path / "late.json").write_text('{"device": "cuda"}', encoding="utf-8")
    made = read_config(unedited(), ["scale=demo"], [tmp_path / "mine.yaml", tmp_path / "late.json"])
    assert (made["scale"], made["device"], made["minimum_share"]) == ("demo", "cuda", 0.7)
    assert made["tian2021"] == told()["tian2021"] | {"epsilon": "printed"}
    replace(root / "config.yaml", "scale: demo", "scale: paper")
    assert read_config(root, [], [tmp_path / "late.json"], alone=True) == told() | {"device": "cuda", "scale": "demo"}
    (tmp_path / "list.yaml").write_text("[scale, demo]\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"list\.yaml: must hold keys"):
        read_config(unedited(), [], [tmp_path / "list.yaml"])


def test_the_plans_take_the_paper_scale_unless_another_is_named() -> None:
    assert [paper_scale_config(unedited(), words)["scale"] for words in ([], ["scale=demo"])] == ["paper", "demo"]


@pytest.mark.parametrize(
    "words",
    [
        ["--config", "scale=demo", "-n", "--config", "device=cpu"],
        ["-C", "scale=demo", "--config=device=cpu", "all"],
        ["-Cscale=demo", "-C", "device=cpu"],
        ["--configfile", "a.yaml", "--configfiles", "b.yaml"],
    ],
)
def test_an_option_of_which_only_the_last_would_count_is_refused(words: list[str]) -> None:
    with pytest.raises(SettingsError, match="is given 2 times"):
        check_once(words)


def test_options_that_are_given_once_pass() -> None:
    check_once(["--configfile", "a.yaml", "--config", "scale=demo", "device=cpu", "--", "--config", "--config"])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("AVROBUST_SLURM_ACOUNT", "lab", "did you mean AVROBUST_SLURM_ACCOUNT?"),
        ("AVROBUST_SEED", "1", "known are AVROBUST_SLURM_ACCOUNT, AVROBUST_SLURM_GPU_TYPE"),
        ("AVROBUST_SLURM_JOBS", "many", "'many' is no whole number above 0"),
        ("AVROBUST_SLURM_POLL", "0", "'0' is no whole number above 0"),
    ],
)
def test_a_variable_that_cannot_count_is_an_error(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)) as error:
        check_variables({"HOME": "/root", name: value})
    assert name in str(error.value)


def test_every_variable_that_the_profile_reads_is_known_and_documented() -> None:
    profile = (ROOT / "profiles/slurm/profile.yaml").read_text(encoding="utf-8")
    read = set(re.findall(r"AVROBUST_\w+", profile))
    assert len(read) == 5
    check_variables(dict.fromkeys(read, "7"))
    assert read <= set(re.findall(r"AVROBUST_\w+", (ROOT / "docs/slurm.md").read_text(encoding="utf-8")))


def test_a_file_of_partitions_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(unedited())
    check_variables({"AVROBUST_SLURM_PARTITIONS": "partitions.example.yaml"})
    (tmp_path / "site.yaml").write_text("partitions:\n  cpu: {max_gpu: 0}\n  cpu: {max_gpu: 1}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"partitions\.cpu is given twice, in lines 2 and 3"):
        check_variables({"AVROBUST_SLURM_PARTITIONS": f"{tmp_path}/site.yaml"})
    (tmp_path / "site.yaml").write_text("", encoding="utf-8")
    with pytest.raises(SettingsError, match="names no partition"):
        check_variables({"AVROBUST_SLURM_PARTITIONS": f"{tmp_path}/site.yaml"})


def test_what_is_started_in_is_looked_at_before_anything_else(tmp_path: Path) -> None:
    """By the Snakefile: the folder, the variables, a second --config."""
    root, snakefile = unedited(), str(unedited() / "Snakefile")
    runs = {
        "AVROBUST_SLURM_ACOUNT is not known": snakemake(root, "-n", "all", AVROBUST_SLURM_ACOUNT="lab"),
        "--config is given 2 times": snakemake(root, "--config", "scale=demo", "--config", "device=cpu", "-n"),
        f"cannot work in {tmp_path}": snakemake(tmp_path, "-n", "-s", snakefile, "all"),
    }
    for told, run in runs.items():
        assert run.status != 0 and run.jobs == [] and "Traceback" not in run.text
        assert [told in line for line in run.errors] == [True], run.text


def test_only_the_workflows_own_folder_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=re.escape(f"`cd {ROOT}` first")):
        check_folder(ROOT)
    (tmp_path / "link").symlink_to(unedited())
    monkeypatch.chdir(tmp_path / "link")
    check_folder(unedited())


@pytest.mark.parametrize(
    "account", ["2024-11", "12-34", "4090", "1e3", "threads", "abs", "None", "it's", '"q"', "$HOME", "~", "?os", "{a}"]
)
def test_a_sites_names_are_names_and_no_python(arguments: Callable[..., SimpleNamespace], account: str) -> None:
    variables = {"AVROBUST_SLURM_ACCOUNT": account, "AVROBUST_SLURM_GPU_TYPE": account}
    given = arguments("--profile", "slurm", "all", **variables)
    for asked in (given.default_resources["slurm_account"], given.set_resources["train"]["gpu_model"]):
        assert value(asked) == account
        # So it is passed on to the Snakemake of a job.
        assert value(Resources.parse([f"it={asked.raw}"], allow_expressions=True)["it"]) == account


def test_every_job_that_asks_for_a_gpu_asks_for_a_sites_type(arguments: Callable[..., SimpleNamespace]) -> None:
    looked = [one.program for one in Analysis.looked_into.values()]
    asking = set()
    for text in RULES:
        for rule in re.split(r"^(?: *)(?=rule\b)", text, flags=re.MULTILINE):
            if re.search(r"^ +gpu=", rule, re.MULTILINE):
                name = re.match(r"rule (\w+):", rule)
                asking |= {name[1]} if name else {*looked}
    given = arguments("--profile", "slurm", "all", AVROBUST_SLURM_GPU_TYPE="h200")
    assert asking == given.set_resources.keys() and len(asking) == 12


def value(resource: Resource) -> object:
    """What Snakemake makes of a resource in a job."""
    of_job = {"input": [], "attempt": 1, "rulename": "train", "threads": 3, "async_run": None}
    return resource.evaluate({}, **of_job).value if resource.is_evaluable() else resource.value


COMMAND = re.compile(r"(?:^|`|time )((?:snakemake|python workflow/\w+\.py)(?: [^`\n]*)?)(?:`|$)", flags=re.MULTILINE)


def shown() -> dict[str, list[str]]:
    """The words of every command of Snakemake's and of make plan's programs that a file for readers shows."""
    # docs/benchmarks.md says what was run here once, with what was edited for it.
    apart = ("tests/", "docs/benchmarks.md")
    readers = [name for name in files() if name.endswith((".md", ".yaml", ".py")) and not name.startswith(apart)]
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in readers}
    return {
        f"{name}: {command.strip()}": shlex.split(command, comments=True)
        for name, text in texts.items()
        for command in COMMAND.findall(text)
    }


@pytest.fixture(scope="module")
def with_scale(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with the scale `mine`, which the documents take for an example."""
    root = copy_project(tmp_path_factory.mktemp("project"))
    shutil.copy(root / "workflow/scales/paper.yaml", root / "workflow/scales/mine.yaml")
    return root


def test_the_commands_are_found() -> None:
    commands = list(shown().values())
    assert ["snakemake", "--config", "scale=paper", "--", "all"] in commands
    assert ["python", "workflow/compute_plan.py", "scale=demo"] in commands
    assert len(commands) > 30


@cache
def planned(root: Path, config: str) -> Plan:
    """Return the plan of a configuration, given as JSON; most commands have the same."""
    return Plan.load(root, json.loads(config))


@pytest.mark.parametrize("command", [name for name, words in shown().items() if "--help" not in words])
def test_a_command_that_is_shown_is_understood_as_it_is_meant(
    command: str, with_scale: Path, arguments: Callable[..., SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options of Snakemake's that take several words swallow a target; what is left must be one that is there."""
    program, *words = shown()[command]
    monkeypatch.chdir(with_scale)
    if program == "python":
        assert (ROOT / words[0]).is_file()
        planned(with_scale, json.dumps(paper_scale_config(with_scale, words[1:])))
        return
    given = arguments(*words)
    plan = planned(with_scale, json.dumps(read_config(with_scale, given.config or (), given.configfile)))
    rules = set(re.findall(r"^(?:use )?rule (?:\w+ as )?(\w+)", "\n".join(RULES), flags=re.MULTILINE))
    assert {*(given.forcerun or ())} <= rules
    for target in given.targets or ():
        files = {*plan.tables.targets(plan.settings.papers), *plan.tables.sensitivity, *plan.data.targets}
        assert target in rules or target in plan.targets or target in files, target


RULES = [(ROOT / name).read_text(encoding="utf-8") for name in files() if name == "Snakefile" or name.endswith(".smk")]


def test_every_target_of_make_that_is_shown_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for name in files():
        if name.endswith(".md"):
            text = (ROOT / name).read_text(encoding="utf-8")
            assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, flags=re.MULTILINE)) <= targets, name
