"""config.yaml, the scale and the dataset and paper files, merged and checked before any job starts."""

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial, reduce
from operator import getitem
from pathlib import Path
from types import MappingProxyType

import jsonschema

from avrobust.spec import notation
from lib import choices
from lib.configuration import configuration, said, said_by
from lib.errors import SettingsError, UnsaidError
from lib.extractors import named_weights, view_taken
from lib.overlay import overlaid
from lib.own_clips import LOCAL, Own, in_its_place, labels, own_datasets
from lib.videollama import KIND, lacking
from lib.yaml_files import read_yaml

# What a scale says of every dataset whose file does not say it.
SIZES = ("audio_rate", "frame_rate", "short_side", "minimum_frames")

# What is said of a dataset in config.yaml, and the sources with which it has an effect.
NEEDED = {
    ("table", "classes", "name"): ("local",),
    ("sources", "lists", "archive", "options"): ("lists",),
    ("folder",): ("lists", "local"),
}

# The files of a paper, each with its sections; together they are the paper.
PAPER_FILES = {
    "paper": ("citation", "datasets", "window", "evaluation", "search", "float32", "unbounded", "coded", "files"),
    "variants": ("lists", "factors", "variants", "ensembles", "training", "parts", "pretrained"),
    "attacks": ("budgets", "calibrations", "attacks"),
    "artefacts": ("labels", "artefacts"),
    "claims": ("twins", "claims"),
    "choices": ("choices",),
    "sensitivity": ("sensitivity",),
}
# Those that not every paper has.
MAY_LACK = ("sensitivity",)

# Sections of which the factors of a paper make several out of one.
MADE_BY_FACTORS = ("variants", "ensembles", "attacks")

# What the file of a dataset must say for its clips to come from published lists.
OF_LISTS = ("protocol", "lists", "media", "sources", "megabytes_per_video")

# What a value must be by the keyword of a schema that refuses it.
MUST_BE = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most", "type": "of type"}
MUST_BE["exclusiveMaximum"] = "less than"

_TYPES = jsonschema.Draft202012Validator.TYPE_CHECKER
# YAML has .nan, which no bound refuses and no comparison is true of, and .inf.
# 2.0 is an integer to a schema, but not to the command line of a program.
STRICT = _TYPES.redefine_many(
    {
        "number": lambda _, value: _TYPES.is_type(value, "number") and abs(value) < math.inf,
        "integer": lambda _, value: type(value) is int,
    }
)
VALIDATOR = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=STRICT)


@dataclass(frozen=True)
class Settings:
    """Everything that the workflow is told: `config` (config.yaml and --config), `scale`, `datasets`, `papers`.

    `told`: paper -> its own files' sections, whatever the scale lays over them. `chosen`: paper -> choice -> the
    alternative that is taken. `weights`: name -> address and digest of the published
    weights that a paper's encoders may start from. `unasked`: why VideoLLaMA2 cannot be asked; nothing where it can.
    """

    root: Path
    config: Mapping
    scale: Mapping
    datasets: Mapping[str, Mapping]
    papers: Mapping[str, Mapping]
    told: Mapping[str, Mapping]
    chosen: Mapping[str, Mapping[str, str]]
    weights: Mapping[str, Mapping[str, str]]
    unasked: str

    @property
    def scale_name(self) -> str:
        """The name of the scale, which is part of every path of a result."""
        return self.config["scale"]

    @cached_property
    def scripts(self) -> Path:
        """The folder of the programs."""
        return self.root / "scripts"

    def own_names(self, datasets: Iterable[str]) -> dict[str, str]:
        """What those of these datasets are called that are the user's own."""
        return {name: self.datasets[name]["shown"] for name in datasets if "shown" in self.datasets[name]}

    @cached_property
    def own(self) -> Callable[[str, str], Mapping]:
        """Of (paper, section): what the paper's own files say; of one that is not made, what factors may make."""
        told, unmade = self.told, cache(partial(made_by_factors, self.root))
        return lambda paper, section: (told[paper] if paper in told else unmade(paper))[section]

    @cached_property
    def taken(self) -> Callable[..., Mapping]:
        """Of (paper, dataset, section, *part): what is said there, with every choice taken; empty if nothing is.

        All who ask get the same mapping, which nobody changes. It raises UnsaidError where something of it goes by
        dataset, and nothing is said for this one.
        """
        return cache(partial(_taken, self.papers, self.chosen))


