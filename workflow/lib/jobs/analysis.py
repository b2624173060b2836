"""What workflow/rules/analysis.smk asks beside what every attack needs."""

from lib.jobs.attack import Attack
from lib.jobs.jobs import Wildcards, key_of


class Analysis(Attack):
    """Attacks of which more is kept than the answers: where a net looks, what it embeds."""

    def example_classes(self, wildcards: Wildcards) -> list[str]:
        """The classes of which the figures show a clip."""
        return sorted(self.grid.examples.get(key_of(wildcards), ()))
