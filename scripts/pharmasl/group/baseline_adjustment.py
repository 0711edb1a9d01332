"""What adjusting for each voxel's own baseline would give an analysis of change scores, from the study's own data.

The arms' difference can be estimated from the change (follow-up minus baseline) or from the follow-up with the baseline as a
covariate (ANCOVA). Both estimate the same effect in a randomised trial; within an arm, with standard deviations s1 and s2 of the
two sessions and their correlation r, the residual variances are s1^2 + s2^2 - 2 r s1 s2 and s2^2 (1 - r^2). The second is never the
larger one; with s1 = s2 the first is 2 / (1 + r) times the second (Frison and Pocock 1992, Statistics in Medicine 11:1685).
Everything is taken from residuals within the arms, so that nothing here depends on the arms' difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.group import design_names, maps
from pharmasl.group.maps import Maps
from pharmasl.group.model import Model
from pharmasl.study.effect_kinds import CHANGE, FORMULA

TILE = 8192  # voxels at a time
GROUP_BY_TIME, BETWEEN_ARMS = "group_by_time", "between_arms"
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A quantity over the voxels searched: its median, and the 10th and 90th percentile."""

    low: float
    median: float
    high: float

    @classmethod
    def over(cls, values: np.ndarray) -> "Spread":
        """Of values, ndarray of shape (V,)."""
        low, median, high = (round(float(value), 4) for value in np.quantile(values, QUANTILES))
        return cls(low=low, median=median, high=high)


@dataclass(frozen=True, kw_only=True)
class BaselineAdjustment:
    """How the baseline-adjusted analysis would compare with the analysis of changes.

    Attributes
    ----------
    correlation : Spread
        Of baseline and follow-up within the arms, covariates held fixed.
    sd_ratio : Spread
        Standard deviation of the follow-up over that of the baseline, within the arms.
    variance_ratio : Spread
        Variance of the arms' difference estimated from changes over that of the adjusted estimate. Below 1 where the slope's
        degree of freedom costs more than the slope gives.
    equal_variances : float
        2 / (1 + r) of the median correlation: what the ratio is in a large trial with equal variances.
    voxels : int
        In which these were taken.
    """

    correlation: Spread
    sd_ratio: Spread
    variance_ratio: Spread
    equal_variances: float
    voxels: int

    def block(self) -> dict[str, Any]:
        """As plain values, for ``_inference.json``."""
        return {
            "correlation": vars(self.correlation),
            "sd_ratio": vars(self.sd_ratio),
            "variance_ratio": vars(self.variance_ratio),
            "equal_variances": self.equal_variances,
            "voxels": self.voxels,
        }


def concerns(model: Model) -> bool:
    """Whether a model compares arms by their changes, with nothing of the baseline among its terms."""
    compares = model.name in (BETWEEN_ARMS, GROUP_BY_TIME)
    if model.name == FORMULA:
        compares = {name for column in model.tested for name in design_names.variables(column)} == {design_names.ARM}
    return compares and model.outcome == CHANGE and not model.maps


def _residuals(values: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Residuals of values (n, V) on an orthonormal basis (n, terms)."""
    return values - basis @ (basis.T @ values)


def compare(change: np.ndarray, baseline: np.ndarray, matrix: np.ndarray) -> BaselineAdjustment | None:
    """The two analyses compared, voxel by voxel.

    The ratio of the two variances is that of the residual mean squares, with n - p and n - p - 1 degrees of freedom, times
    (n - p - 2) / (n - p - 1): a randomised trial's arms differ at baseline by chance, and adjusting for it inflates the variance by
    the inverse of that on average (the mean of 1 / B for B the beta variable 1 - R^2 of arm and baseline).

    Parameters
    ----------
    change, baseline : ndarray of shape (n, V)
        Of the same participants and voxels.
    matrix : ndarray of shape (n, terms)
        The design of the changes, the arms among its columns.

    Returns
    -------
    BaselineAdjustment or None
        None where fewer than three residual degrees of freedom are left, or no voxel varies.
    """
    n, terms = matrix.shape
    if n - terms < 3:
        return None
    basis = np.linalg.qr(matrix)[0]
    parts = []
    for start in range(0, change.shape[1], TILE):
        first = _residuals(baseline[:, start : start + TILE].astype(np.float64), basis)
        second = first + _residuals(change[:, start : start + TILE].astype(np.float64), basis)
        products = (first * first, second * second, first * second)
        parts.append(np.stack([product.sum(axis=0) for product in products]))
    before, after, both = np.concatenate(parts, axis=1)
    usable = (before > 0) & (after > 0)
    before, after, both = before[usable], after[usable], both[usable]
    adjusted = after - both**2 / before
    usable = adjusted > 1e-12 * after
    if not usable.any():
        return None
    before, after, both, adjusted = before[usable], after[usable], both[usable], adjusted[usable]
    correlation = Spread.over(both / np.sqrt(before * after))
    ratio = (before + after - 2 * both) / adjusted * (n - terms - 2) / (n - terms)
    return BaselineAdjustment(
        correlation=correlation,
        sd_ratio=Spread.over(np.sqrt(after / before)),
        variance_ratio=Spread.over(ratio),
        equal_variances=round(2 / (1 + correlation.median), 4),
        voxels=int(usable.sum()),
    )


def read(
    changes: Maps, matrix: np.ndarray, baseline: Sequence[FilePath], template_mask: FilePath
) -> BaselineAdjustment | None:
    """The two analyses compared, of an analysis of changes and its baseline maps.

    Parameters
    ----------
    changes : pharmasl.group.maps.Maps
        A row per participant, of the voxels searched.
    matrix : ndarray of shape (n, terms)
    baseline : sequence of path-like
        The baseline map of each row.
    template_mask : path-like

    Returns
    -------
    BaselineAdjustment or None
        As :func:`compare`.
    """
    first = maps.read([baseline], template_mask)
    return compare(np.asarray(changes.values), first.within(changes.mask[first.mask]).values, matrix)
