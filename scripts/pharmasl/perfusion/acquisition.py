"""The acquisition parameters that quantification needs, checked before any arithmetic."""

import math

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
            "Mend the sidecar, or set the value in the configuration.",
        )
    return number


def constants(acquisition, series, n_slices):
    """The constants of the CBF equation for one series.

    Parameters
    ----------
    acquisition : dict
        As the study stage resolves it (see the configuration's manual).
    series : path-like
        Named in errors.
    n_slices : int
        Slices along the third axis.

    Returns
    -------
    equation : str
    values : dict
        Name to value, in SI seconds, of every constant that the equation holds; ``slice_timing`` too where given.

    Raises
    ------
    InputError
        If a value is missing or senseless, or the number of slice times is not that of slices.
    """
    values = {"post_labeling_delay": positive(acquisition, "post_labeling_delay", series, 10)}
    kind = acquisition.get("labeling_type")
    if kind in ("PCASL", "CASL"):
        equation = kinetics.CONTINUOUS
        values["labeling_duration"] = positive(acquisition, "labeling_duration", series, 10)
    elif kind == "PASL":
        equation = kinetics.PULSED
        values["bolus_duration"] = _bolus(acquisition, series, values["post_labeling_delay"])
    else:
        raise InputError(
            series, "ArterialSpinLabelingType", kind, "PCASL, CASL or PASL", "Mend the sidecar of the series."
        )
    values["labeling_efficiency"] = positive(acquisition, "labeling_efficiency", series, 1)
    values["t1_blood"] = positive(acquisition, "t1_blood", series, 10)
    values["partition_coefficient"] = positive(acquisition, "partition_coefficient", series, 2)
    timing = acquisition.get("slice_timing")
    if timing is not None:
        if len(timing) != n_slices or not all(0 <= t < 60 for t in timing):
            raise InputError(
                series,
                "SliceTiming",
                timing,
                f"{n_slices} times, one for each slice along the third axis, in seconds",
                "Mend the sidecar of the series.",
            )
        values["slice_timing"] = [float(t) for t in timing]
    return equation, values


def _bolus(acquisition, series, inversion_time):
    technique, delay = acquisition.get("bolus_cutoff_technique"), acquisition.get("bolus_cutoff_delay")
    first = delay[0] if isinstance(delay, list | tuple) and delay else delay
    positive({"bolus_cutoff_delay": first}, "bolus_cutoff_delay", series, 10)
    try:
        duration = kinetics.bolus_duration(technique, first, inversion_time)
    except KeyError:
        raise InputError(
            series,
            "BolusCutOffTechnique",
            technique,
            "QUIPSSII, Q2TIPS or QUIPSS",
            "A pulsed series without a bolus cut-off has no known bolus duration and cannot be quantified.",
        ) from None
    return positive({"bolus_duration": duration}, "bolus_duration", series, inversion_time)


def factor(values, delays):
    """CBF over deltaM / M0.

    Parameters
    ----------
    values : dict
        As :func:`constants` gives it.
    delays : float or ndarray
        Delay of each voxel, seconds: :func:`kinetics.slice_delays` of each voxel's slice.

    Returns
    -------
    float or ndarray
        mL/100 g/min.
    """
    shared = (values["labeling_efficiency"], values["t1_blood"], values["partition_coefficient"])
    if "labeling_duration" in values:
        return kinetics.continuous(delays, values["labeling_duration"], *shared)
    return kinetics.pulsed(delays, values["bolus_duration"], *shared)
