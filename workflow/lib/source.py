"""What the files of our code say: their syntax trees, what they do, and what of ours they import."""

import ast
import atexit
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

PACKAGE = "avrobust"

# What is known of a file's content -> the digest of what it does and its imports, as `code_of` returns them.
_KNOWN: dict[str, list] = {}


def keep_in(file: Path) -> None:
    """Take what earlier runs found out about the same content from `file`, and put there what this one finds out.

    To read and tell all of it anew takes two seconds of every start. What cannot be read or written is done without.
    """
    with suppress(OSError, ValueError, TypeError):
        _KNOWN.update({content: [digest, [*imports]] for content, (digest, imports) in json.loads(file.read_bytes())})
    atexit.register(_write, file, len(_KNOWN))


def _write(file: Path, before: int) -> None:
    if len(_KNOWN) == before:
        return
    temporary = file.with_name(f".part-{os.getpid()}-{file.name}")
    with suppress(OSError):
        file.parent.mkdir(exist_ok=True)
        temporary.write_text(json.dumps([*_KNOWN.items()]), encoding="utf-8")
        temporary.replace(file)


@cache
def _own_code() -> bytes:
    # Another Python may write the same tree otherwise.
    return sys.version.encode() + Path(__file__).read_bytes()


@cache
def code_of(path: Path) -> tuple[str, list[str]]:
    """Return the digest of what a file does, 64 hexadecimal digits, and the modules of ours that it imports, sorted.

    These are also what it imports from them, which may be modules, too. Nothing of either if the file is not there.
    """
    if not path.is_file():
        return "", []
    content = hashlib.sha256(_own_code() + path.read_bytes()).hexdigest()
    if content not in _KNOWN:
        imports = _imports(tree(path))
        # unparse and not dump: a dump names the fields of this Python's own tree, which change between versions.
        does = ast.unparse(_without_docstrings(tree(path)))
        _KNOWN[content] = [hashlib.sha256(does.encode()).hexdigest(), imports]
    digest, imports = _KNOWN[content]
    return digest, imports


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file; a mistake in it ends the program with one line."""
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        # Snakemake would show an exception as one of its own.
        sys.exit(f"error: {path}, line {error.lineno}: {error.msg}")


def _imports(module: ast.Module) -> list[str]:
    names: set[str] = set()
    for node in _statements(module):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
    return sorted(name for name in names if name.split(".")[0] == PACKAGE)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a tree's node and all statements in it; to look into their expressions too would take ten times as long."""
    yield node
    for part in ("body", "handlers", "orelse", "finalbody", "cases"):
        for inner in getattr(node, part, ()):
            yield from _statements(inner)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in _statements(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:] or [ast.Pass()]
    return tree