def _taken(
    papers: Mapping[str, Mapping], chosen: Mapping[str, Mapping], paper: str, dataset: str, section: str, *part: str
) -> Mapping:
    value = reduce(getitem, part, papers[paper].get(section, {}))
    try:
        return choices.resolve(value, chosen[paper], dataset)
    except UnsaidError as error:
        raise UnsaidError(f"{'.'.join([place_of(paper, section), *part])}: {error}") from None


def load_settings(
    root: Path, config: Mapping, laid: Sequence[tuple[str, Mapping]] | None = None, *, conda: bool = False
) -> Settings:
    """Read and check all files below `root` that `config` asks for.

    `laid`: the layers of the scale whose papers and datasets count, if these are not all that its files say. `conda`:
    whether Snakemake makes the environments of its rules.

    Raises:
        SettingsError: anything unknown, missing or out of its range.
    """
    schemas = root / "workflow/schemas"
    known = {kind: names(root / "workflow" / kind) for kind in ("scales", "datasets")}
    known["papers"] = paper_names(root)
    sections = {name: {"type": "object"} for name in known["papers"]}
    check(config, schemas / "config.json", lambda path: said_by(config, path), sections)
    known_name(config["scale"], known["scales"], said(config, "scale"))
    layers = layers_of(root, config["scale"])
    scale, layers = _scale(root, layers, known), layers if laid is None else laid
    for name in config["datasets"]:
        known_name(name, known["datasets"], said(config, "datasets"))
    weights = read_yaml(root / "workflow/weights.yaml")
    check(weights, schemas / "weights.json", "workflow/weights.yaml")
    for name, path in config["weights"].items():
        known_name(name, sorted(weights), said(config, "weights"))
        if not (root / path).is_file():
            raise SettingsError(f"{said(config, 'weights', name)}: {path!r} is no file")
    papers, told, chosen = {}, {}, {}
    own, unasked = own_datasets(config, scale["source"]), lacking(config, conda=conda)
    for name in config["papers"]:
        known_name(name, known["papers"], said(config, "papers"))
        papers[name], told[name] = _paper(root, name, _of_layers(layers, "papers", name), own, bool(unasked))
        chosen[name] = choices.chosen(papers[name], config.get(name, {}), partial(said, config, name))
        for variant, facts in papers[name]["variants"].items():
            for part, given in facts.items():
                if isinstance(given, Mapping) and "weights" in given:
                    where = f"workflow/papers/{name}/variants.yaml: variants.{variant}.{part}.weights"
                    known_name(given["weights"], sorted(weights), where)
    datasets = {}
    of_papers = {name: paper for paper, facts in reversed(papers.items()) for name in facts["datasets"]}
    for name, paper in of_papers.items():
        known_name(name, known["datasets"], place_of(paper, "datasets"))
    for name in sorted({*of_papers, *config["datasets"]}):
        facts = read_yaml(root / f"workflow/datasets/{name}.yaml")
        check(facts, schemas / "dataset.json", f"workflow/datasets/{name}.yaml")
        rendered_in = f"workflow/datasets/{name}.yaml: rendered"
        for place, over in _of_layers(layers, "datasets", name):
            facts = overlaid(_without_parents(facts, over), over)
            check(facts, schemas / "dataset.json", place)
            rendered_in = f"{place}.rendered" if "rendered" in over else rendered_in
        taken = chosen.get(of_papers.get(name), {})
        where = said(config, "datasets", name)
        datasets[name] = _dataset(name, facts, config["datasets"].get(name, {}), scale, taken, where)
        datasets[name]["rendered_in"] = rendered_in
        datasets[name]["clips_are"] = _clips_are(datasets[name], known["datasets"], f"workflow/datasets/{name}.yaml")
        for extractor, described in facts.get("extractors", {}).items():
            for modality, of in named_weights(described).items():
                where = f"workflow/datasets/{name}.yaml: extractors.{extractor}.{modality}.weights"
                known_name(of, sorted(weights), where)
        if datasets[name]["source"] == LOCAL:
            datasets[name] |= {"shown": own[name].name, "own_classes": own[name].classes}
    _check_shown(config, datasets, papers)
    return Settings(root, config, scale, datasets, papers, told, chosen, weights, unasked)


