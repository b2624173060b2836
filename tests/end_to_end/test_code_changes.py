"""A change of the code or of a setting makes anew what it shapes, and nothing else."""

import ast
from pathlib import Path

import pytest

# The first of the files that each artefact is; and whether those of all papers stand in one file.
KINDS = {
    "table": (("table1", "table2", "table3", "controls"), ".csv", True),
    "localisation": (("localisation",), ".csv", True),
    "claims": (("claims",), ".csv", True),
    "realisable": (("realisable",), ".csv", True),
    "sweep": (("figure3",), ".svg", False),
    "heat_maps": (("figure1",), ".svg", False),
    "tsne": (("figure5",), "_measures.csv", False),
}
CELLS = {
    "audio": ("fgsm", "mim"),
    "visual": ("fgsm", "mim"),
    "concat": ("fgsm", "mim", "mim_float32", "random_sign"),
    "sum": ("fgsm",),
    "film": ("fgsm",),
    "pcl": ("fgsm", "fgsm_ce"),
    "minsim": (),
    "minsim_exfmem": ("fgsm", "fgsm_ce", "fgsm_bypass"),
    "planted_masking": ("fgsm",),
}
EMBEDDED = ("concat", "minsim")


def shown(*artefacts: str) -> dict[str, str]:
    """Return the jobs that make, stack and publish these artefacts."""
    jobs = {}
    for rule, (names, suffix, stacked) in KINDS.items():
        for name in set(names) & set(artefacts):
            jobs |= {f"tables/tian2021/{name}{suffix}": rule, f"paper_tables/tian2021/{name}{suffix}": "publish"}
            if stacked:
                jobs |= {f"tables/{name}.csv": "stack", f"paper_tables/{name}.csv": "publish"}
    return jobs


def attacked(attack: str) -> dict[str, str]:
    """Return the cells of one attack."""
    of_it = [f"{name}.{one}" for name in CELLS for one in CELLS[name] if one.removesuffix("_float32") == attack]
    return {f"cells/music/s1234/{cell}.parquet": "attack" for cell in of_it}


def trained(*names: str) -> dict[str, str]:
    """Return the jobs that train these nets, attack them, search for them and embed clips with them."""
    jobs = {f"models/music/{name}/s1234/model.pt": "train" for name in names}
    jobs |= {f"cells/music/s1234/{name}.{attack}.parquet": "attack" for name in names for attack in CELLS[name]}
    jobs |= {f"embeddings/music/{name}/s1234/fgsm.scores.parquet": "embed" for name in names if name in EMBEDDED}
    return jobs | ({"models/music/pcl/search.json": "search"} if "pcl" in names else {})


def localised(*attacks: str) -> dict[str, str]:
    """Return the jobs that look where the localisation net looks."""
    return {f"localisation/music/localisation/s1234/{attack}.parquet": "localise" for attack in attacks}


LOCALISATION_NET = {"models/music/localisation/s1234/model.pt": "train"} | localised("fgsm", "mim", "random_sign")
# What compares cells reads them all.
CHECKED = {"tables/checks.csv": "checks", "paper_tables/checks.csv": "publish"}
# The cell that the net with a memory and the control of the checks answer, too.
TRANSFERRED = {"cells/music/s1234/concat.fgsm.parquet": "attack"}
OF_CELLS = ("table1", "table2", "table3", "controls", "figure3", "claims", "realisable")
OF_MAPS = ("figure1", "localisation", "claims")


@pytest.mark.parametrize(
    ("module", "definition", "expected"),
    [
        # MIM: its cells and what shows them. No net, no cell of FGSM, not Tables 2 and 3.
        (
            "attacks/mim.py",
            "mim",
            attacked("mim")
            | localised("mim")
            | CHECKED
            | shown("table1", "figure3", "figure1", "localisation", "realisable"),
        ),
        # A fusion: its one net, and what shows that.
        ("models/fusions/film.py", "FiLM", trained("film") | CHECKED | shown("table2", "realisable")),
        # What every net goes through: every net, and no clip.
        (
            "models/late_fusion.py",
            "LateFusion",
            trained(*CELLS) | LOCALISATION_NET | CHECKED | shown(*OF_CELLS, *OF_MAPS, "figure5"),
        ),
        # An encoder: the nets that have it. The unimodal visual net is not among them.
        (
            "models/encoders/conv1d.py",
            "Conv1d",
            trained(*(name for name in CELLS if name != "visual"))
            | LOCALISATION_NET
            | CHECKED
            | shown(*OF_CELLS, *OF_MAPS, "figure5"),
        ),
        # The sparse coding: the nets with a memory, the cells that they answer, and what shows these.
        ("defences/ista.py", "safe_step", trained("minsim_exfmem") | TRANSFERRED | CHECKED | shown(*OF_CELLS)),
        # An objective: the nets trained with it, those that go on from them, and what shows them.
        (
            "objectives/min_similarity.py",
            "MinSimilarity",
            trained("minsim", "minsim_exfmem") | TRANSFERRED | CHECKED | shown(*OF_CELLS, "figure5"),
        ),
        # How a kind of artefact is computed, and how its layout is read: those of that kind.
        ("report/table.py", "measure", shown("table1", "table2", "table3", "controls")),
        ("spec/artefacts/tsne.py", "needs", shown("figure5")),
    ],
)
def test_an_edit_makes_anew_what_it_touches(finished_copy, module, definition, expected):
    """A dry run plans exactly the jobs that run the edited code, and those that follow from them."""
    finished_copy.edit_code(module, definition)
    assert finished_copy.plan() == expected


def test_another_smallest_share_makes_no_net_anew(finished_copy):
    """The share of usable clips that is asked for shapes no clip: only its check and the counts are made again."""
    planned = finished_copy.plan("--config", "minimum_share=0.5", "--")
    assert planned == {
        "data/music/availability.csv": "availability",
        "tables/availability.csv": "attrition",
        "paper_tables/availability.csv": "publish",
    }


def test_what_shapes_no_result_makes_nothing_anew(finished_copy):
    """Another device, here without a GPU, and another number of clips that are attacked at a time."""
    finished_copy.edit_yaml("workflow/scales/tiny.yaml", lambda scale: scale.update(attack_batch_size=9))
    assert finished_copy.plan("--config", "device=cuda_or_cpu", "--") == {}


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
