"""A change of the code or of a setting makes anew what it shapes, and nothing else."""

import ast
from pathlib import Path

import pytest

NETS = ["audio", "concat", "film", "sum", "visual"]
AFTER_CELLS = {
    **{f"tables/tian2021/table{number}.csv": "table" for number in (1, 2)},
    **{f"tables/table{number}.csv": "stack" for number in (1, 2)},
    **{f"paper_tables/table{number}.csv": "publish" for number in (1, 2)},
    **{f"paper_tables/tian2021/table{number}.{kind}": "publish" for number in (1, 2) for kind in ("csv", "md")},
}
FIGURE = {
    "tables/tian2021/figure3.csv": "sweep",
    **{f"paper_tables/tian2021/figure3.{kind}": "publish" for kind in ("csv", "svg", "png")},
}
TABLE_1 = {name: rule for name, rule in AFTER_CELLS.items() if "table1" in name}


def nets_and_cells(names: list[str]) -> dict[str, str]:
    """Return the jobs that train and attack these nets."""
    nets = {f"models/music/{name}/s1234/model.pt": "train" for name in names}
    cells = {f"cells/music/{name}/s1234/fgsm.parquet": "attack" for name in names}
    return nets | cells | ({"cells/music/concat/s1234/mim.parquet": "attack"} if "concat" in names else {})


@pytest.mark.parametrize(
    ("module", "definition", "expected"),
    [
        # The update of MIM: its cells and what shows them. No net, no cell of FGSM, not Table 2.
        (
            "attacks/mim.py",
            "momentum_sign",
            {"cells/music/concat/s1234/mim.parquet": "attack"} | TABLE_1 | FIGURE,
        ),
        # All fusions share a module and FGSM attacks them all: every net, but no clip.
        ("models/fusions.py", "Sum", nets_and_cells(NETS) | AFTER_CELLS | FIGURE),
        # An encoder: the nets that have it. The unimodal visual net is not among them.
        (
            "models/conv1d.py",
            "Conv1d",
            nets_and_cells([name for name in NETS if name != "visual"]) | AFTER_CELLS | FIGURE,
        ),
        # How a table is computed: the tables.
        ("report/tables.py", "measure", AFTER_CELLS),
    ],
)
def test_an_edit_makes_anew_what_it_touches(finished_copy, module, definition, expected):
    """A dry run plans exactly the jobs that run the edited code, and those that follow from them."""
    finished_copy.edit_code(module, definition)
    assert finished_copy.plan() == expected


def test_another_smallest_share_makes_no_net_anew(finished_copy):
    """The share of usable clips that is asked for shapes no clip: only the check of it is made again."""
    planned = finished_copy.plan("--config", "minimum_share=0.5", "--")
    assert planned == {"data/music/availability.csv": "availability"}


def test_comments_and_docstrings_make_nothing_anew(finished_copy):
    """A comment in every module and more words in every docstring: nothing to do."""
    modules = sorted((finished_copy.root / "scripts").rglob("*.py"))
    assert sum(edit_words(path) for path in modules) > len(modules)
    assert finished_copy.plan() == {}


def edit_words(path: Path) -> int:
    """Add a comment at the end and a word to every docstring of a module; return how many docstrings there are."""
    lines = path.read_bytes().splitlines(keepends=True)
    places = []
    for node in ast.walk(ast.parse(b"".join(lines))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            text = node.body[0].value
            places.append((text.end_lineno - 1, text.end_col_offset - len('"""')))
    for number, column in places:
        line = lines[number]
        assert line[column : column + 3] == b'"""', path
        lines[number] = line[:column] + b" Edited." + line[column:]
    path.write_bytes(b"".join(lines) + b"# Edited.\n")
    return len(places)
