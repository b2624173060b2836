"""docs/extending.md as a reader types it: under each heading, files to make, and lines to add to others."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

PAGE = Path(__file__).parents[2] / "docs/extending.md"
HEADING = re.compile(r"^##+ (.+)$", re.MULTILINE)
# Where a block belongs stands right above it; every block has such a line.
BLOCK = re.compile(
    r"^In (?:the new file )?`(?P<file>[^`\n]+)`(?:, under `(?P<under>[^`\n]+)`)?:\n\n```\w+\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)

# The page's additions, by heading: each is one new file and one line of a registry, or two of each.
ADDITIONS = {
    "An attack": (["attacks/mine.py"], ["attacks"]),
    "What the net learns from": (["training/prepare/noise.py"], ["training"]),
    "The training loss": (["objectives/small_features.py"], ["objectives"]),
    "What features pass": (["defences/shortened.py"], ["defences"]),
    "An encoder": (["models/encoders/loudness.py"], ["models"]),
    "A fusion": (["models/fusions/largest.py"], ["models"]),
    "A head": (["models/heads/two_layers.py"], ["models"]),
    "A net of these": ([], []),
    "A view": (["views/beginning.py"], ["views"]),
    "An extractor": (["models/encoders/colours.py"], ["models"]),
    "A dataset": (["data/protocols/one_list.py"], ["data/protocols"]),
    "A kind of table or figure": (["spec/artefacts/counts.py", "report/counts.py"], ["spec", "report"]),
}
# Beside these only data: of a paper, a scale, a dataset with its list.
ARTEFACTS, VARIANTS = "workflow/papers/tian2021/artefacts.yaml", "workflow/papers/tian2021/variants.yaml"
DATA = {
    "An attack": [ARTEFACTS],
    "What the net learns from": [ARTEFACTS, VARIANTS],
    "The training loss": [ARTEFACTS, VARIANTS],
    "What features pass": [ARTEFACTS, VARIANTS],
    "A net of these": [ARTEFACTS, VARIANTS],
    "An extractor": ["workflow/datasets/kinetics_sounds_31.yaml"],
    "A dataset": [
        ARTEFACTS, VARIANTS, "workflow/papers/tian2021/paper.yaml", "workflow/scales/demo.yaml",
        "workflow/datasets/bells.yaml", "resources/bells/clips.csv",
    ],
    "A kind of table or figure": [ARTEFACTS],
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A fenced block: the whole of a new file, or lines `under` a place of one that is there."""

    file: str
    under: str | None
    text: str


def sections() -> dict[str, list[Block]]:
    """Return heading -> its blocks; AssertionError for a block that does not say where it belongs."""
    parts = HEADING.split(PAGE.read_text(encoding="utf-8"))
    found = {}
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        found[heading] = [Block(**block.groupdict()) for block in BLOCK.finditer(text)]
        assert 2 * len(found[heading]) == len(re.findall("^```", text, re.MULTILINE)), f"{heading}: a block of no file"
    return found


def type_in(root: Path, block: Block) -> None:
    """Make the file of a block below `root`, or add its lines where it says."""
    path = root / block.file
    if block.under is None:
        assert not path.exists(), f"{block.file} is there already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
        return
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        table = f"\n{block.under} = {{\n"
        assert text.count(table) == 1, f"{block.file} has no {block.under}"
        path.write_text(text.replace(table, f"{table}    {block.text}"), encoding="utf-8")
    else:
        path.write_text(_added(text, block), encoding="utf-8")


def _added(text: str, block: Block) -> str:
    """Return a YAML text with a block's lines as the last ones of a mapping or list."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for name in block.under.split("."):
        node = next(value for key, value in node.value if key.value == name)
    if node.flow_style:
        more = re.sub(r" +#.*$", "", block.text.removeprefix("- "), flags=re.MULTILINE).strip().replace("\n", ", ")
        end = node.end_mark.index - 1
        return f"{text[:end]}, {more}{text[end:]}"
    lines, column = text.splitlines(keepends=True), next(_keys(node)).start_mark.column
    if isinstance(node, yaml.SequenceNode):
        column -= 2
    after = _last_line(node)
    lines[after + 1 : after + 1] = [f"{' ' * column}{line}\n" for line in block.text.splitlines()]
    return "".join(lines)


def _keys(node: yaml.Node) -> Iterator[yaml.Node]:
    return (part if isinstance(node, yaml.SequenceNode) else part[0] for part in node.value)


def _last_line(node: yaml.Node) -> int:
    """Return the number of the last line of a block, from 0; its own end is where the next thing begins."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        return node.end_mark.line
    key, value = (node.value[-1],) * 2 if isinstance(node, yaml.SequenceNode) else node.value[-1]
    # An alias is the node of its anchor, further up.
    return key.end_mark.line if value.start_mark.index < key.start_mark.index else _last_line(value)
