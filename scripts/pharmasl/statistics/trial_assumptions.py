"""What is assumed of a planned trial's test: how the arms are compared, and how values spread and repeat."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

CHANGE, ANCOVA, FOLLOWUP = "change", "ancova", "followup"
METHODS = (CHANGE, ANCOVA, FOLLOWUP)
PEARSON = "pearson"


@dataclass(frozen=True, kw_only=True)
class Uncertain:
    """A number and the 95 % interval that holds it; both ends equal it where it is taken as known.

    Attributes
    ----------
    value, low, high : float
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class PlannedTest:
    """How the arms will be compared.

    Attributes
    ----------
    method : {"change", "ancova", "followup"}
    covariates : int
        Columns of the model beside the arm, the mean and the baseline.
    alpha : float
        Of the test, its correction for others included.
    two_sided : bool
    by_arm : bool
        Each arm has a residual variance of its own, and the test Satterthwaite's degrees of freedom: without covariates, Welch's.
    """

    method: str
    covariates: int
    alpha: float
    two_sided: bool
    by_arm: bool = False

    @property
    def adjusted(self) -> int:
        """Columns of covariates, the baseline among them."""
        return self.covariates + (self.method == ANCOVA)

    def df(self, people: float) -> float:
        """Residual degrees of freedom."""
        return people - 2 - self.adjusted

    @property
    def least(self) -> int:
        """People in both arms together from which on there is a power."""
        return 4 + self.adjusted


@dataclass(frozen=True, kw_only=True)
class PlannedCorrelation:
    """How a region will be related to a score, both adjusted for the same columns: by Pearson's r.

    Attributes
    ----------
    timing : {"change", "baseline", "followup"}
        Of both values.
    group : {"all", "treatment", "control"}
        In whom; in all, both are adjusted for arm.
    covariates : int
        Columns that both are adjusted for, beside arm.
    alpha : float
        Of the test, its correction for others included.
    two_sided : bool
    """

    timing: str
    group: str
    covariates: int
    alpha: float
    two_sided: bool

    @property
    def method(self) -> str:
        """What stands for it in tables."""
        return PEARSON

    @property
    def adjusted(self) -> int:
        """Columns of covariates, the arm among them."""
        return self.covariates + (self.group == "all")

    def people(self, sizes: tuple[float, float]) -> float:
        """People of the group in arms, treatment and control, of so many."""
        return sum(sizes) if self.group == "all" else sizes[0 if self.group == "treatment" else 1]

    def df(self, people: float) -> float:
        """Residual degrees of freedom."""
        return people - 2 - self.adjusted


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The spread of a value, as it is assumed.

    Attributes
    ----------
    sd : Uncertain or None
        Between people at one session.
    within_sd : Uncertain or None
        Of one person from session to session; one of the two is there. They go together by sd^2 = within_sd^2 / (1 - correlation).
    correlation : Uncertain
        Of the sessions, without an effect.
    """

    sd: Uncertain | None
    within_sd: Uncertain | None
    correlation: Uncertain

    def sd_at(self, deviation: ArrayLike, correlation: ArrayLike) -> np.ndarray:
        """The standard deviation at one session for a value of the assumed one and a correlation."""
        spread = np.asarray(deviation, dtype=np.float64)
        return spread if self.within_sd is None else spread / np.sqrt(1 - np.asarray(correlation, dtype=np.float64))

    @property
    def assumed(self) -> Uncertain:
        """The standard deviation that was assumed, of either kind."""
        known = self.sd or self.within_sd
        assert known is not None
        return known

    @property
    def planned_sd(self) -> float:
        """The standard deviation at one session at the planning values."""
        return float(self.sd_at(self.assumed.value, self.correlation.value))

    def known(self, name: str, value: float) -> "Spread":
        """The same with one assumption, ``spread`` or ``correlation``, at another value that is taken as known."""
        fixed = Uncertain(value=value, low=value, high=value)
        if name == "correlation":
            return dataclasses.replace(self, correlation=fixed)
        return dataclasses.replace(self, **{"sd" if self.within_sd is None else "within_sd": fixed})
