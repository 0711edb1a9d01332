"""How a perfusion scan was acquired, as one frozen object that every stage below the study's reading shares."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pharmasl.study import echo_sum
from pharmasl.study.echo_sum import EchoSum

# A volume of a time-encoded series, labelled by a code of several blocks: neither control nor label.
ENCODED = "encoded"

# The fields on which a scan's alignment depends.
_ALIGNMENT = (
    "volume_types",
    "labeling_type",
    "labeling_duration",
    "post_labeling_delay",
    "bolus_cutoff_delay",
    "bolus_cutoff_technique",
    "slice_timing",
    "slice_axis",
    "background_suppression",
    "m0_type",
    "m0_of_pair",
    "m0_estimate",
    "encoding",
    "echoes",
)


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """The acquisition of one run, and the constants by which it is quantified.

    Times are seconds. A field is None where the run has nothing of the kind, where nothing needs to be known (CBF as the
    scanner computed it), or where a stage is not given what it does not use.

    Attributes
    ----------
    volume_types : tuple of str
        Type of each volume: the rows of the aslcontext.tsv, or :data:`ENCODED`.
    units : str or None
        The sidecar's ``Units``.
    labeling_type : str or None
        ``"PCASL"``, ``"CASL"`` or ``"PASL"``.
    labeling_duration : float, tuple or None
        One for all volumes, or one per volume, with None where it does not apply; of a time-encoded series one per block.
    post_labeling_delay : float, tuple or None
        Likewise; the inversion time of pulsed labelling.
    encoding : tuple of tuple of int, or None
        Of a time-encoded series: of each volume of a cycle (R) and each block (B), 1 where it is control, -1 where label.
    encoding_checked : bool or None
        Whether a scan that contradicts its order or sign is refused.
    encoding_confirmed : str or None
        By what its order is known where the scan does not tell it, as the configuration says.
    bolus_cutoff_delay : float, tuple or None
        Of Q2TIPS the first and the last saturation.
    bolus_cutoff_technique : str or None
        ``"QUIPSSII"``, ``"Q2TIPS"`` or ``"QUIPSS"``.
    slice_timing : tuple of float or None
        Readout of the slices in the order of their indices along ``slice_axis``; None for a 3D readout.
    slice_axis : int or None
        0, 1 or 2.
    background_suppression : bool or None
    suppression_pulses : int or None
    labeling_efficiency : float or None
        Including the loss by suppression pulses.
    m0_type : str or None
        BIDS' ``M0Type``.
    m0_of_pair : bool or None
        Whether the control of each pair is its M0.
    m0_estimate : float or None
        In the units of the images.
    m0_repetition_time, repetition_time : float or None
        Of the M0 image, and of labels and controls.
    m0_echo_time, echo_time : float or None
        Likewise; None where several echoes are summed.
    echoes : EchoSum or None
        How the echoes are summed, of the series and of M0; None where one is taken.
    field_strength : float or None
        Tesla.
    haematocrit : float or None
        From which the T1 of blood was computed, a fraction.
    t1_blood_by : {"measured", "haematocrit"} or None
        By what the T1 of blood is the participant's own; None where it is that of the calibration.
    t1_blood, t1_tissue, t2_star : float or None
    partition_coefficient : float or None
        mL/g.
    total_acquired_pairs : int or None
    fieldmaps : tuple of str
        Names of images by which the run's distortion could be corrected.
    distortion : str or None
        Why the run's distortion is not corrected, and how large it may be; None where it is, or nothing is known of it.
    sources : Mapping of str to str
        The file, the configuration's key or the reference that each value was taken from.
    """

    volume_types: tuple[str, ...]
    units: str | None = None
    labeling_type: str | None = None
    labeling_duration: float | tuple[float | None, ...] | None = None
    post_labeling_delay: float | tuple[float | None, ...] | None = None
    encoding: tuple[tuple[int, ...], ...] | None = None
    encoding_checked: bool | None = None
    encoding_confirmed: str | None = None
    bolus_cutoff_delay: float | tuple[float, ...] | None = None
    bolus_cutoff_technique: str | None = None
    slice_timing: tuple[float, ...] | None = None
    slice_axis: int | None = None
    background_suppression: bool | None = None
    suppression_pulses: int | None = None
    labeling_efficiency: float | None = None
    m0_type: str | None = None
    m0_of_pair: bool | None = None
    m0_estimate: float | None = None
    m0_repetition_time: float | None = None
    repetition_time: float | None = None
    echo_time: float | None = None
    m0_echo_time: float | None = None
    echoes: EchoSum | None = None
    field_strength: float | None = None
    partition_coefficient: float | None = None
    t1_blood: float | None = None
    t1_tissue: float | None = None
    t2_star: float | None = None
    haematocrit: float | None = None
    t1_blood_by: str | None = None
    total_acquired_pairs: int | None = None
    fieldmaps: tuple[str, ...] = ()
    distortion: str | None = None
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def several_delays(self) -> bool:
        """Whether delays or labelling durations differ between volumes."""
        return isinstance(self.post_labeling_delay, tuple) or isinstance(self.labeling_duration, tuple)

    @property
    def quantified(self) -> bool:
        """Whether CBF is to be computed from differences, and not taken as the scanner or another program made it."""
        return self.labeling_type is not None

    @property
    def single_delay(self) -> bool:
        """Whether CBF is to be computed from differences at one delay."""
        return self.quantified and not self.several_delays

    @property
    def echo_times(self) -> tuple[float, ...] | None:
        """Of echoes that are summed, seconds; None where one is taken."""
        return None if self.echoes is None else self.echoes.times

    @property
    def echo_weights(self) -> tuple[float, ...] | None:
        """Of the same echoes; None where one is taken."""
        return None if self.echoes is None else self.echoes.weights

    @property
    def repeats(self) -> int:
        """Estimates of perfusion as acquired: pairs, differences, blocks of time-encoded cycles, or CBF volumes."""
        count = self.volume_types.count
        if self.encoding is not None:
            return count(ENCODED) // len(self.encoding) * len(self.encoding[0])
        return min(count("control"), count("label")) or count("deltam") or count("cbf")

    def plain(self) -> dict[str, Any]:
        """All fields as plain values, as a rule's params hold them: lists for tuples."""
        return {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}

    def plain_for_alignment(self) -> dict[str, Any]:
        """The fields on which the alignment depends: others may change without aligning the scan again."""
        return {name: _plain(getattr(self, name)) for name in _ALIGNMENT}


def build(values: Mapping[str, Any]) -> Acquisition:
    """An acquisition from plain values: tuples for lists.

    Parameters
    ----------
    values : Mapping
        As :meth:`Acquisition.plain` gives them; all but ``volume_types`` may be absent.

    Returns
    -------
    Acquisition

    Raises
    ------
    TypeError
        If a field is unknown, or ``volume_types`` is missing.
    """
    summed = values.get("echoes")
    fixed = {name: _fixed(value) for name, value in values.items() if name != "echoes"}
    return Acquisition(**fixed, echoes=summed if summed is None else echo_sum.build(summed))


def _fixed(value: Any) -> Any:
    return tuple(_fixed(item) for item in value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, EchoSum):
        return value.plain()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value