def read_config(root: Path, words: Sequence[str], more: Sequence[Path] = (), *, alone: bool = False) -> dict:
    """Return config.yaml, changed by the files `more` and by `words` of the form key=value, as `--config` takes them.

    `alone`: the files `more` stand in the place of config.yaml. Not checked: see `load_settings`.

    Raises:
        SettingsError: a file cannot be read, a word is none of that form, or something is said twice.
    """
    schema = json.loads((root / "workflow/schemas/config.json").read_text(encoding="utf-8"))
    # A choice's value is one of some names.
    texts = {"additionalProperties": {"type": "string"}, "default": {}}
    schema["properties"] |= dict.fromkeys(paper_names(root), texts)
    return configuration([*([] if alone else [root / "config.yaml"]), *more], words, schema)


def paper_scale_config(root: Path, words: Sequence[str]) -> dict:
    """Return config.yaml at the paper scale, changed by `words` as `read_config` does."""
    told = read_config(root, words)
    if not any(word.startswith("scale=") for word in words):
        told["scale"] = "paper"
    return told


def _check_shown(config: Mapping, datasets: Mapping[str, Mapping], papers: Mapping[str, Mapping]) -> None:
    """Raise SettingsError if clips of the user's own are called as others are: no line of a table could tell them."""
    called: dict[str, str] = {}
    for name, facts in datasets.items():
        if "shown" not in facts:
            printed = (paper["labels"].get("dataset", {}).get(name, name) for paper in papers.values())
            called |= {one.casefold(): name for one in (name, *printed)}
    for name, facts in datasets.items():
        if "shown" not in facts:
            continue
        where, shown = said(config, "datasets", name), facts["shown"]
        if shown != shown.strip() or len(shown.splitlines()) != 1:
            raise SettingsError(f"{where}: {shown!r} has space around it or no single line; give another `name`")
        if (other := called.setdefault(shown.casefold(), name)) != name:
            raise SettingsError(f"{where}: {shown!r} is what clips of {other} are called; give another `name`")


