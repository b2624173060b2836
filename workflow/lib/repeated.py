"""What Snakemake does again for every job while it plans, though it comes out the same."""

from collections.abc import Callable
from functools import cache, wraps

from snakemake import common, rules
from snakemake.dag import DAG
from snakemake.io import is_flagged
from snakemake.jobs import Job
from snakemake.output_index import OutputIndex
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.settings.enums import Quietness


@cache
def asked_once() -> None:
    """Let Snakemake look once which rules make a file and which arguments a function takes, and write no job unseen.

    By itself it does the first for each job that reads a file, the second at every call of the function, and in a dry
    run it formats the text of each job that `--quiet rules` then leaves out, finds the parameters of all, also where
    there is no result to compare them with, and gives back resources that no job has taken. It sorts the outputs of all
    jobs to find one inside another, which can only be a folder.
    """
    OutputIndex.match_producers = _looked_up_once(OutputIndex.match_producers)
    common.get_function_params = rules.get_function_params = cache(common.get_function_params)
    Job.log_info = _unless_unseen(Job.log_info, 0)
    Job.conda_env_spec = _without_parameters(Job.conda_env_spec)
    JobScheduler._free_resources = _unless_unseen(JobScheduler._free_resources, 1)
    DAG.check_directory_outputs = _where_folders_are_made(DAG.check_directory_outputs)


def _looked_up_once(of_file: Callable) -> Callable:
    @wraps(of_file)
    def match_producers(self: OutputIndex, targetfile: str) -> set[rules.Rule]:
        # Snakemake's own files are slow to compare.
        known, file = self.__dict__.setdefault("known_producers", {}), str(targetfile)
        if file not in known:
            known[file] = of_file(self, targetfile)
        return known[file]

    return match_producers


def _is_unseen(job: Job) -> bool:
    workflow = job.dag.workflow
    return workflow.dryrun and Quietness.RULES in (workflow.output_settings.quiet or ())


def _unless_unseen(done: Callable, place: int) -> Callable:
    """Do it only for jobs that are seen; the job is the argument in this place."""

    @wraps(done)
    def done_if_seen(*given: object, **more: object) -> None:
        if not _is_unseen(given[place]):
            done(*given, **more)

    return done_if_seen


def _where_folders_are_made(check: Callable) -> Callable:
    @wraps(check)
    def check_directory_outputs(self: DAG) -> None:
        if any(is_flagged(file, "directory") for rule in self.workflow.rules for file in rule.output):
            check(self)

    return check_directory_outputs


def _without_parameters(of_job: property) -> property:
    @wraps(of_job.fget)
    def conda_env_spec(self: Job) -> object:
        # Only a function would be told them.
        if _is_unseen(self) and not callable(self.rule.conda_env):
            return self.rule.expand_conda_env(self.wildcards_dict, input=self.input)
        return of_job.fget(self)

    return property(conda_env_spec)
