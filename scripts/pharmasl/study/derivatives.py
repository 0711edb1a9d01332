"""The settings of ``derivatives``: what other programs made, in place of the workflow's own stages."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program that made a folder which does not say so itself."""

    name: str
    version: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """A folder of another program's results."""

    dir: str
    generated_by: Program | None


@dataclass(frozen=True, kw_only=True)
class AnatomySource(Source):
    """Anatomies in place of the workflow's, and which steps are the workflow's own all the same."""

    own: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Derivatives:
    """Which stages' results come from another program; None where the workflow computes them."""

    anatomy: AnatomySource | None