def _dataset(name: str, facts: Mapping, given: Mapping, scale: Mapping, chosen: Mapping, where: str) -> dict:
    """Return what is known of a dataset: its own file, what config.yaml says of it, what a paper's choices say."""
    source = given.get("source", scale["source"])
    for keys, sources in NEEDED.items():
        unused = [key for key in given if key in keys]
        if unused and source not in sources:
            needed = " or ".join(f"`source: {name}`" for name in sources)
            raise SettingsError(f"{where}: {', '.join(sorted(unused))} needs {needed}, but the source is {source}")
    if source == "local" and "table" not in given:
        raise SettingsError(f"{where}: source local needs `table`, a CSV of clips")
    file = f"workflow/datasets/{name}.yaml"
    if source == "lists" and (missing := [key for key in OF_LISTS if key not in facts]):
        raise SettingsError(f"{file}: {', '.join(missing)} must be given where clips come from lists")
    # The rows of one that is downloaded are not known before.
    listed = {split for split, listing in facts.get("lists", {}).items() if isinstance(listing, str)}
    unlisted = [split for split in ("train", "val", "test") if split not in listed]
    if source == "lists" and unlisted and "clips" not in facts:
        raise SettingsError(
            f"{file}: lists: {', '.join(unlisted)} must be given as files that are there, or how many `clips` there are"
        )
    if given.get("classes") != "table" and ("classes" in facts) == ("class_index" in facts):
        raise SettingsError(f"{file}: either classes or class_index must be given")
    if source == "render" and (rendered := facts.get("rendered", {}).get("classes")):
        facts = {**{key: value for key, value in facts.items() if key != "class_index"}, "classes": rendered}
    sources, archive = (given.get(key, facts.get(key)) for key in ("sources", "archive"))
    if source == "lists":
        for key, user in (("folder", "local"), ("archive", "archive")):
            if key in given and user not in sources:
                raise SettingsError(f"{where}: {key} is of no use, because sources {sources} lack {user}")
    if source == "lists" and "archive" in sources and not archive:
        raise SettingsError(f"{where}: source archive needs `archive`, its parts or zip; this dataset has none known")
    for key in given.get("lists", {}):
        known_name(key, sorted(facts.get("lists", {})), f"{where}.lists")
    for key, value in facts.get("options", {}).items():
        if chosen and isinstance(value, Mapping) and value.get("by") not in (*chosen, choices.DATASET):
            raise SettingsError(f"{file}: options.{key}: by: {value.get('by')!r} is none of {', '.join(chosen)}")
    # A choice of a paper that is not made leaves the protocol's own default, which is the released behaviour.
    options = {
        key: choices.resolve(value, chosen, name)
        for key, value in facts.get("options", {}).items()
        if chosen or not isinstance(value, Mapping)
    } | given.get("options", {})
    for part in ("clips", "shares"):
        said_of = facts.get(part)
        if isinstance(said_of, Mapping) and "by" in said_of:  # an option, whose default, the protocol's, stands first
            alternatives = {name: of for name, of in said_of.items() if name != "by"}
            taken = options.get(said_of["by"], next(iter(alternatives)))
            known_name(taken, list(alternatives), f"{where}.options.{said_of['by']}")
            facts = {**facts, part: alternatives[taken]}
    return {
        "folder": f"data/{name}",
        "sources": [],
        **{key: scale[key] for key in SIZES},
        **facts,
        "view": view_taken(facts, _view(scale["view"], facts.get("view", {})), chosen, file),
        "source": source,
        "class_names_from": given.get("classes", "dataset"),
        **{key: given[key] for key in ("folder", "table", "sources", "archive") if key in given},
        "lists": {**facts.get("lists", {}), **given.get("lists", {})},
        "options": options,
    }


def _clips_are(dataset: Mapping, known: Sequence[str], file: str) -> str:
    """Whose clips those of a dataset are: its source, or `part` where the papers' own have more."""
    if "part_of" in dataset:
        known_name(dataset["part_of"], known, f"{file}: part_of")
        return "part" if dataset["source"] == "lists" else dataset["source"]
    return dataset["source"]


def _without_parents(facts: Mapping, over: Mapping) -> Mapping:
    """Return a dataset without the parents of its rendered classes if what is laid over it says either anew."""
    rendered, anew = facts.get("rendered"), over.get("rendered")
    if not isinstance(rendered, Mapping) or not isinstance(anew, Mapping) or not {"classes", "parents"} & anew.keys():
        return facts
    return {**facts, "rendered": {key: value for key, value in rendered.items() if key != "parents"}}


def layers_of(root: Path, name: str) -> list[tuple[str, dict]]:
    """Return a scale and what it extends, each with its file; the one that extends none is the first.

    Raises:
        SettingsError: what is extended is not there, or a scale itself.
    """
    layers: list[tuple[str, dict]] = []
    while True:
        file = f"workflow/scales/{name}.yaml"
        if file in (one for one, _ in layers):
            raise SettingsError(f"{file}: extends itself, by {' and '.join(one for one, _ in layers)}")
        told = read_yaml(root / file)
        if not isinstance(told, dict):
            raise SettingsError(f"{file}: must hold keys with values, not {told!r}")
        layers.insert(0, (file, told))
        if "extends" not in told:
            return layers
        name = told["extends"]
        known_name(name, names(root / "workflow/scales"), f"{file}: extends")


