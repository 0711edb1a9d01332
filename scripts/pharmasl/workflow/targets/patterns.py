"""Regular expressions of names, and patterns of paths filled with names."""

import re
from collections.abc import Iterable

from pharmasl.files import bids


def any_of(names: Iterable[str]) -> str:
    """A regular expression that matches these names and nothing else."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def filled(pattern: str, wildcard: str, names: Iterable[str]) -> list[str]:
    """A pattern with each name in the place of one wildcard; its other wildcards stay."""
    return [pattern.replace(f"{{{wildcard}}}", name) for name in names]


def folders(names: Iterable[str]) -> str:
    """A regular expression of the folders of analyses or conjunctions, each before the contrast of its own label."""
    return "|".join(f"{re.escape(name)}(?=/contrast-{bids.entity_label(name)}_)" for name in names) or "(?!)"


def labelled(pattern: str, wildcard: str, names: Iterable[str]) -> list[str]:
    """A pattern with each name of an analysis or a conjunction, and its label in the place of ``{label}``."""
    return [pattern.replace(f"{{{wildcard}}}", name).replace("{label}", bids.entity_label(name)) for name in names]
