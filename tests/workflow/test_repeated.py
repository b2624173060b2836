"""What Snakemake does once: it comes out the same, and what is to be seen is still written."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from planning import unedited
from snakemake import common, rules
from snakemake.dag import DAG
from snakemake.io import directory
from snakemake.jobs import Job
from snakemake.output_index import OutputIndex
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.settings.enums import Quietness

from lib.repeated import _looked_up_once, _unless_unseen, _where_folders_are_made, _without_parameters, asked_once


def test_snakemake_calls_what_looks_once() -> None:
    """By these names: rules.py takes the second one of them from common.py."""
    places = {"match_producers": OutputIndex, "get_function_params": common, "log_info": Job,
              "_free_resources": JobScheduler, "check_directory_outputs": DAG}  # fmt: skip
    before = [getattr(owner, name) for name, owner in places.items()]
    of_environments = Job.conda_env_spec
    assert rules.get_function_params is common.get_function_params
    with pytest.MonkeyPatch.context() as patch:
        for name, owner in {**places, "conda_env_spec": Job}.items():
            patch.setattr(owner, name, getattr(owner, name))
        patch.setattr(rules, "get_function_params", rules.get_function_params)
        asked_once.__wrapped__()
        assert [getattr(owner, name).__wrapped__ for name, owner in places.items()] == before
        assert Job.conda_env_spec.fget.__wrapped__ is of_environments.fget
        assert rules.get_function_params is common.get_function_params


def test_it_is_so_in_a_run() -> None:
    """Nothing else would show it but the time that planning takes."""
    lines = (
        "import atexit",
        "from snakemake.cli import main",
        "from snakemake.output_index import OutputIndex",
        "atexit.register(lambda: print('once' if hasattr(OutputIndex.match_producers, '__wrapped__') else 'always'))",
        "main()",
    )
    command = [sys.executable, "-c", "\n".join(lines), "-n", "--quiet", "all", "--", "paper_tables/checks.csv"]
    run = subprocess.run(command, cwd=unedited(), capture_output=True, text=True, check=False)
    assert run.stdout.splitlines()[-1] == "once", run.stderr


def test_the_rules_of_a_file_are_looked_up_once_by_each_index() -> None:
    asked = []

    def of_file(index: SimpleNamespace, file: str) -> set[str]:
        asked.append(file)
        return {f"{index.name} {file}"}

    found, (one, other) = _looked_up_once(of_file), (SimpleNamespace(name=name) for name in ("one", "other"))
    assert found(one, "a") == found(one, "a") == {"one a"} and found(one, "b") == {"one b"}
    assert found(other, "a") == {"other a"} and asked == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("dryrun", "quiet", "written"),
    [(True, {Quietness.RULES}, False), (True, {Quietness.PROGRESS}, True), (True, None, True),
     (False, {Quietness.RULES}, True)],
)  # fmt: skip
def test_a_job_is_written_unless_a_dry_run_leaves_it_out(dryrun: bool, quiet: set | None, written: bool) -> None:
    """And what it took is given back by the scheduler, which took nothing of it in a dry run."""
    found = []
    workflow = SimpleNamespace(dryrun=dryrun, output_settings=SimpleNamespace(quiet=quiet))
    job = SimpleNamespace(dag=SimpleNamespace(workflow=workflow))
    _unless_unseen(lambda job, **told: found.append(told), 0)(job, indent=True)
    _unless_unseen(lambda scheduler, job: found.append(scheduler), 1)("scheduler", job)
    assert found == ([{"indent": True}, "scheduler"] if written else [])


@pytest.mark.parametrize(("dryrun", "environment", "told"), [(True, "e.yaml", "nothing"), (True, len, "parameters"),
                                                          (False, "e.yaml", "parameters")])  # fmt: skip
def test_parameters_are_found_for_an_environment_that_goes_by_them_or_for_a_job_that_is_seen(
    dryrun: bool, environment: object, told: str
) -> None:
    """And the environment is the same."""

    def expanded(wildcards: dict, params: str = "nothing", input: tuple = ()) -> tuple:
        return params, wildcards, input

    workflow = SimpleNamespace(dryrun=dryrun, output_settings=SimpleNamespace(quiet={Quietness.RULES}))
    job = SimpleNamespace(dag=SimpleNamespace(workflow=workflow), wildcards_dict={"seed": "1"}, input=("a",))
    job.rule = SimpleNamespace(conda_env=environment, expand_conda_env=expanded)
    of_job = property(lambda job: expanded(job.wildcards_dict, "parameters", job.input))
    assert _without_parameters(of_job).fget(job) == (told, {"seed": "1"}, ("a",))


@pytest.mark.parametrize(("output", "checked"), [("made/a.csv", []), (directory("made"), ["all"])])
def test_outputs_are_compared_with_each_other_where_one_of_them_is_a_folder(output: str, checked: list) -> None:
    found, rules_of_all = [], [SimpleNamespace(output=["b.csv", output])]
    _where_folders_are_made(lambda dag: found.append("all"))(
        SimpleNamespace(workflow=SimpleNamespace(rules=rules_of_all))
    )
    assert found == checked
