"""The acquisition parameters that quantification needs, checked before any arithmetic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.perfusion import kinetics
from pharmasl.study.scan_acquisition import Acquisition

# Parameter: BIDS field, unit.
FIELDS = {
    "post_labeling_delay": ("PostLabelingDelay", "s"),
    "labeling_duration": ("LabelingDuration", "s"),
    "bolus_cutoff_delay": ("BolusCutOffDelayTime", "s"),
    "bolus_duration": ("BolusCutOffDelayTime", "s"),
    "labeling_efficiency": ("LabelingEfficiency", "1"),
    "t1_blood": ("T1 of blood", "s"),
    "t1_tissue": ("T1 of tissue", "s"),
    "transit_time": ("arterial transit time", "s"),
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


def positive(value: float | None, name: str, series: FilePath, most: float = math.inf) -> float:
    """A parameter that must be a number above zero.

    Parameters
    ----------
    value : float or None
    name : str
        A key of :data:`FIELDS`, under which the error names it.
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
    try:
        number = float(value)  # type: ignore[arg-type]
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
        The image's axis along which the slices lie: 0, 1 or 2.
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
    def several(self) -> bool:
        """Whether the series has more than one delay."""
        return len(self.delay) > 1


def timing(acquisition: Acquisition, series: FilePath, shape: Sequence[int]) -> Timing:
    """The delays of a series.

    Parameters
    ----------
    acquisition : pharmasl.study.scan_acquisition.Acquisition
    series : path-like
        Named in errors.
    shape : sequence of int
        Voxels along the three axes of the image; ``acquisition.slice_axis`` says which is that of the slices (the third
        where it is None).

    Returns
    -------
    Timing
        Delays ascend; ``fixed`` is None.

    Raises
    ------
    InputError
        If a value is missing or senseless, or the number of slice times is not that of slices.
    """
    types, kind = acquisition.volume_types, acquisition.labeling_type
    if kind not in ("PCASL", "CASL", "PASL"):
        raise InputError(
            series, "ArterialSpinLabelingType", kind, "PCASL, CASL or PASL", "Correct the sidecar of the series."
        )
    pulsed = kind == "PASL"
    if acquisition.encoding is not None:
        return _of_blocks(acquisition, series, shape)
    delays = _per_volume(acquisition.post_labeling_delay, "post_labeling_delay", len(types), series)
    durations: list[float | None] = [None] * len(types)
    if not pulsed:
        durations = _per_volume(acquisition.labeling_duration, "labeling_duration", len(types), series)
    volumes = list(zip(delays, durations))
    distinct = sorted({pair for pair, name in zip(volumes, types) if name in ("control", "label", "deltam")})
    for delay, duration in distinct:
        positive(delay, "post_labeling_delay", series, 10)
        if not pulsed:
            positive(duration, "labeling_duration", series, 10)
    number = {pair: index for index, pair in enumerate(distinct)}
    delay_of_group = np.array([delay for delay, _ in distinct])
    if pulsed:
        boluses = [_bolus(acquisition, series, delay, several=len(distinct) > 1) for delay in delay_of_group]
        duration_of_group = np.array(boluses)
    else:
        duration_of_group = np.array([duration for _, duration in distinct])
    axis = 2 if acquisition.slice_axis is None else acquisition.slice_axis
    return Timing(
        group=np.array([number.get(pair, 0) for pair in volumes], dtype=int),
        delay=delay_of_group,
        duration=duration_of_group,
        offset=_offsets(acquisition, series, shape[axis]),
        axis=axis,
    )


def _of_blocks(acquisition: Acquisition, series: FilePath, shape: Sequence[int]) -> Timing:
    """The delays of a time-encoded series: the last block's is the first. Its volumes are of all blocks at once."""
    assert acquisition.encoding is not None
    blocks = len(acquisition.encoding[0])
    delays, durations = (
        np.array([positive(value, name, series, 60) for value in _per_volume(values, name, blocks, series)])
        for name, values in (
            ("post_labeling_delay", acquisition.post_labeling_delay),
            ("labeling_duration", acquisition.labeling_duration),
        )
    )
    axis = 2 if acquisition.slice_axis is None else acquisition.slice_axis
    return Timing(
        group=np.zeros(len(acquisition.volume_types), dtype=int),
        delay=delays[::-1],
        duration=durations[::-1],
        offset=_offsets(acquisition, series, shape[axis]),
        axis=axis,
    )


def fixed_decay(acquisition: Acquisition, q2tips: str) -> float | None:
    """The time over which the label decays, seconds, where a formula takes one for all voxels; else None.

    Parameters
    ----------
    acquisition : pharmasl.study.scan_acquisition.Acquisition
    q2tips : str
        Of :func:`pharmasl.perfusion.kinetics.decay_time`.
    """
    if acquisition.labeling_type != "PASL":
        return None
    technique, cutoff = acquisition.bolus_cutoff_technique, acquisition.bolus_cutoff_delay
    last = kinetics.decay_time(technique, cutoff, None, q2tips)
    return None if last is None else float(last)


