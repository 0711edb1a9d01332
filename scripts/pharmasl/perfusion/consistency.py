"""What a scan's controls, its M0 and its CBF say about one another: measures of what physics does not allow.

They are measured here, on what lies in memory, and judged with the scan's quality (:mod:`pharmasl.quality.implausible`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.perfusion import estimation, signal
from pharmasl.perfusion.scan import M0, Place, Scan
from pharmasl.perfusion.timing import Timing
from pharmasl.perfusion.volumes import Volumes
from pharmasl.space import resample
from pharmasl.study.scan_acquisition import Acquisition

# Under background suppression static tissue has lost most of its signal, so that M0 is at least this many times as bright
# as the controls. A control that is called M0 is 1.0 times as bright.
SUPPRESSED = 1.2
# Without it a control holds at most the equilibrium magnetisation; M0 holds a share of 1 - exp(-TR / T1) of that. What M0
# may fall short of that: noise, coil shading and slices out of step.
TOLERANCE = 0.8
# That share where M0's repetition time is not known.
UNKNOWN_SHARE = 0.6
# A pair's level differs from the next one's by less than a third of its series' range in noise: fewer pairs than four
# leave one on a side.
LEAST_SIDE = 2
# Share of grey matter's mean transit time that a delay must leave to the blood. Transit differs from region to region and from
# person to person by tens of per cent, not by half: at a shorter delay the label is in the arteries everywhere.
LEAST_TRANSIT = 0.5
# A voxel of the brain with less than this share of the controls' median is left out of the quotient.
DARK = 0.1


@dataclass(frozen=True)
class Consistency:
    """The measures of one scan; NaN where one does not apply.

    Attributes
    ----------
    m0_over_control : float
        Median over the brain of M0, as the scanner stored it, over the mean control; both on the series' scale.
    m0_over_control_least : float
        What it is at least, given suppression and M0's repetition time.
    suppressed : bool or None
        Whether the controls are said to be suppressed.
    m0_spread : float
        The brightest M0 volume's level in the head over the dimmest one's; 1 for a single volume.
    gain_step : float
        Factor, at least 1, by which the level of the pairs' volumes steps from one pair to the next and stays changed.
    gain_step_volume : int or None
        Number of the first volume after that step.
    zero_share : float
        Share of the brain's voxels with CBF of exactly 0, among those whose CBF is known.
    grey_median : float
        Median CBF of grey matter, mL/100 g/min.
    effective_delay : float
        Of :func:`effective_delay`, seconds.
    effective_delay_least : float
        :data:`LEAST_TRANSIT` of grey matter's mean transit time for this kind of labelling, seconds.
    """

    m0_over_control: float
    m0_over_control_least: float
    suppressed: bool | None
    m0_spread: float
    gain_step: float
    gain_step_volume: int | None
    zero_share: float
    grey_median: float
    effective_delay: float
    effective_delay_least: float

    def record(self) -> dict[str, float | int | bool | None]:
        """As it stands in the scan's sidecar: JSON-able, None where a measure does not apply."""
        values = {
            "M0OverControl": self.m0_over_control,
            "M0OverControlLeast": self.m0_over_control_least,
            "M0Spread": self.m0_spread,
            "GainStep": self.gain_step,
            "ZeroShare": self.zero_share,
            "GreyMatterMedian": self.grey_median,
            "EffectiveDelay": self.effective_delay,
            "EffectiveDelayLeast": self.effective_delay_least,
        }
        return {
            **{name: float(value) if np.isfinite(value) else None for name, value in values.items()},
            "GainStepVolume": self.gain_step_volume,
            "BackgroundSuppression": self.suppressed,
        }


def measure(
    raw: Scan, place: Place, cbf: np.ndarray, acquisition: Acquisition, grey_median: float | None
) -> Consistency:
    """The measures of one scan.

    Parameters
    ----------
    raw : pharmasl.perfusion.scan.Scan
    place : pharmasl.perfusion.scan.Place
        On the scan's own grid, with the realigned series.
    cbf : ndarray of shape (V,)
        Mean CBF in the voxels of the place, NaN where it is not known.
    acquisition : pharmasl.study.scan_acquisition.Acquisition
    grey_median : float or None
        Of :func:`pharmasl.perfusion.plausibility.plausible`.

    Returns
    -------
    Consistency
    """
    cycles = np.zeros(len(raw.volumes.acquired), dtype=int)
    step, volume = gain_step(raw.volumes, cycles if raw.volumes.kind == "encoded" else raw.repeats.group)
    known = cbf[np.isfinite(cbf)]
    delay = least = float("nan")
    if raw.timing is not None and raw.constants is not None:
        delay = effective_delay(raw.timing, pulsed=raw.constants.pulsed)
        least = least_delay(pulsed=raw.constants.pulsed)
    return Consistency(
        m0_over_control=m0_over_control(raw, place),
        m0_over_control_least=least_m0(
            acquisition.background_suppression, acquisition.m0_repetition_time, acquisition.t1_tissue
        ),
        suppressed=acquisition.background_suppression,
        m0_spread=m0_spread(raw.m0),
        gain_step=step,
        gain_step_volume=volume,
        zero_share=float((known == 0).mean()) if known.size else float("nan"),
        grey_median=float("nan") if grey_median is None else grey_median,
        effective_delay=delay,
        effective_delay_least=least,
    )


