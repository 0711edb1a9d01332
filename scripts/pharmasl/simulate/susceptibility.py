"""What is asked of the simulated magnetic field: its size, how the runs are encoded, and what map of it a session has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.study.distortion import PhaseEncoding

# By which a run names its field map.
IDENTIFIER = "field"

# What each direction is called, of axes that run to the right and to the front.
LABELS = {"i": "LR", "i-": "RL", "j": "PA", "j-": "AP"}


@dataclass(frozen=True, kw_only=True)
class Susceptibility:
    """What is simulated of the field, and of its maps.

    Attributes
    ----------
    hertz : float
        Mean over people of the field in the vmPFC; 0 for no field.
    people : float
        Standard deviation over people of it, as a share.
    direction : str
        BIDS' ``PhaseEncodingDirection`` of the runs.
    readout_time : float
        BIDS' ``TotalReadoutTime``, seconds.
    dropout : bool
        Whether the field's change across a slice of a 2D readout takes signal away.
    field_map : str
        What a session has: ``"phasediff"``, ``"opposed"`` or ``"none"``.
    """

    hertz: float
    people: float
    direction: str
    readout_time: float
    dropout: bool
    field_map: str

    @property
    def planted(self) -> bool:
        """Whether there is a field."""
        return self.hertz != 0

    @property
    def encoding(self) -> PhaseEncoding:
        """The phase encoding of the runs."""
        return PhaseEncoding(direction=self.direction, readout_time=self.readout_time)

    @property
    def opposed(self) -> PhaseEncoding:
        """The one that runs against it."""
        turned = self.direction[0] if self.direction.endswith("-") else f"{self.direction}-"
        return PhaseEncoding(direction=turned, readout_time=self.readout_time)

    @property
    def blurred_axes(self) -> tuple[int, ...]:
        """The axes along which tissue has the scanner's point spread before it is read out."""
        return tuple(axis for axis in range(3) if not self.planted or axis != self.encoding.axis)


def field_names(asked: Susceptibility) -> list[str]:
    """The last parts of the names of a session's images, in their order; none where there is no field or no map of it.

    Parameters
    ----------
    asked : Susceptibility
    """
    if asked.planted and asked.field_map == "phasediff":
        return ["magnitude1", "magnitude2", "phasediff"]
    if asked.planted and asked.field_map == "opposed":
        return [f"dir-{LABELS[own.direction]}_epi" for own in (asked.encoding, asked.opposed)]
    return []


def encoded(encoding: PhaseEncoding) -> dict[str, Any]:
    """The fields of a sidecar that state an image's phase encoding."""
    return {"PhaseEncodingDirection": encoding.direction, "TotalReadoutTime": encoding.readout_time}


def millimetres(asked: Susceptibility, voxel_size: Sequence[float]) -> float:
    """How far a Hz displaces what the runs show, mm."""
    return asked.readout_time * voxel_size[asked.encoding.axis]
