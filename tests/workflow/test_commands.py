"""The commands of the rules against their programs: each is understood, and gives all that the program can be told."""

import argparse
import importlib
import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from planning import Job, copy_project, paper, replace, snakemake, unedited

# What no rule gives: what is for a user who runs a program by hand.
# Nets on features alone are attacked through what made these.
THROUGH = ("--extractor", "--extractor-weights")
BY_HAND = {
    "archive": {"--tries", "--wait"},
    "fetch": {"--rate-file"},
    "attack": {"--split", *THROUGH},
    "embed": {"--split", *THROUGH},
    "localise": {"--split", *THROUGH},
}
# What a job waits for, or counts among the reasons to run again, and its program does not read.
NOT_READ = {"train": {"availability.csv"}}


class Understood(Exception):
    """A command line was read without a mistake; carries the parser and what it found."""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> list[Job]:
    """Every job of the demo and of the papers' sizes, with what the defaults leave out.

    In the demo MUSIC is a user's own clips, and AVE's lists find files in a folder only. At the papers' sizes a list is
    fetched, and of every choice another alternative is taken.
    """
    root = copy_project(tmp_path_factory.mktemp("fetched"))
    music = root / "workflow/datasets/music.yaml"
    replace(music, "resources/tian2021/train.csv", f"{{url: 'https://a.b/c.csv', git_blob: {'0a' * 20}}}")
    replace(music, "media: music\n", "media: music\nclips: 600\n")
    table = root / "clips.csv"
    splits = ("train", "val", "test")
    rows = [f"{split}{number},x.mp4,{number % 2},{split}\n" for split in splits for number in range(16)]
    table.write_text("clip_id,path,label,split\n" + "".join(rows), encoding="utf-8")
    own = f"music: {{source: local, table: {table}, folder: /media, classes: table}}"
    files = "ave: {source: lists, folder: /ave, sources: [local]}"
    found = []
    others = {choice["name"]: choice["alternatives"][0] for choice in paper(root)["choices"] if "name" in choice}
    chosen = ("scale=paper", "audio_recipe=released", f"tian2021={json.dumps(others)}")
    for where, told in ((unedited(), [f"datasets={{{own}, {files}}}"]), (root, chosen)):
        run = snakemake(where, "-n", "-p", "--config", *told, "--", "all")
        assert run.status == 0, run.text
        found += [job for job in run.jobs if "python scripts/" in job.command]
    return found


def words(job: Job) -> list[str]:
    """Return what the job's program gets; its own name first."""
    told = shlex.split(job.command)
    return told[1 : told.index("2>")]


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the long names of all options of a program, those of its commands included."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from options(command)
        elif action.option_strings and not isinstance(action, argparse._HelpAction):
            yield action.option_strings[-1]


@pytest.fixture(scope="module")
def parsers(jobs: list[Job]) -> dict[str, argparse.ArgumentParser]:
    """The parser of each program that a rule runs, once it has understood every command."""
    parse, found = argparse.ArgumentParser.parse_args, {}

    def and_no_more(parser: argparse.ArgumentParser, *given: object) -> None:
        parse(parser, *given)
        raise Understood(parser)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", and_no_more)
        for job in jobs:
            patch.setattr("sys.argv", words(job))
            name = Path(words(job)[0]).stem
            try:
                importlib.import_module(name).main()
            except Understood as understood:
                (found[name],) = understood.args
            except SystemExit:
                pytest.fail(f"{name}.py does not understand: {job.command}")
    return found


def test_every_program_of_a_rule_is_here(parsers: dict[str, argparse.ArgumentParser]) -> None:
    assert set(parsers) == {
        "archive", "artefact", "attack", "availability", "checks", "download", "embed", "fetch", "localise",
        "manifest", "pack", "render", "search", "train",
    }  # fmt: skip


def test_every_option_of_a_program_is_given_by_a_rule(
    jobs: list[Job], parsers: dict[str, argparse.ArgumentParser]
) -> None:
    """One that a rule forgets would take its default in silence."""
    given: dict[str, set[str]] = {}
    for job in jobs:
        program, *told = words(job)
        given.setdefault(Path(program).stem, set()).update(word.partition("=")[0] for word in told)
    forgotten = {name: set(options(parser)) - given[name] for name, parser in parsers.items()}
    assert {name: some for name, some in forgotten.items() if some} == BY_HAND


def test_a_program_is_told_of_every_file_that_its_job_reads_or_writes(jobs: list[Job]) -> None:
    for job in jobs:
        told = {word.rpartition("=")[2] for word in words(job)}
        files = {path for path in (*job.input, *job.output) if Path(path).name not in NOT_READ.get(job.rule, ())}
        assert files <= told, f"{job.rule}: {sorted(files - told)}"


def test_no_file_of_another_kind_is_given_for_a_budget(jobs: list[Job]) -> None:
    """No paper here has budgets that a job makes."""
    attacking = [words(job) for job in jobs if "--budget-files" in words(job)]
    assert {Path(told[0]).name for told in attacking} == {
        "attack.py", "embed.py", "localise.py", "search.py", "train.py",
    }  # fmt: skip
    for told in attacking:
        assert told[told.index("--budget-files") + 1].startswith("--"), told
