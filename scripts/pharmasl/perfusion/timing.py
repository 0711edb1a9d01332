"""The acquisition parameters that quantification needs, checked before any arithmetic."""

import math
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import InputError
from pharmasl.perfusion import kinetics

# Parameter: BIDS field, unit.
FIELDS = {
    "post_labeling_delay": ("PostLabelingDelay", "s"),
    "labeling_duration": ("LabelingDuration", "s"),
    "bolus_cutoff_delay": ("BolusCutOffDelayTime", "s"),
    "bolus_duration": ("BolusCutOffDelayTime", "s"),
    "labeling_efficiency": ("LabelingEfficiency", "1"),
    "t1_blood": ("T1 of blood", "s"),
    "t1_tissue": ("T1 of tissue", "s"),
    "partition_coefficient": ("blood-brain partition coefficient", "mL/g"),
    "repetition_time": ("RepetitionTimePreparation", "s"),
    "m0_repetition_time": ("RepetitionTimePreparation of the M0 image", "s"),
    "m0_estimate": ("M0Estimate", "signal"),
    "m0_scale": ("perfusion.m0.scale", "1"),
    "echo_time": ("EchoTime", "s"),
    "m0_echo_time": ("EchoTime of the M0 image", "s"),
    "t2_star": ("T2* of tissue", "s"),
    "slice_timing": ("SliceTiming", "s"),
}


def positive(acquisition, name, series, most=math.inf):
    """A parameter that must be a number above zero.

    Parameters
    ----------
    acquisition : dict
    name : str
        A key of :data:`FIELDS`.
    series : path-like
        Named in the error.
    most : float
        The largest value that makes sense.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If it is missing, no single number, or outside (0, ``most``].
    """
    value = acquisition.get(name)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number <= most or math.isinf(number):
        field, unit = FIELDS[name]
        limit = "above 0" if most == math.inf else f"above 0 and at most {most:g}"
        raise InputError(
            series,
            field,
            value,
            f"one number {limit} ({unit})",
            "Correct the sidecar, or set the value in the configuration.",
        )
    return number


@dataclass(frozen=True)
class Timing:
    """When a series was labelled and read.

    Attributes
    ----------
    group : ndarray of int, shape (T,)
        Number of each volume's delay; 0 where it has none.
    delay : ndarray of shape (P,)
        Post-labelling delay of each, or inversion time, seconds.
    duration : ndarray of shape (P,)
        Labelling duration of each, or bolus duration (infinite where nothing cuts it off), seconds.
    offset : ndarray of shape (slices,)
        Readout of each slice after the first one's, seconds.
    axis : int
        Of the image's axes, that of the slices: 0, 1 or 2.
    fixed : float or None
        Time over which the label decays, where a formula takes one for all voxels.
    """

    group: np.ndarray
    delay: np.ndarray
    duration: np.ndarray
    offset: np.ndarray
    axis: int = 2
    fixed: float | None = None

    @property
    def several(self):
        """Whether the series has more than one delay."""
        return len(self.delay) > 1


