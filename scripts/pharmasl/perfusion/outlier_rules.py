"""Rules that mark repeats of a perfusion series to be left out.

``motion``
    The head lay further apart than a limit in the repeat's control and label, whose static tissue then does not cancel.
``score``
    SCORE, structural correlation based outlier rejection (Dolui et al. 2017, J Magn Reson Imaging, doi
    10.1002/jmri.25436), step by step as its authors' program has it. First go the repeats whose mean grey-matter CBF
    lies more than 2.5 robust standard deviations (MAD / 0.675) from the median. Then goes, again and again, the repeat
    that is *most* correlated with the mean of those left (an artefact strong enough to shape the mean is what the mean
    looks like), while the variance of the mean within the tissues falls; the last one, after which it did not fall, is
    put back.
``enable``
    Repeats in order of their motion, kept as far as the median of grey matter's t against zero rises; at least half of
    them, and all of them unless that gains more than one percent. This is the form of ENABLE (Shirzadi et al. 2018, J
    Magn Reson Imaging, doi 10.1002/jmri.25807) that ExploreASL has (Mutsaerts et al. 2020, NeuroImage, doi
    10.1016/j.neuroimage.2020.117031), though ExploreASL takes its t over the bright part of the mean difference. The
    original orders by contrast to noise, with noise from outside the head, where parallel imaging leaves none that is
    comparable, and scores by weights that were fitted to single inversion times.
``global``
    Repeats whose mean CBF over the brain lies outside limits (ASLtbx: -40 to 150 mL/100 g/min).
``slices``
    Repeats in a volume of which a slice is out of line (:mod:`pharmasl.perfusion.slice_signal`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pharmasl.perfusion.repeat_measures import (
    SCORE_MAD,
    SCORE_THRESHOLD,
    Measured,
    correlate,
    deviation,
    variance_within,
)
from pharmasl.study import settings

# Fewest repeats to which each rule is applied. With five values a MAD says little; ASLPrep, too, asks for more.
LEAST = {"motion": 2, "score": 6, "global": 1, "slices": 1}
# ENABLE keeps at least so many.
LEAST_KEPT = 2
SCORE_LIMIT = 2.5


@dataclass(frozen=True)
class Thresholds:
    """Numbers of the published rules, about which the configuration does not ask.

    Attributes
    ----------
    score_threshold : float
        Share of a voxel from which it counts as a tissue for SCORE.
    enable_least : int
        Fewest repeats for ENABLE: ExploreASL needs more than five pairs.
    enable_gain, enable_share : float
        ExploreASL's least relative gain in t, and least share of the repeats that stay.
    """

    score_threshold: float = SCORE_THRESHOLD
    enable_least: int = 6
    enable_gain: float = 0.01
    enable_share: float = 0.5


PUBLISHED = Thresholds()


@dataclass(frozen=True)
class Marks:
    """What a rule says of a series: reasons by number of the repeats that it marks, and why it was not applied, or ""."""

    reasons: dict[int, str]
    note: str = ""


def apply(name: str, measured: Measured, outliers: settings.Outliers, thresholds: Thresholds) -> Marks:
    """The marks of one rule on all repeats.

    Parameters
    ----------
    name : str
        One of :data:`RULES`.
    measured : pharmasl.perfusion.repeat_measures.Measured
    outliers : pharmasl.study.settings.Outliers
    thresholds : Thresholds

    Returns
    -------
    Marks
    """
    least = thresholds.enable_least if name == "enable" else LEAST[name]
    if measured.repeats < least:
        return Marks({}, f"{name}: not applied, {measured.repeats} repeats where it needs {least}")
    return _RULES[name](measured, outliers, thresholds)


def _motion(measured: Measured, outliers: settings.Outliers, thresholds: Thresholds) -> Marks:
    moved, limit = measured.figures["displacement"], outliers.motion_limit
    if not np.isfinite(moved).any():
        return Marks({}, "motion: not applied, no displacement is known")
    # NaN, unknown, is not above the limit.
    far = np.flatnonzero(moved > limit)
    return Marks({int(i): f"motion: displacement {moved[i]:.2f} mm, above {limit:g} mm" for i in far})


def _global(measured: Measured, outliers: settings.Outliers, thresholds: Thresholds) -> Marks:
    values, (low, high) = measured.figures["global_cbf"], outliers.global_limits
    outside = np.flatnonzero(~((values >= low) & (values <= high)))
    limits = f"outside {low:g} to {high:g} mL/100 g/min"
    return Marks({int(i): f"global: mean CBF {values[i]:.1f}, {limits}" for i in outside})


def _slices(measured: Measured, outliers: settings.Outliers, thresholds: Thresholds) -> Marks:
    count = measured.figures["slices_out_of_line"]
    if not np.isfinite(count).any():
        return Marks({}, "slices: not applied, the signal of single slices is not known")
    return Marks({int(i): f"slices: {count[i]:.0f} out of line" for i in np.flatnonzero(count > 0)})


def _score(measured: Measured, outliers: settings.Outliers, thresholds: Thresholds) -> Marks:
    grey, values, tissue = measured.figures["gm_cbf"], measured.values, measured.tissue
    if (tissue == 0).sum() < 2:
        return Marks({}, "score: not applied, no grey matter")
    dropped = {int(i): "score: reaches no grey matter" for i in np.flatnonzero(~np.isfinite(grey))}
    kept = np.isfinite(grey)
    if not kept.any():
        return Marks(dropped)
    far, middle = deviation(grey, kept), np.median(grey[kept])
    spread = np.median(np.abs(grey[kept] - middle)) / SCORE_MAD
    for i in np.flatnonzero(kept & (np.abs(grey - middle) > SCORE_LIMIT * spread)):
        much = f"{abs(far[i]):.1f} MAD/{SCORE_MAD:g} from the median" if spread > 0 else "unlike all others'"
        dropped[int(i)], kept[i] = f"score: mean grey-matter CBF {much}", False
    mean, correlation = np.empty(len(values)), np.empty(measured.repeats)
    last = variance_within(values, tissue, kept, mean)
    while kept.sum() > 1:
        correlate(values, mean, kept, correlation)
        most_like = int(np.argmax(correlation))
        kept[most_like] = False
        variance = variance_within(values, tissue, kept, mean)
        # The authors' program returns what it had before the variance rose, or before only one was left.
        if not variance < last or kept.sum() < LEAST_KEPT:
            kept[most_like] = True
            break
        change = 100 * (1 - variance / last)
        dropped[most_like] = (
            f"score: the likest to the mean (r = {correlation[most_like]:.2f}), whose variance within tissues falls "
            f"{change:.1f}% without it"
        )
        last = variance
    return Marks(dropped)


def _enable(measured: Measured, outliers: settings.Outliers, thresholds: Thresholds) -> Marks:
    moved = measured.figures["displacement"]
    grey = measured.values[measured.tissue == 0]
    if not np.isfinite(moved).any() or not len(grey):
        return Marks({}, f"enable: not applied, no {'grey matter' if not len(grey) else 'displacement'} is known")
    # A repeat whose displacement is not known counts as still, as in ExploreASL.
    order = [int(i) for i in np.argsort(np.nan_to_num(moved), kind="stable")]
    t = _median_t(grey, order)
    least = max(math.ceil(thresholds.enable_share * len(order)), LEAST_KEPT)
    # Of equals the larger number.
    best = len(order) - int(np.argmax(t[least:][::-1]))
    if t[-1] > (1 - thresholds.enable_gain) * t[best]:
        return Marks({})
    gain = f"grey matter's median t {t[best]:.2f} with {best} repeats, {t[-1]:.2f} with all {len(order)}"
    return Marks({i: f"enable: displacement {moved[i]:.2f} mm; {gain}" for i in order[best:]})


def _median_t(grey: np.ndarray, order: list[int]) -> np.ndarray:
    """The median over voxels of the t against zero of the first k repeats in this order, for k from 0 to all; 0 for k < 2."""
    t = np.zeros(len(order) + 1)
    total, squares, count = np.zeros(len(grey)), np.zeros(len(grey)), np.zeros(len(grey))
    for number, i in enumerate(order, start=1):
        value = grey[:, i]
        here = np.isfinite(value)
        total += np.where(here, value, 0)
        squares += np.where(here, value, 0) ** 2
        count += here
        enough = count > 1
        mean = total[enough] / count[enough]
        spread = np.sqrt(np.maximum(squares[enough] - count[enough] * mean**2, 0) / (count[enough] - 1))
        varies = spread > 0
        t[number] = np.median(np.sqrt(count[enough][varies]) * mean[varies] / spread[varies]) if varies.any() else 0
    return t


_RULES: dict[str, Callable[[Measured, settings.Outliers, Thresholds], Marks]] = {
    "motion": _motion,
    "score": _score,
    "enable": _enable,
    "global": _global,
    "slices": _slices,
}
RULES = tuple(_RULES)
