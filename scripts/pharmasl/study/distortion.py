"""What the correction of a scan for susceptibility distortion needs to know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Of a direct field map.
UNITS = ("Hz", "rad/s", "T")
# Of phases, where their sidecar says it: radians, or the scanner's own scale.
PHASE_UNITS = ("rad", "arbitrary")
# The kind of field map that two images of opposed phase encoding are.
OPPOSED = "opposed"
# What each kind is, in words.
KINDS = {
    "phasediff": "a map of the phase difference of two echoes",
    "phases": "the phases of two echoes",
    "fieldmap": "a map of the field",
    OPPOSED: "two images of opposed phase encoding",
}


@dataclass(frozen=True, kw_only=True)
class PhaseEncoding:
    """The phase encoding of an image.

    Attributes
    ----------
    direction : str
        BIDS' ``PhaseEncodingDirection``: an axis of the stored voxels (``i``, ``j`` or ``k``), with a minus sign where the
        encoding runs against their indices.
    readout_time : float
        BIDS' ``TotalReadoutTime``, seconds.
    """

    direction: str
    readout_time: float

    @property
    def axis(self) -> int:
        """The axis of the stored voxels: 0, 1 or 2."""
        return "ijk".index(self.direction[0])

    @property
    def voxels_per_hertz(self) -> float:
        """How far signal is displaced along the axis by one Hz: a point at voxel y is read at y plus this times the field.

        The sign is that of BIDS (sdcflows' too): it was checked on a real scan against its own anatomy.
        """
        return -self.readout_time if self.direction.endswith("-") else self.readout_time


@dataclass(frozen=True, kw_only=True)
class FieldMap:
    """A map of the magnetic field's deviation, as it lies in the dataset.

    Attributes
    ----------
    kind : str
        ``"phasediff"`` (one image of the phase difference), ``"phases"`` (the phases of two echoes), ``"fieldmap"``, or
        :data:`OPPOSED`.
    images : tuple of str
        The image; those of both echoes, the earlier first; or the two of opposed phase encoding, the one that is like the series
        first.
    magnitude : str or None
        None where a direct field map has none, and of opposed images.
    echo_difference : float or None
        Seconds between the echoes, of phases.
    units : str or None
        Of a direct field map, one of :data:`UNITS`; of phases what their sidecar says.
    encodings : tuple of PhaseEncoding
        Of opposed images.
    volumes : tuple of (tuple of int or None)
        Which volumes of each opposed image are meant; None for all.
    reason : str
        Why it is the one of this series.
    """

    kind: str
    images: tuple[str, ...]
    magnitude: str | None = None
    echo_difference: float | None = None
    units: str | None = None
    encodings: tuple[PhaseEncoding, ...] = ()
    volumes: tuple[tuple[int, ...] | None, ...] = ()
    reason: str = ""

    @property
    def files(self) -> list[str]:
        """All its images: the field's, and then the magnitude."""
        return [*self.images, *([self.magnitude] if self.magnitude else [])]


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """The distortion of a scan's images, by their phase encoding.

    Attributes
    ----------
    series : PhaseEncoding
    m0 : PhaseEncoding or None
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
    field_map : FieldMap
    """

    distortion: Distortion
    field_map: FieldMap

    def plain_map(self) -> dict[str, Any]:
        """What the field map's job reads beside the images: without the paths, which are inputs."""
        own = self.field_map
        return {
            "kind": own.kind,
            "echo_difference": own.echo_difference,
            "units": own.units,
            "encodings": [_plain(encoding) for encoding in own.encodings],
            "volumes": [volumes and list(volumes) for volumes in own.volumes],
        }


def build(values: Mapping[str, Any] | None) -> Distortion | None:
    """A distortion from the plain values of :meth:`Distortion.plain`; None stays None."""
    if values is None:
        return None
    own = values["m0"]
    return Distortion(series=PhaseEncoding(**values["series"]), m0=PhaseEncoding(**own) if own else None)


def build_map(values: Mapping[str, Any], files: Sequence[str]) -> FieldMap:
    """A field map from the plain values of :meth:`Correction.plain_map` and its files, as :attr:`FieldMap.files` has them."""
    count = 2 if values["kind"] in ("phases", OPPOSED) else 1
    return FieldMap(
        kind=values["kind"],
        images=tuple(files[:count]),
        magnitude=files[count] if len(files) > count else None,
        echo_difference=values["echo_difference"],
        units=values["units"],
        encodings=tuple(PhaseEncoding(**encoding) for encoding in values["encodings"]),
        volumes=tuple(volumes and tuple(volumes) for volumes in values["volumes"]),
    )


def _plain(encoding: PhaseEncoding) -> dict[str, Any]:
    return {"direction": encoding.direction, "readout_time": encoding.readout_time}