def timing(acquisition, series, shape, q2tips="consensus"):
    """The delays of a series.

    Parameters
    ----------
    acquisition : dict
        As the study stage resolves it; ``post_labeling_delay`` and ``labeling_duration`` are numbers, or lists of one a
        volume with None where it does not apply.
    series : path-like
        Named in errors.
    shape : tuple of int
        Voxels along the three axes of the image; ``acquisition["slice_axis"]`` says which is that of the slices (the
        third unless told).
    q2tips : str
        Of :func:`kinetics.decay_time`.

    Returns
    -------
    Timing
        Delays ascend.

    Raises
    ------
    InputError
        If a value is missing or senseless, or the number of slice times is not that of slices.
    """
    types, kind = acquisition["volume_types"], acquisition.get("labeling_type")
    if kind not in ("PCASL", "CASL", "PASL"):
        raise InputError(
            series, "ArterialSpinLabelingType", kind, "PCASL, CASL or PASL", "Correct the sidecar of the series."
        )
    pulsed = kind == "PASL"
    delays = _each(acquisition, "post_labeling_delay", len(types), series)
    durations = [None] * len(types) if pulsed else _each(acquisition, "labeling_duration", len(types), series)
    measured = [
        (delay, duration)
        for delay, duration, name in zip(delays, durations, types)
        if name in ("control", "label", "deltam")
    ]
    distinct = sorted(set(measured))
    for delay, duration in distinct:
        positive({"post_labeling_delay": delay}, "post_labeling_delay", series, 10)
        if not pulsed:
            positive({"labeling_duration": duration}, "labeling_duration", series, 10)
    number = {pair: index for index, pair in enumerate(distinct)}
    group = np.array([number.get(pair, 0) for pair in zip(delays, durations)], dtype=int)
    delay = np.array([pair[0] for pair in distinct])
    fixed = None
    if pulsed:
        duration = np.array([_bolus(acquisition, series, each, several=len(distinct) > 1) for each in delay])
        technique, cutoff = acquisition.get("bolus_cutoff_technique"), acquisition.get("bolus_cutoff_delay")
        last = kinetics.decay_time(technique, cutoff, None, q2tips)
        fixed = None if last is None else float(last)
    else:
        duration = np.array([pair[1] for pair in distinct])
    axis = acquisition.get("slice_axis")
    axis = 2 if axis is None else axis
    return Timing(group, delay, duration, _offsets(acquisition, series, shape[axis]), axis, fixed)


def _each(acquisition, name, count, series):
    value = acquisition.get(name)
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        field, unit = FIELDS[name]
        raise InputError(
            series, field, f"{len(value)} values", f"{count}, one a volume ({unit})", "Correct the sidecar."
        )
    return list(value)


def _offsets(acquisition, series, n_slices):
    times = acquisition.get("slice_timing")
    if times is not None and (len(times) != n_slices or not all(0 <= t < 60 for t in times)):
        raise InputError(
            series,
            "SliceTiming",
            times,
            f"{n_slices} times, one for each slice, in seconds",
            "Correct the sidecar of the series.",
        )
    return kinetics.slice_delays(0.0, times, n_slices)


def _bolus(acquisition, series, inversion_time, several):
    technique, delay = acquisition.get("bolus_cutoff_technique"), acquisition.get("bolus_cutoff_delay")
    if technique is None and delay is None:
        # FAIR without a cut-off: the label still flows in at the readout.
        return np.inf if several else inversion_time
    first = delay[0] if isinstance(delay, list | tuple) and delay else delay
    positive({"bolus_cutoff_delay": first}, "bolus_cutoff_delay", series, 10)
    if several and first >= inversion_time:
        # The readout begins before the cut-off: the label still flows in (Buxton 1998).
        return np.inf
    try:
        duration = kinetics.bolus_duration(technique, first, inversion_time)
    except KeyError:
        raise InputError(
            series,
            "BolusCutOffTechnique",
            technique,
            "QUIPSSII, Q2TIPS or QUIPSS",
            "A pulsed series with another bolus cut-off cannot be quantified.",
        ) from None
    return positive({"bolus_duration": duration}, "bolus_duration", series, inversion_time)


@dataclass(frozen=True)
class Constants:
    """What the kinetic model of a series takes beside its delays.

    Attributes
    ----------
    pulsed : bool
    labeling_efficiency : float
    t1_blood : float
        Seconds.
    partition_coefficient : float
        mL/g.
    """

    pulsed: bool
    labeling_efficiency: float
    t1_blood: float
    partition_coefficient: float

    def factor(self, delay, duration):
        """CBF over deltaM / M0 (:func:`kinetics.continuous` or :func:`kinetics.pulsed`), mL/100 g/min."""
        formula = kinetics.pulsed if self.pulsed else kinetics.continuous
        return formula(delay, duration, self.labeling_efficiency, self.t1_blood, self.partition_coefficient)


def constants(acquisition, series):
    """The constants of a series' kinetic model.

    Raises
    ------
    InputError
        If one is missing or senseless.
    """
    return Constants(
        acquisition["labeling_type"] == "PASL",
        positive(acquisition, "labeling_efficiency", series, 1),
        positive(acquisition, "t1_blood", series, 10),
        positive(acquisition, "partition_coefficient", series, 2),
    )
