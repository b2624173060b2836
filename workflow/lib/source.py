"""What the files of our code say: their syntax trees, what they do, and what of ours they import."""

import ast
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from avrobust.files import write_json

PACKAGE = "avrobust"

# Of a file: the digest of its content, that of what it does, and the modules of ours that it imports.
Entry = tuple[str, str, tuple[str, ...]]

# What earlier runs and this one found out, by content; and of the files that this one looked at.
_known: dict[str, Entry] = {}
_seen: dict[Path, Entry] = {}


def take_from(file: Path) -> None:
    """Take what earlier runs found out about files of the same content; what is damaged or not there is found anew.

    To parse all files and write them down takes 1.8 s of CPU time.
    """
    _known.update({entry[0]: entry for entry in _read(file).values()})


def keep_in(file: Path, root: Path) -> None:
    """Put into `file` what is known of the files below `root`, an entry each; where it cannot be, nothing is kept."""
    seen = {path.relative_to(root).as_posix(): entry for path, entry in _seen.items() if path.is_relative_to(root)}
    before = _read(file)
    if before != before | seen:
        with suppress(OSError):
            write_json(file, before | seen)


def _read(file: Path) -> dict[str, Entry]:
    try:
        told = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    entries = told.items() if isinstance(told, dict) else ()
    return {name: (one[0], one[1], tuple(one[2])) for name, one in entries if _is_entry(one)}


def _is_entry(told: object) -> bool:
    if not (isinstance(told, list) and len(told) == 3 and isinstance(told[2], list)):
        return False
    digests = all(isinstance(one, str) and re.fullmatch("[0-9a-f]{64}", one) for one in told[:2])
    return digests and all(isinstance(one, str) for one in told[2])


@cache
def _own_code() -> bytes:
    # Another Python may write the same tree otherwise.
    return sys.version.encode() + Path(__file__).read_bytes()


@cache
def _content(path: Path) -> bytes:
    # Read once: what is digested is what was parsed, whoever writes to the file in between.
    return path.read_bytes()


@cache
def code_of(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the digest of what a file does, 64 hexadecimal digits, and the modules of ours that it imports, sorted.

    These are also what it imports from them, which may be modules, too. Nothing of either if the file is not there.
    """
    if not path.is_file():
        return "", ()
    content = hashlib.sha256(_own_code() + _content(path)).hexdigest()
    if content not in _known:
        imports = _imports(tree(path))
        # unparse and not dump: a dump names the fields of this Python's own tree, which change between versions.
        does = ast.unparse(_without_docstrings(tree(path)))
        _known[content] = content, hashlib.sha256(does.encode()).hexdigest(), imports
    _seen[path] = _known[content]
    return _known[content][1:]


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file; a mistake in it ends the program with one line."""
    try:
        return ast.parse(_content(path), filename=str(path))
    except SyntaxError as error:
        # Snakemake would show an exception as one of its own.
        sys.exit(f"error: {path}, line {error.lineno}: {error.msg}")


def _imports(module: ast.Module) -> tuple[str, ...]:
    names: set[str] = set()
    for node in _statements(module):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
    return tuple(sorted(name for name in names if name.split(".")[0] == PACKAGE))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a tree's node and all statements in it; to look into their expressions too would take ten times as long."""
    yield node
    for part in ("body", "handlers", "orelse", "finalbody", "cases"):
        for inner in getattr(node, part, ()):
            yield from _statements(inner)


def _without_docstrings(module: ast.Module) -> ast.Module:
    for node in _statements(module):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:] or [ast.Pass()]
    return module
