"""What the correction of a scan for susceptibility distortion needs to know."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pharmasl.study.field_maps import FieldMap
from pharmasl.study.phase_encoding import PhaseEncoding


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """The distortion of a scan's images, by their phase encoding.

    Attributes
    ----------
    series : pharmasl.study.phase_encoding.PhaseEncoding
    m0 : pharmasl.study.phase_encoding.PhaseEncoding or None
        Of a separate M0 image; None where M0 is of the series itself, or a number.
    """

    series: PhaseEncoding
    m0: PhaseEncoding | None = None

    def plain(self) -> dict[str, Any]:
        """All fields as plain values, as a rule's params hold them."""
        return {"series": _plain(self.series), "m0": _plain(self.m0) if self.m0 else None}


@dataclass(frozen=True, kw_only=True)
class Correction:
    """How a scan's distortion is corrected.

    Attributes
    ----------
    distortion : Distortion
    field_map : pharmasl.study.field_maps.FieldMap
    """

    distortion: Distortion
    field_map: FieldMap

    def plain_map(self) -> dict[str, Any]:
        """What the field map's job reads beside the images: without the paths, which are inputs."""
        own = self.field_map
        return {"kind": own.kind, "echo_difference": own.echo_difference, "units": own.units}


def build(values: Mapping[str, Any] | None) -> Distortion | None:
    """A distortion from the plain values of :meth:`Distortion.plain`; None stays None."""
    if values is None:
        return None
    own = values["m0"]
    return Distortion(series=PhaseEncoding(**values["series"]), m0=PhaseEncoding(**own) if own else None)


def _plain(encoding: PhaseEncoding) -> dict[str, Any]:
    return {"direction": encoding.direction, "readout_time": encoding.readout_time}
