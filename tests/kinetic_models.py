"""Forward models of arterial spin labelling: the difference that a perfusion would give, for planting and for comparison.

Buxton et al. (1998, doi 10.1002/mrm.1910400308) and Woods et al. (2024, doi 10.1002/mrm.30091), as
:mod:`pharmasl.perfusion.kinetics` describes them.
"""

import numpy as np
from pharmasl.perfusion import multidelay, timing
from pharmasl.perfusion.kinetics import PER_MINUTE_AND_100_G


def fit(relative, delays, *, kind, bolus, weights=None, noise=None, t1_tissue=None, **options):
    """The multi-delay fit from plain values: constants and options by their names."""
    names = ("labeling_efficiency", "t1_blood", "partition_coefficient")
    constants = timing.Constants(kind == "pulsed", *(options.pop(name) for name in names))
    chosen = multidelay.Options(**{"arterial": False, "att_bounds": (0.0, 3.0)} | options)
    return multidelay.fit(
        relative,
        delays,
        bolus=bolus,
        constants=constants,
        options=chosen,
        t1_tissue=t1_tissue,
        weights=weights,
        noise=noise,
    )


def continuous_difference(
    cbf,
    arrival_time,
    post_labeling_delay,
    labeling_duration,
    labeling_efficiency,
    t1_blood,
    partition_coefficient,
    t1_tissue=None,
):
    """DeltaM / M0 of tissue under continuous or pseudo-continuous labelling, whether label has arrived, arrives or has not.

    Parameters
    ----------
    cbf : float or ndarray
        mL/100 g/min. Arguments may be arrays that broadcast against each other.
    arrival_time : float or ndarray
        ATT: from the labelling plane to tissue, seconds.
    post_labeling_delay : float or ndarray
        Seconds.
    labeling_duration : float or ndarray
        Seconds.
    labeling_efficiency : float
        0 to 1, with the loss by background suppression.
    t1_blood : float
        Seconds.
    partition_coefficient : float
        mL/g
    t1_tissue : float or ndarray, optional
        Seconds, with which label in tissue decays; the outflow's share, 1 / T1 = 1 / T1 of tissue + CBF / 6000 /
        partition_coefficient, is the caller's. The default is ``t1_blood`` (Woods 2024).

    Returns
    -------
    float or ndarray
        Buxton 1998, equation 5; Woods 2024.
    """
    t1 = t1_blood if t1_tissue is None else t1_tissue
    after = np.asarray(post_labeling_delay) - arrival_time  # the last label's arrival until the readout
    inflow = np.clip(after + labeling_duration, 0, labeling_duration)
    delivered = -np.expm1(-inflow / t1) * t1 * np.exp(-np.maximum(after, 0) / t1 - arrival_time / t1_blood)
    return 2 * labeling_efficiency / partition_coefficient / PER_MINUTE_AND_100_G * cbf * delivered


def pulsed_difference(
    cbf,
    arrival_time,
    inversion_time,
    bolus_duration,
    labeling_efficiency,
    t1_blood,
    partition_coefficient,
    t1_tissue=None,
):
    """DeltaM / M0 of tissue under pulsed labelling, whether the bolus has arrived, arrives or has not.

    Parameters
    ----------
    cbf, arrival_time, labeling_efficiency, t1_blood, partition_coefficient, t1_tissue
        As for :func:`continuous_difference`.
    inversion_time : float or ndarray
        Seconds.
    bolus_duration : float or ndarray
        Seconds; infinite for FAIR without a cut-off.

    Returns
    -------
    float or ndarray
        Buxton 1998, equation 3; Woods 2024.
    """
    t1 = t1_blood if t1_tissue is None else t1_tissue
    since = np.asarray(inversion_time) - arrival_time
    inflow = np.clip(since, 0, bolus_duration)
    # Label in blood decays slower or faster than in tissue; the quotient tends to 1 as the two become equal.
    rate = (1 / np.asarray(t1) - 1 / t1_blood) * inflow
    quotient = np.expm1(rate) / np.where(rate == 0, 1, rate) + (rate == 0)
    delivered = inflow * quotient * np.exp(-np.maximum(since, 0) / t1 - arrival_time / t1_blood)
    return 2 * labeling_efficiency / partition_coefficient / PER_MINUTE_AND_100_G * cbf * delivered


def continuous_arterial(
    blood_volume,
    arrival_time,
    post_labeling_delay,
    labeling_duration,
    labeling_efficiency,
    t1_blood,
    partition_coefficient,
):
    """DeltaM / M0 of label that is still in arteries, under continuous labelling (Woods 2024).

    Parameters
    ----------
    blood_volume : float or ndarray
        aBV, a fraction of the voxel.
    arrival_time : float or ndarray
        aBAT: to the voxel's arteries, seconds.
    post_labeling_delay, labeling_duration, labeling_efficiency, t1_blood, partition_coefficient
        As for :func:`continuous_difference`. M0 of arterial blood is M0 / partition_coefficient.

    Returns
    -------
    float or ndarray
        Label is there if PLD < aBAT <= PLD + labelling duration.
    """
    delay = np.asarray(post_labeling_delay)
    there = (delay < arrival_time) & (arrival_time <= delay + labeling_duration)
    return 2 * labeling_efficiency / partition_coefficient * blood_volume * np.exp(-arrival_time / t1_blood) * there


def pulsed_arterial(
    blood_volume,
    arrival_time,
    inversion_time,
    bolus_duration,
    labeling_efficiency,
    t1_blood,
    partition_coefficient,
):
    """DeltaM / M0 of label that is still in arteries, under pulsed labelling (Woods 2024).

    Parameters
    ----------
    blood_volume, arrival_time
        As for :func:`continuous_arterial`.
    inversion_time, bolus_duration, labeling_efficiency, t1_blood, partition_coefficient
        As for :func:`pulsed_difference`.

    Returns
    -------
    float or ndarray
        Label is there if TI - bolus duration < aBAT <= TI.
    """
    time = np.asarray(inversion_time)
    there = (time - bolus_duration < arrival_time) & (arrival_time <= time)
    return 2 * labeling_efficiency / partition_coefficient * blood_volume * np.exp(-time / t1_blood) * there
