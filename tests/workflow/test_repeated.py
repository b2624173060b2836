"""What Snakemake does once: it comes out the same, and what is to be seen is still written."""

from types import SimpleNamespace

import pytest
from snakemake import common, rules
from snakemake.jobs import Job
from snakemake.output_index import OutputIndex
from snakemake.settings.enums import Quietness

from lib.repeated import _looked_up_once, _unless_unseen, asked_once


def test_snakemake_calls_what_looks_once() -> None:
    """By these names: rules.py takes the second one of them from common.py."""
    before = OutputIndex.match_producers, common.get_function_params, Job.log_info
    assert rules.get_function_params is common.get_function_params
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((OutputIndex, "match_producers"), (common, "get_function_params"), (Job, "log_info")):
            patch.setattr(owner, name, getattr(owner, name))
        patch.setattr(rules, "get_function_params", rules.get_function_params)
        asked_once.__wrapped__()
        after = OutputIndex.match_producers, common.get_function_params, Job.log_info
        assert [one.__wrapped__ for one in after] == [*before]
        assert rules.get_function_params is common.get_function_params


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
    found = []
    workflow = SimpleNamespace(dryrun=dryrun, output_settings=SimpleNamespace(quiet=quiet))
    job = SimpleNamespace(dag=SimpleNamespace(workflow=workflow))
    _unless_unseen(lambda job, **told: found.append(told))(job, indent=True)
    assert found == ([{"indent": True}] if written else [])
