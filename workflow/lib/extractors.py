"""Fixed nets of which a dataset keeps the features: which one its view reads, and what each of them is made of."""

from collections.abc import Mapping
from types import MappingProxyType

from lib import choices
from lib.errors import SettingsError, UnsaidError

VIEW = "features"
MODALITIES = ("audio", "visual")


def view_taken(facts: Mapping, view: Mapping, chosen: Mapping[str, str], file: str) -> dict:
    """Return the view of a dataset with its extractor chosen; where no paper chooses, it is the first that there is.

    `facts`: the dataset's, which describe its `extractors`. `chosen`: choice -> what is taken.

    Raises:
        SettingsError: it goes by a choice that there is not, or is none of the extractors.
    """
    if "extractor" not in view["options"]:
        return dict(view)
    known, given, where = (
        [*facts.get("extractors", {})],
        view["options"]["extractor"],
        f"{file}: view.options.extractor",
    )
    if isinstance(given, Mapping):
        if chosen and given["by"] not in chosen:
            raise SettingsError(f"{where}: by: {given['by']!r} is none of {', '.join(chosen)}")
        try:
            given = choices.resolve(given, chosen) if chosen else next(iter(known), None)
        except UnsaidError as error:
            raise SettingsError(f"{where}: {error}") from None
    if given not in known:
        raise SettingsError(f"{where}: {given!r} is not known; `extractors` has {', '.join(known) or 'none'}")
    return {**view, "options": {**view["options"], "extractor": given}}


def extractor_of(facts: Mapping) -> str | None:
    """Return the name of the extractor of whose features a dataset's view is; None where it is of clips."""
    return facts["view"]["options"].get("extractor")


def parts_of(extractor: Mapping) -> dict[str, dict]:
    """Return modality -> {name, options} of the encoders of an extractor."""
    given = {modality: extractor[modality] for modality in MODALITIES if modality in extractor}
    return {modality: part_of(part) for modality, part in given.items()}


def part_of(given: str | Mapping, own: Mapping[str, Mapping] = MappingProxyType({})) -> dict:
    """Return {name, options} of a part; `own`: options of all parts of a name, which those given come before."""
    given = {"name": given} if isinstance(given, str) else given
    options = {**own.get(given["name"], {}), **given.get("options", {})}
    if "net" in options:  # a part that holds another one
        options["net"] = part_of(options["net"], own)
    return {"name": given["name"], "options": options}


def named_weights(extractor: Mapping) -> dict[str, str]:
    """Return modality -> name of the published weights that an extractor gives its encoder, used or not."""
    named = {modality: extractor[modality] for modality in MODALITIES if "weights" in extractor.get(modality, {})}
    return {modality: part["weights"] for modality, part in named.items()}


def weights_of(extractor: Mapping) -> dict[str, str]:
    """Return modality -> name of the published weights of its encoder; none where it starts from nothing."""
    return named_weights(extractor) if extractor.get("pretrained", True) else {}
