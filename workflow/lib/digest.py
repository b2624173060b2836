"""A digest of the code that a job runs: of the program and of every module of ours that it reaches.

Snakemake sees a rule's command, not what the program imports. The digest is a parameter of each rule, so that a
change of the code makes anew exactly what that code makes. It is taken of the syntax tree without docstrings, so
that a comment, a docstring or a blank line changes nothing. A registry (a module named registry.py) does not count
as a whole, or adding an attack would make every cell anew: a job counts the entries that it uses.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = "avrobust"


def digest(scripts: Path, program: str, entries: Iterable[str] = ()) -> str:
    """Return the digest of `program` (a file in `scripts`) with the registry `entries` that it will load.

    `entries` are `package.module:attribute`. The result is 16 hexadecimal digits.
    """
    entries = sorted(entries)
    files = closure(scripts, program, entries)
    whole = hashlib.sha256("\n".join(entries).encode())
    for path in files:
        whole.update(f"\n{path.relative_to(scripts).as_posix()} {_file_digest(path)}".encode())
    return whole.hexdigest()[:16]


def closure(scripts: Path, program: str, entries: Iterable[str] = ()) -> list[Path]:
    """Return the files that `program` reaches by its imports and by `entries`, sorted; registries left out."""
    waiting = [scripts / program]
    waiting += [_file_of(scripts, entry.split(":")[0]) for entry in entries]
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path is None or path in seen or path.name == "registry.py":
            continue
        seen.add(path)
        waiting += [_file_of(scripts, name) for name in _imports(path)]
    return sorted(seen)


def registered(scripts: Path, part: str, table: str, name: str) -> str | None:
    """Return what `name` stands for in `table` of avrobust/`part`/registry.py, None if it is not there."""
    return _tables(scripts / PACKAGE / part / "registry.py")[table].get(name)


def registered_names(scripts: Path, part: str, table: str) -> list[str]:
    """Return the names in `table` of avrobust/`part`/registry.py, sorted."""
    return sorted(_tables(scripts / PACKAGE / part / "registry.py")[table])


def attack_steps(scripts: Path, entry: str) -> int | None:
    """Return the `steps` that the attack `entry` says in its module; None if it says no number there."""
    module, name = entry.split(":")
    path = _file_of(scripts, module)
    for node in _tree(path).body if path else ():
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    return attack_steps(scripts, f"{node.module}:{alias.name}")
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name and isinstance(node.value, ast.Call):
            values = [word.value for word in node.value.keywords if word.arg == "steps"]
            if values and isinstance(values[0], ast.Constant):
                return values[0].value
    return None


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), filename=str(path))


@cache
def _tables(path: Path) -> dict[str, dict[str, str]]:
    assignments = (node for node in _tree(path).body if isinstance(node, ast.Assign))
    return {node.targets[0].id: ast.literal_eval(node.value) for node in assignments}


@cache
def _imports(path: Path) -> tuple[str, ...]:
    return tuple(name for name in _imported_names(_tree(path)) if name.split(".")[0] == PACKAGE)


def _imported_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def _file_of(scripts: Path, module: str) -> Path | None:
    path = scripts.joinpath(*module.split(".")).with_suffix(".py")
    return path if path.is_file() else None


@cache
def _file_digest(path: Path) -> str:
    # unparse and not dump: a dump names the fields of this Python's own tree, which change between versions.
    return hashlib.sha256(ast.unparse(_without_docstrings(_tree(path))).encode()).hexdigest()


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:] or [ast.Pass()]
    return tree
