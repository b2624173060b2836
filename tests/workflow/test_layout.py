"""The rules that the parts keep: who knows whom, and what each rule has."""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from planning import ROOT, files, plan, unedited

from lib.jobs.analysis import Analysis

RULE_FILES = sorted((ROOT / "workflow/rules").glob("*.smk"))
PROGRAMS = sorted((ROOT / "scripts").glob("*.py"))
PACKAGE = sorted((ROOT / "scripts/avrobust").rglob("*.py"))
# What has no space and no character of the shell in any plan: numbers, registered names, digests.
BARE = {
    "threads", "params.code", "params.program", "params.minimum_share", "wildcards.scale", "wildcards.seed",
    "wildcards.shard", "wildcards.attack", "wildcards.published",
}  # fmt: skip


def rules(path: Path) -> dict[str, str]:
    """Return the text of each rule in a file that snakefmt has formatted, but of none that is made of another one.

    A rule that a loop makes is called as its `name` says.
    """
    blocks = re.split(r"^( *)((?:use )?rule ?.*):\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = {}
    for indent, head, text in zip(blocks[1::3], blocks[2::3], blocks[3::3], strict=True):
        text = re.sub(f"^{indent}", "", text, flags=re.MULTILINE)
        name = head.removeprefix("rule").strip() or re.search(r"    name:\n        (.+)\n", text)[1]
        if head.startswith("rule"):
            found[name] = text
    return found


def directives(rule: str) -> dict[str, str]:
    """Return what stands under each keyword of a rule."""
    parts = re.split(r"^    (\w+):", rule, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


# What a loop over rules fills in.
FILLED = {"kind", "suffix", "family"}
PUBLISH, LOOKED_INTO = 'f"publish{shape}"', "looked.program"
RULES = {name: text for path in RULE_FILES for name, text in rules(path).items()}
TARGETS = rules(ROOT / "Snakefile")


def test_all_rules_are_found() -> None:
    assert set(RULES) == {
        "render", "published_list", "manifest_of_lists", "manifest_of_table", "archive", "fetch", "pack",
        "availability", "features", "moments", "weights", "train", "search", "craft", "calibrate", "fit", "attack",
        LOOKED_INTO, "geometry", "rank", "checks", "kind", PUBLISH, "export", "videollama",
    }  # fmt: skip
    # One, and a loop for those that a plan names.
    assert set(TARGETS) == {"all", "name"}
    made = plan(unedited())
    assert set(made.targets) == {"data", "sensitivity", *made.settings.papers}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_has_all_that_a_rule_needs(name: str) -> None:
    has = directives(RULES[name])
    assert re.match(r'    """[A-Z].+\."""\n', RULES[name])
    assert {"output", "log", "benchmark", "conda", "shell"} <= has.keys()
    assert "retries" not in has
    # One program works with other versions than all else.
    environment = "videollama" if name == "videollama" else "environment"
    assert has["conda"].strip() == f'"../../envs/{environment}.yaml"'
    # Work of minutes says what it needs; what is done in a moment stays on the machine where Snakemake runs.
    assert ("mem_mb=" in has.get("resources", "")) != ("localrule" in has)
    if "localrule" not in has:
        assert {"mem_mb", "runtime"} <= set(re.findall(r"^        (\w+)=", has["resources"], flags=re.MULTILINE))
        assert "threads" in has


@pytest.mark.parametrize("name", RULES)
def test_inputs_outputs_and_parameters_have_names(name: str) -> None:
    has = directives(RULES[name])
    for keyword in ("input", "output", "params", "resources"):
        for line in has.get(keyword, "").splitlines():
            assert not line or re.match(r"        (\w+=| |\),$)", line), line


@pytest.mark.parametrize("name", RULES)
def test_each_result_has_its_own_log_and_benchmark(name: str) -> None:
    has = directives(RULES[name])
    wildcards = {keyword: set(re.findall(r"\{+(\w+)\}+", has[keyword])) for keyword in ("output", "log", "benchmark")}
    assert wildcards["output"] - FILLED == wildcards["log"]
    assert wildcards["log"] == wildcards["benchmark"]


@cache
def known_wildcards() -> set[str]:
    return {*plan(unedited()).wildcard_patterns}


@pytest.mark.parametrize("name", RULES)
def test_a_wildcard_stands_for_known_names_only(name: str) -> None:
    """Then a file that nobody can make has no rule, instead of one that fails."""
    has = directives(RULES[name])
    wildcards = set(re.findall(r"\{+(\w+)\}+", has["output"])) - FILLED
    constrained = set(re.findall(r"^ +(\w+)=", has.get("wildcard_constraints", ""), flags=re.MULTILINE))
    assert wildcards <= known_wildcards() | constrained


@pytest.mark.parametrize("name", RULES)
def test_free_text_is_quoted_in_the_shell(name: str) -> None:
    shell = directives(RULES[name])["shell"]
    places = re.findall(r"\{([^{}]+)\}", shell)
    assert places
    for place in places:
        assert place.endswith(":q") or place in BARE, place
    assert "2> {log:q}" in shell


@pytest.mark.parametrize("name", RULES)
def test_the_shell_names_what_the_rule_has(name: str) -> None:
    """A name that the rule lacks fails in the job, and an output that no program is told of is never made."""
    has = directives(RULES[name])
    named = {*re.findall(r"\{((?:input|output|params|resources)\.\w+)", has["shell"])}
    has_names = {
        f"{keyword}.{one}"
        for keyword in ("input", "output", "params", "resources")
        for one in re.findall(r"^        (\w+)=", has.get(keyword, ""), flags=re.MULTILINE)
    }
    assert named <= has_names
    # The export writes what its folder has by its program's own names.
    if name not in (PUBLISH, "kind", "export") and "{output:q}" not in has["shell"]:
        assert {one for one in has_names if one.startswith("output.")} <= named


# What a program calls otherwise than the rule does that runs it, by flag; `threads` are those that the rule has.
CALLED = {
    "attack_spec": {"attack"}, "threads": {"torch_threads"}, "processes": {"threads"},
    "output": {"table", "list", "kept", "availability", "weights"},
    "class_list": {"classes"}, "list": {"lists"}, "folder": {"media"}, "part_list": {"part_lists"},
    "shard_index": {"shard"}, "media_folder": {"media"}, "availability": {"report"}, "parts": {"reports"},
    "sound_clearness": {"sound"}, "picture_clearness": {"picture"},
    "files": {"output"}, "candidates_csv": {"candidates"}, "budget_files": {"budgets"},
}  # fmt: skip
# What stands in a rule under another name than that of the method that says it, by name.
ASKED = {
    "budgets": {"budget_files"}, "torch_threads": {"job_threads", "threads"}, "gpu": {"gpus"},
    "mem_mb": {"memory_mb", "job_memory_mb", "geometry_memory_mb", "asking_memory_mb"},
    "runtime": {"minutes", "job_minutes", "search_minutes", "crafting_minutes", "geometry_minutes", "asking_minutes"},
    "cells": {"checked", "read"}, "provenances": {"checked"}, "form": {"rendered_form"},
    "media": {"media_folder"}, "file": {"published"}, "dataset": {"listed"}, "classes": {"classes_of_table", "read"},
    "place": {"archive_place"}, "folder": {"fetched_folder"}, "state": {"archive_state"},
    "shards": {"shard_count", "packed"},
    "locations": {"shard_locations"}, "reports": {"shard_reports"}, "start": {"search_start"},
    "told": {"told_to_search", "told_to_craft", "told_to_export", "measured"}, "seed": {"search_seed"},
    "batch_size": {"clips_at_a_time"}, "extractor": {"extractors"},
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_a_flag_gets_what_it_is_called_after(name: str) -> None:
    """Two values exchanged would be understood by the program all the same."""
    shell = "".join(re.findall(r'^ +"(.*)"$', directives(RULES[name])["shell"], flags=re.MULTILINE))
    for flag, place in re.findall(r"--([\w-]+)[ =]\{([\w.\[\]]+)", shell):
        told = re.findall(r"\w+", place)[-1]
        assert told in {flag.replace("-", "_"), *CALLED.get(flag.replace("-", "_"), ())}, (flag, place)


@pytest.mark.parametrize("name", RULES)
def test_what_a_rule_asks_is_called_after_its_answer(name: str) -> None:
    has = directives(RULES[name])
    asked = "".join(has.get(part, "") for part in ("input", "params", "resources"))
    for key, method, word in re.findall(r'^ +(\w+)=[a-z]+\.(\w+)(?:\("(\w+)"\))?,$', asked, flags=re.MULTILINE):
        assert method in {key, "download", "read", *ASKED.get(key, ())}, (key, method)
        assert method not in ("download", "read") or word == key


@pytest.mark.parametrize("name", sorted(set(RULES) - {PUBLISH, LOOKED_INTO}))
def test_a_rule_counts_the_code_that_it_runs(name: str) -> None:
    has = directives(RULES[name])
    program = re.search(r"python scripts/(\w+\.py) ", has["shell"])[1]
    assert (ROOT / "scripts" / program).is_file()
    assert f'.code("{program}"' in has["params"]


def test_what_a_job_loads_by_name_counts_as_its_code() -> None:
    assert 'attack.code("attack.py", "variant", "attack")' in RULES["attack"]
    assert "python scripts/{params.program}.py " in RULES[LOOKED_INTO]
    assert "        program=looked.program,\n" in RULES[LOOKED_INTO]
    assert 'analysis.code(f"{looked.program}.py", "variant", "attack")' in RULES[LOOKED_INTO]
    assert 'train.code("train.py", "variant", "training")' in RULES["train"]
    assert 'train.code("search.py", "variant", "training", "search")' in RULES["search"]
    assert 'train.code("craft.py", "variant", "training")' in RULES["craft"]
    assert 'data.code("manifest.py", "protocol")' in RULES["manifest_of_lists"]
    assert 'features.code("extract.py", "extractor")' in RULES["features"]
    assert 'tables.code("artefact.py", "artefact")' in RULES["kind"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("render",) * 2, ("pack",) * 2, ("train",) * 2, ("search", "train"), ("craft", "train"), ("attack",) * 2,
     ("features", "attack"), (LOOKED_INTO, "a word of one family")],
)  # fmt: skip
def test_a_rule_asks_for_its_own_kind_of_job(name: str, kind: str) -> None:
    """Another kind's threads, minutes or conditions would be plans of their own, and wrong."""
    has = directives(RULES[name])
    asked = "".join(has.get(part, "") for part in ("input", "threads", "resources", "params"))
    assert set(re.findall(r'\.(?!code|download)\w+\("(\w+)"\)', asked)) <= {kind}
    # torch gets as many threads as Snakemake counts.
    told = re.search(r"torch_threads=(.+),", has.get("params", ""))
    assert re.fullmatch(rf"\w+\.(job_threads|threads\(\"{kind}\"\))", has["threads"].strip())
    assert not told or told[1] == has["threads"].strip()


def test_every_program_of_the_workflow_is_run_by_a_rule() -> None:
    run = {f"{looked.program}.py" for looked in Analysis.looked_into.values()}
    run |= {re.search(r"scripts/(\w+\.py)", RULES[name])[1] for name in RULES.keys() - {PUBLISH, LOOKED_INTO}}
    assert {path.name for path in PROGRAMS} - run == {"show.py", "reference.py"}


@pytest.mark.parametrize("missing", [False, True])
def test_what_is_published_is_published_together(tmp_path: Path, missing: bool) -> None:
    """Where one file cannot be copied, the old ones stay, and nothing half-made."""
    places = {"{wildcards.published}": "p/a", "{input.made:q}": "a.csv a.md", "{log:q}": "log"}
    shell = "".join(re.findall(r'^ +"(.*)"$', directives(RULES[PUBLISH])["shell"], flags=re.MULTILINE))
    for place, path in places.items():
        shell = shell.replace(place, path)
    published = tmp_path / "paper_tables/p"
    published.mkdir(parents=True)
    for name in ("a.csv",) if missing else ("a.csv", "a.md"):
        (tmp_path / name).write_text("new")
    (published / "a.csv").write_text("old")
    # As Snakemake calls it.
    ended = subprocess.run(["bash", "-c", f"set -euo pipefail; {shell}"], cwd=tmp_path)
    assert (ended.returncode != 0) == missing
    told = {path.name: path.read_text() for path in published.iterdir()}
    assert told == ({"a.csv": "old"} if missing else {"a.csv": "new", "a.md": "new"})


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_has_a_docstring_and_runs_here(name: str) -> None:
    assert re.match(r'    """[A-Z].+\."""\n', TARGETS[name])
    assert "localrule: True" in TARGETS[name]
    assert not {"output", "shell", "run"} & directives(TARGETS[name]).keys()


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.name)
def test_a_rule_file_holds_rules_only(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        known = r"(rule \w+|use rule \w+ as \w+ with|for \w+, \w+ in (tables|analysis)\.\S+|onsuccess|onerror):|# .+\."
        assert not line or line.startswith("    ") or re.fullmatch(known, line), line


def test_nothing_that_the_design_forbids_stands_in_the_workflow() -> None:
    for path in [ROOT / "Snakefile", *RULE_FILES]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\bcheckpoint\b|directory\(|retries|group:|\brun:|partition|slurm", text), path.name


def test_the_snakefile_is_short() -> None:
    assert len((ROOT / "Snakefile").read_text(encoding="utf-8").splitlines()) <= 61


def nodes(paths: Iterable[Path]) -> Iterator[tuple[str, list[ast.AST]]]:
    """Yield the name of each file with all of its syntax tree."""
    for path in paths:
        yield path.name, list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def test_the_science_knows_no_workflow() -> None:
    for file, found in nodes([*PROGRAMS, *PACKAGE]):
        for node in found:
            if isinstance(node, ast.ImportFrom):
                # The digest of the code follows absolute imports only.
                assert node.level == 0, file
                assert node.module.split(".")[0] not in ("snakemake", "lib"), file
            elif isinstance(node, ast.Import):
                assert all(alias.name.split(".")[0] not in ("snakemake", "lib") for alias in node.names), file


def test_only_a_registry_loads_by_name() -> None:
    for path in PACKAGE:
        # The digest cannot see what such a call brings in.
        found = re.search(r"import_module|__import__|runpy|exec\(", path.read_text(encoding="utf-8"))
        assert bool(found) == (path.name == "lazy.py"), path.name


# Packages that do not load all of their modules by themselves, and modules of them that they do load.
IN_PARTS, LOADED = ("matplotlib", "PIL", "pyarrow", "scipy", "sklearn"), {"pyarrow.ipc"}


def test_what_is_used_of_a_package_in_parts_is_imported() -> None:
    """Another file may have imported it in a test, and not in a program."""
    for file, found in nodes([*PROGRAMS, *PACKAGE]):
        named = [alias for node in found if isinstance(node, ast.Import) for alias in node.names]
        short = {alias.asname or alias.name: alias.name for alias in named if alias.name in IN_PARTS}
        imported = {alias.name for alias in named}
        used = [node for node in found if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
        parts = {f"{short[node.value.id]}.{node.attr}" for node in used if node.value.id in short}
        assert {part for part in parts - imported - LOADED if find_spec(part)} == set(), file


# Of a tensor these are MKL's on a CPU, which approximates them by what the processor has (docs/results.md).
OF_THE_PROCESSOR = re.compile(
    r"^(?!math\.|np\.sqrt$).*\.(_foreach_)?(sqrt|log10|log2|acos|arccos|asin|arcsin|atan|arctan)_?$|\bpow\(.*0?\.5\)"
)


def test_nothing_is_computed_by_what_differs_from_processor_to_processor() -> None:
    for file, found in nodes([*PROGRAMS, *PACKAGE]):
        used = [ast.unparse(node) for node in found if isinstance(node, ast.Attribute | ast.Call)]
        assert [name for name in used if OF_THE_PROCESSOR.search(name)] == [], file


def test_the_package_knows_no_paper_and_no_place() -> None:
    papers = "|".join(entry.parent.name for entry in (ROOT / "workflow/papers").glob("*/paper.yaml"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for file, found in nodes(PACKAGE):
        docstrings = {ast.get_docstring(node, clean=False) for node in found if isinstance(node, documented)}
        texts = {node.value for node in found if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        assert [text for text in texts - docstrings if re.search(rf"({papers})|workflow/|resources/", text)] == [], file


# What is filled, or moves on.
CHANGING = {"Budget", "Chosen", "Grid", "Reading", "Sieve"}


def test_values_do_not_change() -> None:
    """A dataclass can be shared, cached and a key, because nobody changes it."""
    for file, found in nodes([*PACKAGE, *sorted((ROOT / "workflow/lib").rglob("*.py"))]):
        classes = [node for node in found if isinstance(node, ast.ClassDef) and node.name not in CHANGING]
        for node in classes:
            for decorator in map(ast.unparse, node.decorator_list):
                assert not decorator.startswith("dataclass") or "frozen=True" in decorator, (file, node.name)


def test_packages_are_empty() -> None:
    """No digest of code has them."""
    packages = [path for path in PACKAGE if path.name == "__init__.py"]
    assert len(packages) >= 8
    assert [path for path in packages if path.read_bytes().strip()] == []


def test_a_registry_holds_tables_of_what_is_there() -> None:
    for path in (ROOT / "scripts/avrobust").rglob("registry.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Expr):
                continue
            assert isinstance(node, ast.Assign)
            for entry in ast.literal_eval(node.value).values():
                module, attribute = entry.split(":")
                source = ROOT / "scripts" / f"{module.replace('.', '/')}.py"
                assert re.search(
                    rf"^(class |def )?{attribute}\b|\b{attribute}$", source.read_text(encoding="utf-8"), re.M
                )


def test_no_path_of_a_cluster_stands_outside_its_profile() -> None:
    for name in files():
        if name.startswith(("scripts/", "workflow/")) or name in ("Snakefile", "config.yaml"):
            text = (ROOT / name).read_text(encoding="utf-8")
            # Whether a site's variables are spelled right is asked before the profile's jobs, with all else.
            known = r"sbatch|squeue" if name == "workflow/lib/surroundings.py" else r"sbatch|squeue|AVROBUST_"
            assert not re.search(known, text), name


def test_the_profile_is_found_by_its_short_name() -> None:
    assert (ROOT / "slurm").is_symlink()
    assert (ROOT / "slurm").resolve() == ROOT / "profiles/slurm"


REFERENCE = ROOT / "paper_tables/reference/demo"


@pytest.mark.parametrize("name", sorted(name for name in files() if name.endswith(".md") and "reference/" not in name))
def test_what_a_page_links_to_is_there(name: str) -> None:
    page = ROOT / name
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        place = (page.parent / link).resolve()
        # Before `make reference` has run for the first time there is nothing to link to.
        if "://" not in link and (not place.is_relative_to(REFERENCE) or (REFERENCE / "reference.json").exists()):
            assert place.exists(), link


def test_of_what_is_published_only_the_reference_is_the_projects() -> None:
    command = ["git", "ls-files", "paper_tables"]
    tracked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in tracked if not name.startswith("paper_tables/reference/")] == ["paper_tables/README.md"]


def test_a_paper_is_short() -> None:
    told = (ROOT / "workflow/papers/tian2021").glob("*.yaml")
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in told) <= 900


def test_results_are_the_users_but_for_what_says_where_they_are(tmp_path: Path) -> None:
    for name in (
        "results/README.md",
        "results/demo/README.md",
        "results/.made",
        ".snakemake/log",
        "paper_tables/a.csv",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    told = subprocess.run(
        ["git", "status", "--short", "-uall"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert [line for line in told.stdout.splitlines() if "results" in line] == ["?? results/README.md"]
    subprocess.run(["make", "clean"], cwd=tmp_path, capture_output=True, check=True)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if ".git" not in str(path)}
    assert left == {"Makefile", "results", "results/README.md", "paper_tables", "paper_tables/a.csv"}
