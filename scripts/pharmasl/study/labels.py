"""What the study's sessions, arms, conditions, contrasts, analyses and regions are called on pages and in figures."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Words for names of the configuration; each method gives those of one name.

    Attributes
    ----------
    sessions, arms, conditions, contrasts, analyses, regions : Mapping
        Name to words, of the names that have their own.
    """

    sessions: Mapping[str, str]
    arms: Mapping[str, str]
    conditions: Mapping[str, str]
    contrasts: Mapping[str, str]
    analyses: Mapping[str, str]
    regions: Mapping[str, str]

    def session(self, name: str) -> str:
        """Words for a session; its own name unless it has some."""
        return self.sessions.get(name, name)

    def arm(self, name: str) -> str:
        """Words for an arm; its own name unless it has some."""
        return self.arms.get(name, name)

    def condition(self, name: str) -> str:
        """Words for a condition."""
        return self.conditions.get(name, spaced(name))

    def contrast(self, name: str) -> str:
        """Words for a contrast."""
        return self.contrasts.get(name, spaced(name))

    def analysis(self, name: str) -> str:
        """Words for an analysis."""
        return self.analyses.get(name, spaced(name))

    def region(self, name: str) -> str:
        """Words for a region of interest."""
        return self.regions.get(name, spaced(name))


# Every name as it is written.
NAMES = Labels(sessions={}, arms={}, conditions={}, contrasts={}, analyses={}, regions={})


def spaced(name: str) -> str:
    """A name of the configuration with spaces for its underscores."""
    return name.replace("_", " ")
