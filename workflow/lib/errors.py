"""The errors of the workflow layer."""


class SettingsError(Exception):
    """A mistake in the configuration: its text is one line with the file, the key, the value and what is allowed."""

    def __init__(self, text: str):
        super().__init__(" ".join(text.split()))


class UnsaidError(SettingsError):
    """Something goes by dataset, and nothing is said for one of them."""