def effective_delay(timing: Timing, *, pulsed: bool) -> float:
    """The time that the blood labelled last has had to reach the tissue: of the longest delay, at the median slice.

    After continuous labelling this is the post-labelling delay. After a pulse it is the inversion time less the bolus, the
    condition of QUIPSS II (Wong et al. 1998, doi 10.1002/mrm.1910390506), and the whole inversion time of an uncut bolus.

    Parameters
    ----------
    timing : pharmasl.perfusion.timing.Timing
    pulsed : bool

    Returns
    -------
    float
        Seconds.
    """
    # An uncut bolus is infinite among several delays, and as long as the inversion time at a single one.
    bolus = np.where(timing.duration < timing.delay, timing.duration, 0.0) if pulsed else 0.0
    return float(np.max(timing.delay - bolus) + np.median(timing.offset))


def least_delay(*, pulsed: bool) -> float:
    """The effective delay, seconds, below which no grey matter is reached: see :data:`LEAST_TRANSIT`."""
    return LEAST_TRANSIT * estimation.TRANSIT["pulsed" if pulsed else "continuous"]


def m0_over_control(raw: Scan, place: Place) -> float:
    """Median over the brain of M0 (times the configured gain) over the mean control; NaN without both.

    Of several delays, that of the brightest controls counts: their suppression is the weakest, and M0 is brighter still.
    """
    m0 = raw.m0
    if m0.origin not in ("separate", "included", "estimate") or not raw.volumes.show_the_head or not len(place.points):
        return float("nan")
    assert place.series is not None
    shown, group = raw.volumes.pairs[:, 0], raw.repeats.group[raw.repeats.alive]
    if raw.volumes.kind == "encoded":
        shown, group = raw.volumes.encoded, np.zeros(len(raw.volumes.encoded), dtype=int)
    mean = brightest(place.series.T, shown, group)
    if m0.origin == "estimate":
        level = np.full(len(mean), m0.estimate)
    else:
        image = m0.data.mean(axis=3, dtype=np.float64).astype(np.float32) * np.float32(m0.factors.scale)
        level = resample.resample(image, m0.affine, place.points, m0.motion[0] @ place.matrix)
    usable = np.isfinite(level) & np.isfinite(mean)
    if not usable.any():
        return float("nan")
    usable &= mean > DARK * np.median(mean[usable])
    return float(np.median(level[usable] / mean[usable])) if usable.any() else float("nan")


def brightest(values: np.ndarray, control: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The mean of the controls of that delay at which they are brightest.

    Parameters
    ----------
    values : ndarray of shape (V, T)
        The series in the voxels of the brain.
    control, group : ndarray of int, shape (N,)
        Volumes and the delay of each.

    Returns
    -------
    ndarray of shape (V,)
    """
    means = [values[:, control[group == number]].mean(axis=1, dtype=np.float64) for number in np.unique(group)]
    return max(means, key=np.nanmedian)


def least_m0(suppressed: bool | None, repetition_time: float | None, t1: float | None) -> float:
    """The least quotient of M0 over the controls that physics allows: see :data:`SUPPRESSED` and :data:`TOLERANCE`.

    Parameters
    ----------
    suppressed : bool or None
        BIDS' BackgroundSuppression.
    repetition_time, t1 : float or None
        Of the M0 image and of tissue, seconds.

    Returns
    -------
    float
    """
    if suppressed:
        return SUPPRESSED
    share = -np.expm1(-repetition_time / t1) if repetition_time and t1 else UNKNOWN_SHARE
    return float(TOLERANCE * share)


def m0_spread(m0: M0) -> float:
    """The brightest M0 volume's level over the dimmest one's; NaN without M0 volumes."""
    if m0.origin not in ("separate", "included"):
        return float("nan")
    level = signal.levels(m0.data)
    return float(level.max() / level.min()) if level.min() > 0 else float("inf")


def gain_step(volumes: Volumes, group: Sequence[int] | np.ndarray) -> tuple[float, int | None]:
    """The largest lasting step of a series' level from one pair to the next.

    A step lasts if the medians before and after it differ as the neighbours do; the smaller of both differences counts,
    so that neither a slow drift nor a single odd pair is one.

    Parameters
    ----------
    volumes : pharmasl.perfusion.volumes.Volumes
    group : ndarray of int, shape (M,)
        Delay of each row of ``volumes.acquired``, whose levels are compared with their delay's median.

    Returns
    -------
    factor : float
        At least 1; NaN for fewer than two pairs.
    volume : int or None
        The first volume of the pair after the step; None without one.
    """
    if not volumes.show_the_head:
        return float("nan"), None
    assert volumes.level is not None
    with np.errstate(divide="ignore"):
        level = np.log(volumes.level[volumes.acquired].mean(axis=1))
    known = np.flatnonzero(np.isfinite(level))
    level, own = level[known], np.asarray(group)[known]
    for number in np.unique(own):
        level[own == number] -= np.median(level[own == number])
    if len(level) < 2:
        return float("nan"), None
    side = LEAST_SIDE if len(level) >= 2 * LEAST_SIDE else 1
    best, place = 0.0, None
    for k in range(side, len(level) - side + 1):
        lasting, sudden = np.median(level[k:]) - np.median(level[:k]), level[k] - level[k - 1]
        size = min(abs(lasting), abs(sudden))
        if lasting * sudden > 0 and size > best:
            best, place = size, k
    return float(np.exp(best)), None if place is None else int(volumes.acquired[known[place]].min())