def _scale(root: Path, layers: list[tuple[str, dict]], known: Mapping[str, list[str]]) -> dict:
    """Return what the layers of a scale say together, checked with each one, so that a mistake is told of its file."""
    scale: dict = {}
    for file, told in layers:
        scale = overlaid(scale, told)
        check(scale, root / "workflow/schemas/scale.json", file)
        for kind in ("papers", "datasets"):
            for of in told.get(kind, {}):
                known_name(of, known[kind], f"{file}: {kind}")
    return scale


def _of_layers(layers: Sequence[tuple[str, Mapping]], kind: str, name: str) -> list[tuple[str, Mapping]]:
    """Return what the layers of a scale say of a paper or a dataset, each with its place."""
    return [(f"{file}: {kind}.{name}", told[kind][name]) for file, told in layers if name in told.get(kind, {})]


def _paper(
    root: Path, name: str, layers: list[tuple[str, dict]], own: Mapping[str, Own], leaves_answers: bool
) -> tuple[dict, dict]:
    """Return a paper from its files and what a scale says of it, and by its files alone: as meant, not in short.

    A dataset that is there for the answers of a model alone is one of the paper's unless it `leaves_answers` out.
    """
    schemas = root / "workflow/schemas/paper"
    paper: dict = {}
    for file in PAPER_FILES:
        if file in MAY_LACK and not (root / f"workflow/papers/{name}/{file}.yaml").exists():
            continue
        held = read_yaml(root / f"workflow/papers/{name}/{file}.yaml")
        check(held, schemas / f"{file}.json", f"workflow/papers/{name}/{file}.yaml")
        paper |= held
    told = _meant(name, paper)
    for section in told:
        choices.check(told, section, place_of(name, section))
    for place, over in layers:
        for section in over:
            known_name(section, [one for sections in PAPER_FILES.values() for one in sections], place)
        paper = overlaid(paper, over)
        for file, sections in PAPER_FILES.items():
            if held := {section: paper[section] for section in sections if section in over and section in paper}:
                check(held, schemas / f"{file}.json", place, required=False)
        meant = _meant(name, paper)
        for section in over:
            section = "variants" if section == "factors" else section
            choices.check(meant, section, f"{place}: {section}")
    paper = _meant(name, paper)
    twins = paper.pop("twins", {})
    try:
        paper["artefacts"] = notation.artefacts(
            paper["artefacts"], labels(paper["labels"], own), paper.get("lists", {})
        )
        paper["claims"] = notation.claims(paper["claims"], twins, paper.get("lists", {}))
        paper["choices"] = notation.choices(paper["choices"], name)
        if "sensitivity" in paper:
            paper["sensitivity"] = notation.sensitivity(paper["sensitivity"], paper.get("lists", {}))
    except notation.NotationError as error:
        raise SettingsError(f"{paper_file(name, str(error).partition('.')[0])}: {error}") from None
    if not leaves_answers:
        asked = (one["spec"]["read"]["dataset"] for one in paper["artefacts"].values() if one["kind"] == KIND)
        paper["datasets"] = list(dict.fromkeys([*paper["datasets"], *asked]))
    return in_its_place(paper, own), told


def _meant(name: str, paper: Mapping) -> dict:
    """Return the sections of a paper with its variants, ensembles and attacks one by one, not as factors make them."""
    factors, lists = paper.get("factors", {}), paper.get("lists", {})
    try:
        variants = notation.variants(paper["variants"], factors)
        together = notation.ensembles(paper.get("ensembles", {}), factors, lists, variants)
        attacks = notation.attacks(paper["attacks"], factors)
    except notation.NotationError as error:
        raise SettingsError(f"{paper_file(name, str(error).partition('.')[0])}: {error}") from None
    meant = {**paper, "variants": variants, "ensembles": together, "attacks": attacks}
    meant.pop("factors", None)
    return meant


