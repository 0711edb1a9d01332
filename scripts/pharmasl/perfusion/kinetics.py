"""The consensus formulas that turn a perfusion difference into cerebral blood flow.

All are closed forms of the general kinetic model of Buxton et al. (1998, doi 10.1002/mrm.1910400308) for label that has
wholly arrived and decays with the T1 of blood: Alsop et al. 2015 (doi 10.1002/mrm.25197), equations 1 and 2. Each has the
shape ``CBF = factor * deltaM / M0``; the functions here give the factor. Times are seconds, CBF is mL/100 g/min.
"""

import numpy as np

# mL/g/s to mL/100 g/min: 60 s in a minute times 100 g.
PER_MINUTE_AND_100_G = 6000.0

CONTINUOUS = (
    "CBF = 6000 * partition_coefficient * deltaM * exp(post_labeling_delay / t1_blood) / "
    "(2 * labeling_efficiency * t1_blood * M0 * (1 - exp(-labeling_duration / t1_blood)))"
)
PULSED = (
    "CBF = 6000 * partition_coefficient * deltaM * exp(post_labeling_delay / t1_blood) / "
    "(2 * labeling_efficiency * bolus_duration * M0)"
)


def continuous(post_labeling_delay, labeling_duration, labeling_efficiency, t1_blood, partition_coefficient):
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


def pulsed(inversion_time, bolus_duration, labeling_efficiency, t1_blood, partition_coefficient):
    """The factor of pulsed labelling with a bolus of known duration (Alsop 2015, equation 2).

    Parameters
    ----------
    inversion_time : float or ndarray
        From the labelling pulse to the readout, seconds: BIDS' ``PostLabelingDelay`` of a pulsed series.
    bolus_duration : float
        Seconds; see :func:`bolus_duration`.
    labeling_efficiency, t1_blood, partition_coefficient : float
        As for :func:`continuous`.

    Returns
    -------
    float or ndarray
        mL/100 g/min.
    """
    delivered = 2 * labeling_efficiency * bolus_duration
    return PER_MINUTE_AND_100_G * partition_coefficient * np.exp(inversion_time / t1_blood) / delivered


def bolus_duration(technique, cutoff_delay, inversion_time):
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


def slice_delays(post_labeling_delay, slice_timing, n_slices):
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
