"""The general kinetic model of arterial spin labelling, and the consensus formulas that invert it for a single delay.

Buxton et al. (1998, doi 10.1002/mrm.1910400308): the difference of control and label at a time t is the label delivered
up to t, less what has decayed since,

    deltaM(t) = 2 (M0 / partition_coefficient) CBF / 6000 * integral of delivery(s) * exp(-(t - s) / T1) over s <= t,

where delivery(s) is labeling_efficiency * exp(-ATT / t1_blood) for continuous and labeling_efficiency *
exp(-s / t1_blood) for pulsed labelling while the bolus arrives, ATT <= s <= ATT + duration, and zero else. Buxton's venous
outflow is part of 1 / T1 = 1 / T1 of tissue + CBF / 6000 / partition_coefficient; the consensus on multi-delay imaging
(Woods et al. 2024, doi 10.1002/mrm.30091) takes the T1 of blood for T1.

For label that has wholly arrived and T1 that of blood, the arrival time drops out and the model inverts to Alsop et al.
2015 (doi 10.1002/mrm.25197), equations 1 and 2: ``CBF = factor * deltaM / M0``. Times are seconds, CBF is mL/100 g/min.
"""

from collections.abc import Sequence

import numpy as np

# mL/g/s to mL/100 g/min: 60 s in a minute times 100 g.
PER_MINUTE_AND_100_G = 6000.0

COMPUTED = "CBF as the scanner computed it"
CONTINUOUS = (
    "CBF = 6000 * partition_coefficient * deltaM * exp(post_labeling_delay / t1_blood) / "
    "(2 * labeling_efficiency * t1_blood * M0 * (1 - exp(-labeling_duration / t1_blood)))"
)
PULSED = (
    "CBF = 6000 * partition_coefficient * deltaM * exp(post_labeling_delay / t1_blood) / "
    "(2 * labeling_efficiency * bolus_duration * M0)"
)

KNOWN_CONTINUOUS = (
    "CBF = 6000 * partition_coefficient * deltaM / (2 * labeling_efficiency * t1_tissue * M0 * exp(-transit_time / t1_blood) * "
    "(exp(-max(post_labeling_delay - transit_time, 0) / t1_tissue) - "
    "exp(-(post_labeling_delay + labeling_duration - transit_time) / t1_tissue)))"
)
KNOWN_PULSED = (
    "CBF = 6000 * partition_coefficient * deltaM / (2 * labeling_efficiency * M0 * exp(-transit_time / t1_blood) * "
    "exp(-(post_labeling_delay - transit_time) / t1_tissue) * (exp(k * inflow) - 1) / k), k = 1 / t1_tissue - 1 / t1_blood, "
    "inflow = min(bolus_duration, post_labeling_delay - transit_time)"
)


def continuous(
    post_labeling_delay: float | np.ndarray,
    labeling_duration: float | np.ndarray,
    labeling_efficiency: float,
    t1_blood: float,
    partition_coefficient: float,
) -> np.ndarray:
    """The factor of continuous and pseudo-continuous labelling (Alsop 2015, equation 1).

    Parameters
    ----------
    post_labeling_delay : float or ndarray
        Seconds; an array gives a factor for each voxel (slice-timed delays).
    labeling_duration : float
        Seconds.
    labeling_efficiency : float
        0 to 1.
    t1_blood : float
        Seconds.
    partition_coefficient : float
        Blood-brain partition coefficient of water, mL/g.

    Returns
    -------
    float or ndarray
        mL/100 g/min.
    """
    delivered = 2 * labeling_efficiency * t1_blood * -np.expm1(-labeling_duration / t1_blood)
    return PER_MINUTE_AND_100_G * partition_coefficient * np.exp(post_labeling_delay / t1_blood) / delivered


def pulsed(
    inversion_time: float | np.ndarray,
    bolus_duration: float | np.ndarray,
    labeling_efficiency: float,
    t1_blood: float,
    partition_coefficient: float,
) -> np.ndarray:
    """The factor of pulsed labelling with a bolus of known duration (Alsop 2015, equation 2).

    Parameters
    ----------
    inversion_time : float or ndarray
        From the labelling pulse to the readout, seconds: BIDS' ``PostLabelingDelay`` of a pulsed series.
    bolus_duration : float or ndarray
        Seconds; see :func:`bolus_duration`. Without a cut-off (FAIR of a single inversion time) all blood that the
        inversion time lets in counts: give the inversion time itself. That takes the label to arrive at once; where it
        arrives after ATT, CBF comes out too low by the factor 1 - ATT / inversion_time.
    labeling_efficiency, t1_blood, partition_coefficient : float
        As for :func:`continuous`.

    Returns
    -------
    float or ndarray
        mL/100 g/min.
    """
    delivered = 2 * labeling_efficiency * bolus_duration
    return PER_MINUTE_AND_100_G * partition_coefficient * np.exp(inversion_time / t1_blood) / delivered