def made_by_factors(root: Path, paper: str) -> Mapping:
    """Return the variants, ensembles and attacks of a paper by its own files, whatever a scale lays over them."""
    files = dict.fromkeys(paper_file(paper, section) for section in MADE_BY_FACTORS)
    return _meant(paper, {name: value for file in files for name, value in read_yaml(root / file).items()})


def paper_file(paper: str, section: str) -> str:
    """Return the file of a paper that has a section."""
    return next(f"workflow/papers/{paper}/{file}.yaml" for file, held in PAPER_FILES.items() if section in held)


def place_of(paper: str, section: str) -> str:
    """Return a section of a paper as a message names it, with its file."""
    return f"{paper_file(paper, section)}: {section}"


def published_file(paper: str, artefact: str) -> str:
    """Return the file of the values that a paper prints in an artefact."""
    return f"workflow/papers/{paper}/published/{artefact}.csv"


def paper_names(root: Path) -> list[str]:
    """Return the names of all papers, sorted: each is a folder."""
    return sorted(path.parent.name for path in (root / "workflow/papers").glob("*/paper.yaml"))


def _view(default: Mapping, given: Mapping) -> dict:
    """Return the view that a dataset gives; options that it leaves out are those of the scale's, if it is the same."""
    view = {**default, **given}
    known = default["options"] if view["name"] == default["name"] else {}
    return {**view, "options": {**known, **given.get("options", {})}}


def names(folder: Path) -> list[str]:
    """Return the names of the YAML files in a folder, sorted."""
    return sorted(entry.name.removesuffix(".yaml") for entry in os.scandir(folder) if entry.name.endswith(".yaml"))


def known_name(name: str, known: list[str], where: str) -> None:
    """Raise SettingsError unless `name` is among the `known` ones."""
    if name not in known:
        raise SettingsError(f"{where}: {name!r} is not known; allowed are {', '.join(known)}")


def check(
    value: object,
    schema_path: Path,
    file: str | Callable[[tuple], str],
    sections: Mapping = MappingProxyType({}),
    *,
    required: bool = True,
) -> None:
    """Check a value against a JSON schema; the first mistake becomes a SettingsError of one line.

    `file`: what said the value, or a function that tells it for the place of a mistake.
    `sections` are schemas of further keys of the top level; without `required` none of its keys must be there.
    """
    schema = json.loads(schema_path.read_text(encoding="utf-8"))
    schema["properties"] |= sections
    if not required:
        schema["required"] = []
    check_by(value, schema, file)


def check_by(value: object, schema: Mapping, file: str | Callable[[tuple], str]) -> None:
    """As `check`, by a schema that is read."""
    errors = sorted(VALIDATOR(schema).iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
    if errors:
        where = file if isinstance(file, str) else file(_place_of_error(errors[0]))
        raise SettingsError(f"{where}: {_one_line(errors[0])}")


def _place_of_error(error: jsonschema.ValidationError) -> tuple:
    unknown = []
    if error.validator == "additionalProperties":
        unknown = sorted(set(error.instance) - set(error.schema.get("properties", {})), key=str)[:1]
    return (*error.absolute_path, *unknown)


def _one_line(error: jsonschema.ValidationError) -> str:
    key = ".".join(map(str, error.absolute_path)) or "top level"
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known), key=str)
        where = "" if key == "top level" else f"{key}: "
        given = ", ".join(f"{name} = {error.instance[name]!r}" for name in unknown)
        return f"{where}unknown key {given}; allowed are {', '.join(known)}"
    if error.validator == "enum":
        return f"{key}: {error.instance!r} is not allowed; allowed are {', '.join(map(str, error.validator_value))}"
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{key}: {', '.join(missing)} must be given"
    if error.validator in MUST_BE:
        return f"{key}: {error.instance!r} must be {MUST_BE[error.validator]} {error.validator_value}"
    return f"{key}: {error.message}"
