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
class CbfMaps(Source):
    """CBF maps in place of the workflow's perfusion."""

    space: str
    desc: str | None
    files: str | None
    mask: str | None
    units: str | None
    missing: str

    @property
    def template(self) -> str:
        """The name of the template on whose coordinates the maps lie."""
        return self.space.partition(":")[0]

    @property
    def resolution(self) -> str | None:
        """The label ``res`` of the maps' names, where they have one."""
        return self.space.partition(":res-")[2] or None

    @property
    def has_table(self) -> bool:
        """Whether a table names the maps."""
        return self.files is not None and self.files.endswith(".tsv")


@dataclass(frozen=True, kw_only=True)
class Derivatives:
    """Which stages' results come from another program; None where the workflow computes them."""

    anatomy: AnatomySource | None
    cbf: CbfMaps | None
