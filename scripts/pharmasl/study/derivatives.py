"""The settings of ``derivatives``: what other programs made, in place of the workflow's own stages."""

from collections.abc import Mapping
from dataclasses import dataclass

from pharmasl.study import cbf_units
from pharmasl.study.effect_words import PERFUSION, Quantity


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

    space: str | None
    transform: str | None
    own: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CbfMaps(Source):
    """CBF maps in place of the workflow's perfusion."""

    space: str
    grid: str
    transform: str | None
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
    def on_scan(self) -> bool:
        """Whether the maps are on each scan's own grid."""
        return self.grid == "scan"

    @property
    def has_table(self) -> bool:
        """Whether a table names the maps."""
        return self.files is not None and self.files.endswith(".tsv")


@dataclass(frozen=True, kw_only=True)
class ImportedContrasts(Source):
    """Contrast maps in place of all that comes before the group analyses: where they lie, in which space and unit."""

    space: str
    unit: str
    measure: str | None
    files: Mapping[str, str] | None
    table: str | None

    @property
    def quantity(self) -> Quantity:
        """What the maps are of."""
        if self.factor is not None and self.measure in (None, PERFUSION.measure):
            return PERFUSION
        return Quantity(measure=self.measure or "signal", unit=self.unit)

    @property
    def factor(self) -> float | None:
        """What takes the values to mL/100 g/min, where the unit is one of CBF; None where it is not."""
        try:
            return cbf_units.conversion(self.unit)
        except ValueError:
            return None


@dataclass(frozen=True, kw_only=True)
class Derivatives:
    """Which stages' results come from another program; None where the workflow computes them."""

    anatomy: AnatomySource | None
    cbf: CbfMaps | None
    contrasts: ImportedContrasts | None