def known_continuous(
    post_labeling_delay: float | np.ndarray,
    labeling_duration: float | np.ndarray,
    transit_time: np.ndarray,
    t1_tissue: float | np.ndarray,
    labeling_efficiency: float,
    t1_blood: float,
    partition_coefficient: float,
) -> np.ndarray:
    """The factor of continuous labelling where transit time and T1 of tissue are known (Buxton 1998, equation 5, inverted).

    Parameters
    ----------
    post_labeling_delay, labeling_duration : float or ndarray
        As for :func:`continuous`; all arrays broadcast against each other.
    transit_time : ndarray
        Arterial transit time, seconds.
    t1_tissue : float or ndarray
        T1 with which label decays once it is in tissue, seconds. With that of blood, label that has all arrived gives
        :func:`continuous`.
    labeling_efficiency, t1_blood, partition_coefficient : float
        As for :func:`continuous`.

    Returns
    -------
    ndarray
        mL/100 g/min; infinite where no label has arrived.
    """
    after = np.asarray(post_labeling_delay - transit_time)
    inflow = np.clip(after + labeling_duration, 0, labeling_duration)
    arrived = t1_tissue * np.exp(-transit_time / t1_blood - np.maximum(after, 0) / t1_tissue)
    delivered = arrived * -np.expm1(-inflow / t1_tissue)
    with np.errstate(divide="ignore"):
        return PER_MINUTE_AND_100_G * partition_coefficient / (2 * labeling_efficiency * delivered)


def known_pulsed(
    inversion_time: float | np.ndarray,
    bolus_duration: float | np.ndarray,
    transit_time: np.ndarray,
    t1_tissue: float | np.ndarray,
    labeling_efficiency: float,
    t1_blood: float,
    partition_coefficient: float,
) -> np.ndarray:
    """The factor of pulsed labelling where transit time and T1 of tissue are known (Buxton 1998, equation 3, inverted).

    Parameters
    ----------
    inversion_time : float or ndarray
        As for :func:`pulsed`.
    bolus_duration : float or ndarray
        Seconds; infinite where nothing cuts the bolus off, which then flows in until the readout.
    transit_time, t1_tissue
        As for :func:`known_continuous`.
    labeling_efficiency, t1_blood, partition_coefficient : float
        As for :func:`continuous`.

    Returns
    -------
    ndarray
        mL/100 g/min; infinite where no label has arrived.
    """
    since = np.asarray(inversion_time - transit_time)
    inflow = np.clip(since, 0, bolus_duration)
    rate = 1 / np.asarray(t1_tissue, dtype=np.float64) - 1 / t1_blood
    # The mean over the bolus of the decay in blood that it was spared; 1 where blood and tissue decay alike.
    power = rate * inflow
    alike = np.abs(power) < 1e-9
    spared = np.where(alike, 1 + power / 2, np.expm1(power) / np.where(alike, 1, power))
    delivered = inflow * spared * np.exp(-transit_time / t1_blood - np.maximum(since, 0) / t1_tissue)
    with np.errstate(divide="ignore"):
        return PER_MINUTE_AND_100_G * partition_coefficient / (2 * labeling_efficiency * delivered)


def bolus_duration(technique: str, cutoff_delay: float | Sequence[float], inversion_time: float) -> float:
    """Seconds of labelled blood that a bolus cut-off technique lets through.

    QUIPSS II (Wong 1998, doi 10.1002/mrm.1910390506) and Q2TIPS (Luh 1999) end the bolus at the first saturation, TI1.
    QUIPSS saturates the imaging slices instead, so that what arrives after TI1 counts: TI2 - TI1.

    Parameters
    ----------
    technique : str
        ``"QUIPSSII"``, ``"Q2TIPS"`` or ``"QUIPSS"``, as BIDS' ``BolusCutOffTechnique``.
    cutoff_delay : float or sequence of float
        TI1, seconds: the first entry of a sequence (Q2TIPS lists the first and last saturation).
    inversion_time : float
        TI or TI2, seconds.

    Returns
    -------
    float

    Raises
    ------
    KeyError
        If the technique is none of the three.
    """
    first = float(np.ravel(cutoff_delay)[0])
    return {"QUIPSSII": first, "Q2TIPS": first, "QUIPSS": inversion_time - first}[technique]


def decay_time(
    technique: str | None,
    cutoff_delay: float | Sequence[float] | None,
    inversion_time: float | np.ndarray | None,
    q2tips: str,
) -> float | np.ndarray | None:
    """The time over which pulsed label decays with the T1 of blood: the ``inversion_time`` of :func:`pulsed`.

    It is the inversion time. A manufacturer's formula for Q2TIPS (as Noguchi et al. 2015 report it) counts to the last
    saturation of the bolus, TI2, instead. That lies before the readout, so that CBF is lower by the factor
    exp((TI2 - TI) / t1_blood), and slices read one after the other all have the same delay.

    Parameters
    ----------
    technique : str
        As for :func:`bolus_duration`.
    cutoff_delay : float or sequence of float
        Seconds; the last entry is that of the last saturation.
    inversion_time : float or ndarray
        Seconds.
    q2tips : str
        ``"consensus"``, or ``"commercial"`` for the manufacturer's formula. Other techniques are the same in both.

    Returns
    -------
    float or ndarray

    Raises
    ------
    KeyError
        If ``q2tips`` is neither.
    """
    commercial = {"consensus": False, "commercial": True}[q2tips]
    if commercial and technique == "Q2TIPS":
        return float(np.atleast_1d(np.asarray(cutoff_delay, dtype=float))[-1])
    return inversion_time


def slice_delays(post_labeling_delay: float, slice_timing: Sequence[float] | None, n_slices: int) -> np.ndarray:
    """The delay of each slice: slices of a two-dimensional readout are acquired one after the other.

    Parameters
    ----------
    post_labeling_delay : float
        Of the first slice acquired, seconds.
    slice_timing : sequence of float or None
        Readout of each slice (third axis) after the first one's, seconds; None for a three-dimensional readout.
    n_slices : int

    Returns
    -------
    ndarray of shape (n_slices,)
    """
    offsets = np.zeros(n_slices) if slice_timing is None else np.asarray(slice_timing, dtype=np.float64)
    return post_labeling_delay + offsets
