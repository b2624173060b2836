"""A digest of the code that a job runs: of the program and of every module of ours that it reaches.

Snakemake sees a rule's command, not what the program imports. The digest is a parameter of each rule, so that a
change of the code makes anew exactly what that code makes. It is taken of the syntax tree without docstrings, so
that a comment, a docstring or a blank line changes nothing. A registry (a module named registry.py) does not count
as a whole, or adding an attack would make every cell anew: a job counts the entries that it uses.
"""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from lib.source import PACKAGE, code_of, tree

# What `digest` has returned -> the digest of each file that it was taken of, by the file's path below `scripts`.
SEEN: dict[str, dict[str, str]] = {}


def digest(scripts: Path, program: str, entries: Iterable[str] = ()) -> str:
    """Return the digest of `program` (a file in `scripts`) with the registry `entries` that it will load.

    `entries` are `package.module:attribute`. The result is 16 hexadecimal digits.
    """
    return _digest(scripts, program, tuple(sorted(entries)))


# Seeds, and jobs of which the entries are the same, have the same.
@cache
def _digest(scripts: Path, program: str, entries: tuple[str, ...]) -> str:
    files = {path.relative_to(scripts).as_posix(): code_of(path)[0] for path in closure(scripts, program, entries)}
    whole = hashlib.sha256("\n".join(entries).encode())
    for name, of_file in files.items():
        whole.update(f"\n{name} {of_file}".encode())
    SEEN[whole.hexdigest()[:16]] = files
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
        waiting += [_file_of(scripts, name) for name in code_of(path)[1]]
    return sorted(seen)


@cache
def registered(scripts: Path, part: str, table: str, name: str) -> str | None:
    """Return what `name` stands for in `table` of avrobust/`part`/registry.py, None if it is not there."""
    return _tables(scripts / PACKAGE / part / "registry.py")[table].get(name)


def registered_names(scripts: Path, part: str, table: str) -> list[str]:
    """Return the names in `table` of avrobust/`part`/registry.py, sorted."""
    return sorted(_tables(scripts / PACKAGE / part / "registry.py")[table])


@cache
def is_there(scripts: Path, entry: str) -> bool:
    """Whether what a registry names is there: a function, a class or a value."""
    return _assigned(scripts, entry) is not None or _definition(scripts, entry) is not None


def keys(scripts: Path, entry: str) -> list[str]:
    """Return the keys of the dictionary of that name, in their order."""
    made = _assigned(scripts, entry)
    return [key.value for key in made.keys if isinstance(key, ast.Constant)] if isinstance(made, ast.Dict) else []


def _assigned(scripts: Path, entry: str) -> ast.expr | None:
    """What a module gives a name, as an expression."""
    module, name = entry.split(":")
    path = _file_of(scripts, module)
    for node in tree(path).body if path else ():
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return node.value
    return None


@cache
def options(scripts: Path, entry: str) -> dict[str, tuple[str, bool]]:
    """Return what the function or class `entry` takes, its `self` left out: name -> its type, whether it is needed."""
    node = _definition(scripts, entry)
    if isinstance(node, ast.ClassDef):
        made = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
        if not made and node.decorator_list:  # a dataclass
            fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
            return {part.target.id: (ast.unparse(part.annotation), part.value is None) for part in fields}
        if not made:
            module = entry.partition(":")[0]
            bases = [options(scripts, f"{module}:{base.id}") for base in node.bases if isinstance(base, ast.Name)]
            return bases[0] if bases else {}
        node = made[0]
    if node is None:
        return {}
    types = {one.arg: one.annotation for one in (*node.args.args, *node.args.kwonlyargs)}
    return {
        name: (ast.unparse(types[name]) if types[name] else "", default is None)
        for name, default in _defaults(node.args).items()
        if name != "self"
    }


@cache
def said(scripts: Path, entry: str, name: str) -> list[object]:
    """Return what the function `entry` says of `name`, outermost first; None for what its source alone does not tell.

    That is the default of its option, and what calls in it are told by this name; `steps` come first in an `Attack`.
    """
    node, found = _definition(scripts, entry), []
    for part in ast.walk(node) if node else ():
        told = {}
        if isinstance(part, ast.FunctionDef):
            told = _defaults(part.args)
        elif isinstance(part, ast.Call):
            told = {word.arg: word.value for word in part.keywords}
            if ast.unparse(part.func) == "Attack" and part.args:
                told["steps"] = part.args[0]
        if name in told:
            found.append(_literal(told[name]))
    return found


def number(scripts: Path, entry: str, name: str) -> int | None:
    """Return the whole number that the function `entry` says of `name` first; None if it says none."""
    first = next(iter(said(scripts, entry, name)), None)
    return first if type(first) is int else None