def _per_volume(
    value: float | Sequence[float | None] | None, name: str, count: int, series: FilePath
) -> list[float | None]:
    if not isinstance(value, Sequence):
        return [value] * count
    if len(value) != count:
        field, unit = FIELDS[name]
        raise InputError(
            series, field, f"{len(value)} values", f"{count}, one per volume ({unit})", "Correct the sidecar."
        )
    return list(value)


def _offsets(acquisition: Acquisition, series: FilePath, n_slices: int) -> np.ndarray:
    times = acquisition.slice_timing
    if times is not None and (len(times) != n_slices or not all(0 <= t < 60 for t in times)):
        raise InputError(
            series,
            "SliceTiming",
            times,
            f"{n_slices} times, one for each slice, in seconds",
            "Correct the sidecar of the series.",
        )
    return kinetics.slice_delays(0.0, times, n_slices)


def _bolus(acquisition: Acquisition, series: FilePath, inversion_time: float, several: bool) -> float:
    technique, delay = acquisition.bolus_cutoff_technique, acquisition.bolus_cutoff_delay
    if technique is None and delay is None:
        # FAIR without a cut-off: the label still flows in at the readout.
        return np.inf if several else inversion_time
    first = positive(delay[0] if isinstance(delay, tuple) else delay, "bolus_cutoff_delay", series, 10)
    if several and first >= inversion_time:
        # The readout begins before the cut-off: the label still flows in (Buxton 1998).
        return np.inf
    try:
        duration = kinetics.bolus_duration(str(technique), first, inversion_time)
    except KeyError:
        raise InputError(
            series,
            "BolusCutOffTechnique",
            technique,
            "QUIPSSII, Q2TIPS or QUIPSS",
            "A pulsed series with another bolus cut-off cannot be quantified.",
        ) from None
    return positive(duration, "bolus_duration", series, inversion_time)


@dataclass(frozen=True)
class Constants:
    """The constants of a series' kinetic model.

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

    def factor(self, delay: float | np.ndarray, duration: float | np.ndarray) -> np.ndarray:
        """CBF over deltaM / M0 (:func:`kinetics.continuous` or :func:`kinetics.pulsed`), mL/100 g/min.

        Parameters
        ----------
        delay : float or ndarray
            Post-labelling delay or inversion time, seconds.
        duration : float or ndarray
            Labelling duration or bolus duration, seconds.
        """
        formula = kinetics.pulsed if self.pulsed else kinetics.continuous
        return formula(delay, duration, self.labeling_efficiency, self.t1_blood, self.partition_coefficient)

    def known_factor(
        self,
        delay: float | np.ndarray,
        duration: float | np.ndarray,
        transit_time: np.ndarray,
        t1_tissue: float | np.ndarray | None,
    ) -> np.ndarray:
        """The same where the transit time is known (:func:`kinetics.known_continuous` or :func:`kinetics.known_pulsed`).

        Parameters
        ----------
        delay, duration : float or ndarray
            As for :meth:`factor`; the duration may be infinite.
        transit_time : ndarray
            Seconds.
        t1_tissue : float, ndarray or None
            Seconds; None for that of blood.
        """
        formula = kinetics.known_pulsed if self.pulsed else kinetics.known_continuous
        t1 = self.t1_blood if t1_tissue is None else t1_tissue
        return formula(
            delay, duration, transit_time, t1, self.labeling_efficiency, self.t1_blood, self.partition_coefficient
        )

    def arrived(self, delay: float | np.ndarray, duration: float | np.ndarray, transit_time: np.ndarray) -> np.ndarray:
        """The share of the bolus that has arrived when a voxel is read; parameters as of :meth:`known_factor`."""
        if self.pulsed:
            length = np.minimum(duration, delay)
            return np.clip(delay - transit_time, 0, length) / length
        return np.clip(delay + duration - transit_time, 0, duration) / duration


def constants(acquisition: Acquisition, series: FilePath) -> Constants:
    """The constants of a series' kinetic model.

    Raises
    ------
    InputError
        If one is missing or senseless.
    """
    return Constants(
        pulsed=acquisition.labeling_type == "PASL",
        labeling_efficiency=positive(acquisition.labeling_efficiency, "labeling_efficiency", series, 1),
        t1_blood=positive(acquisition.t1_blood, "t1_blood", series, 10),
        partition_coefficient=positive(acquisition.partition_coefficient, "partition_coefficient", series, 2),
    )
