"""What the jobs of the maps depth of a planned trial's power draw and test."""

from collections.abc import Mapping
from dataclasses import dataclass

from pharmasl.statistics.trial_assumptions import METHODS
from pharmasl.study.map_assumptions import Drawing
from pharmasl.study.settings import Analysis, Arms, RegionDefinition

ANY = "any"


@dataclass(frozen=True, kw_only=True)
class PlannedPlaces:
    """Where an effect may be, and where it is searched for.

    Attributes
    ----------
    places : mapping of str to RegionDefinition
        The planned one first.
    within : RegionDefinition or None
        Region to which the search is restricted.
    edge : float
        Over which an effect falls to 0 around its place: the maps' smoothing, mm.
    """

    places: Mapping[str, RegionDefinition]
    within: RegionDefinition | None
    edge: float


@dataclass(frozen=True, kw_only=True)
class PlannedMaps(PlannedPlaces):
    """All that the drawing and the tests of an outcome's studies depend on.

    Attributes
    ----------
    outcome, unit : str
    analysis : Analysis
        Whose test is taken: tails, error rate, statistics and variance. Its covariates are counted in ``covariates``.
    arms : Arms
    sizes : tuple of int
        People of treatment and control with both sessions.
    method : {"change", "ancova", "followup"}
        The model of the configuration.
    covariates : int
        Columns beside arm and baseline, drawn as normal numbers that explain nothing.
    region_alpha : float
        Error rate of a declared region, its correction for others included.
    sd, correlation : float
        Of the values of the first place: between people at one session, and of the sessions.
    effects : tuple of float
        0 first.
    scalings : tuple of str
        Those that the contrast allows.
    drawing : Drawing
    """

    outcome: str
    unit: str
    analysis: Analysis
    arms: Arms
    sizes: tuple[int, ...]
    method: str
    covariates: int
    region_alpha: float
    sd: float
    correlation: float
    effects: tuple[float, ...]
    scalings: tuple[str, ...]
    drawing: Drawing

    @property
    def ground(self) -> PlannedPlaces:
        """What the brain is laid out by, whatever is drawn on it."""
        return PlannedPlaces(places=self.places, within=self.within, edge=self.edge)

    @property
    def methods(self) -> tuple[str, ...]:
        """The models that are fitted: that of the configuration, then the others."""
        return (self.method, *(name for name in METHODS if name in self.drawing.models and name != self.method))

    @property
    def statistics(self) -> tuple[str, ...]:
        """The statistics beside the largest t, among them what the configuration's primary statistic needs."""
        own = self.analysis.inference
        needed = own.statistics if own.primary == ANY else (own.primary,)
        return tuple(name for name in ("extent", "mass", "tfce") if name in self.drawing.statistics or name in needed)
