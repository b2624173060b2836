"""The errors of the workflow layer."""

from collections.abc import Iterator
from contextlib import contextmanager


class SettingsError(Exception):
    """A mistake in the configuration: its text is one line with the file, the key, the value and what is allowed."""

    def __init__(self, text: str):
        super().__init__(" ".join(text.split()))


class UnsaidError(SettingsError):
    """Something goes by dataset, and nothing is said for one of them."""


@contextmanager
def told_of(where: str) -> Iterator[None]:
    """Begin the message of a SettingsError with what it is about."""
    try:
        yield
    except SettingsError as error:
        raise type(error)(f"{where}: {error}") from None