@cache
def constant(scripts: Path, entry: str, name: str) -> object:
    """Return what the class `entry`, or else one that it is made of, says by `name = ...`; None if none says it."""
    node = _definition(scripts, entry)
    for part in getattr(node, "body", ()):
        if isinstance(part, ast.Assign | ast.AnnAssign) and part.value:
            target = part.target if isinstance(part, ast.AnnAssign) else part.targets[0]
            if ast.unparse(target) == name:
                return ast.literal_eval(part.value)
    module = entry.partition(":")[0]
    bases = [base.id for base in getattr(node, "bases", ()) if isinstance(base, ast.Name)]
    said = (constant(scripts, f"{module}:{base}", name) for base in bases)
    return next((value for value in said if value is not None), None)


def has_method(scripts: Path, entry: str, name: str) -> bool:
    """Whether the class `entry`, or one that it is made of, has a method of this name."""
    node = _definition(scripts, entry)
    if any(isinstance(part, ast.FunctionDef) and part.name == name for part in getattr(node, "body", ())):
        return True
    module = entry.partition(":")[0]
    bases = [base.id for base in getattr(node, "bases", ()) if isinstance(base, ast.Name)]
    return any(has_method(scripts, f"{module}:{base}", name) for base in bases)


def mixes_clips(scripts: Path, entry: str) -> bool:
    """Whether the attack `entry` says that clips of a batch influence each other."""
    return any(one is True for one in said(scripts, entry, "mixes_clips"))


def has_objective(scripts: Path, entry: str) -> bool:
    """Whether the attack `entry` maximises something of its own where nothing else is said; unless sure, it does."""
    node = _definition(scripts, entry)
    made = [part.value for part in ast.walk(node) if isinstance(part, ast.Return)] if node else []
    calls = [call for call in made if isinstance(call, ast.Call) and ast.unparse(call.func) == "Attack"]
    named = [word for call in calls for word in call.keywords]
    return not made or len(calls) < len(made) or any(word.arg in (None, "objective") for word in named)


def leaves(scripts: Path, entry: str) -> bool:
    """Whether the attack `entry` says that it leaves its ball or the valid range."""
    promised = (one for promise in ("keeps_ball", "keeps_range") for one in said(scripts, entry, promise))
    return any(one is False for one in promised)


def takes_no_gradient(scripts: Path, entry: str) -> bool:
    """Whether the attack `entry` says that it takes no step and is not fitted: it is noise, or another control."""
    return number(scripts, entry, "steps") == 0 and not is_fitted(scripts, entry)


def is_fitted(scripts: Path, entry: str) -> bool:
    """Whether the attack `entry` says that one perturbation for all clips is found before, by `fit=...`."""
    return bool(said(scripts, entry, "fit"))


def option_told(scripts: Path, entry: str, name: str) -> str:
    """Return the option of the function `entry` that a call in it is told by `name`; empty if there is none."""
    node = _definition(scripts, entry)
    calls = (part for part in ast.walk(node) if isinstance(part, ast.Call)) if node else ()
    told = (word.value.id for call in calls for word in call.keywords if word.arg == name and _is_name(word.value))
    return next((option for option in told if option in options(scripts, entry)), "")


def _is_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name)


def _defaults(given: ast.arguments) -> dict[str, ast.expr | None]:
    """Return the options of a function with what they are where nothing is said; None for one that must be given."""
    last = zip(given.args[::-1], given.defaults[::-1], strict=False)
    named = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    known = {one.arg: default for one, default in (*last, *named)}
    return {one.arg: known.get(one.arg) for one in (*given.args, *given.kwonlyargs)}


def _literal(node: ast.expr | None) -> object:
    try:
        return ast.literal_eval(node) if node else None
    except ValueError:
        return None


def _definition(scripts: Path, entry: str) -> ast.FunctionDef | ast.ClassDef | None:
    module, name = entry.split(":")
    path = _file_of(scripts, module)
    for node in tree(path).body if path else ():
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom) and node.module and name in (alias.name for alias in node.names):
            return _definition(scripts, f"{node.module}:{name}")
    return None


@cache
def _tables(path: Path) -> dict[str, dict[str, str]]:
    assignments = (node for node in tree(path).body if isinstance(node, ast.Assign))
    return {node.targets[0].id: ast.literal_eval(node.value) for node in assignments}


@cache
def _file_of(scripts: Path, module: str) -> Path | None:
    path = scripts.joinpath(*module.split(".")).with_suffix(".py")
    return path if path.is_file() else None
