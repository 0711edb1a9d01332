"""How an EPI image was phase encoded, by which distortion in it follows from the field."""

from collections.abc import Sequence
from typing import Any

from pharmasl.errors import FilePath, InputError
from pharmasl.study import schemas
from pharmasl.study.distortion import PhaseEncoding

FIELDS = ("PhaseEncodingDirection", "TotalReadoutTime", "EffectiveEchoSpacing")
# What converters write where the images do not say enough for a field, and what is then to be done.
_SUBSTITUTES = {
    "PhaseEncodingDirection": (
        "PhaseEncodingAxis",
        "its sign is not known from the images. Write it with or without a minus sign, by the protocol; the wrong sign is refused "
        "when the map is compared with the tissues",
    ),
    "TotalReadoutTime": (
        "EstimatedTotalReadoutTime",
        "an estimate of the converter. Write it as TotalReadoutTime if the protocol agrees",
    ),
}
# Readout time and echo spacing of one image may differ by this factor: by how lines are counted, not by an acceleration or a unit.
_MOST_APART = 1.5
# Lines are read at least this far apart, counting every acceleration and segment in (0.4 ms over 20), seconds.
_LEAST_SPACING = 2e-5


def read(
    fields: dict[str, Any], file: FilePath, shape: Sequence[int] | None
) -> tuple[PhaseEncoding | None, list[InputError]]:
    """The phase encoding of an image by its sidecar, and what is wrong with it.

    Parameters
    ----------
    fields : dict
        Of the sidecar.
    file : path-like
        The sidecar, named in errors.
    shape : sequence of int or None
        Voxels of the image; None where its header cannot be read.

    Returns
    -------
    encoding : PhaseEncoding or None
    errors : list of InputError
    """
    known = {name: fields[name] for name in FIELDS if name in fields}
    errors = [_hinted(error, known) for error in schemas.check(known, "distortion", file)]
    described = schemas.properties("distortion")
    needed = [name for name in ("PhaseEncodingDirection", "TotalReadoutTime") if name not in fields]
    if "EffectiveEchoSpacing" in fields and "TotalReadoutTime" in needed:
        needed.remove("TotalReadoutTime")
    errors += [_missing(file, name, schemas.described(described[name]), fields) for name in needed]
    if errors or shape is None:
        return None, errors
    direction = str(fields["PhaseEncodingDirection"])
    steps = shape["ijk".index(direction[0])] - 1
    readout: Any = fields.get("TotalReadoutTime")
    spacing: Any = fields.get("EffectiveEchoSpacing")
    if fields.get("MRAcquisitionType") == "2D" and direction[0] == str(fields.get("SliceEncodingDirection", "k"))[0]:
        errors.append(
            InputError(
                file,
                "PhaseEncodingDirection",
                direction,
                f"an axis in the plane of the slices, which are stacked along {direction[0]}",
                "Correct it, or SliceEncodingDirection.",
            )
        )
    if readout and readout < _LEAST_SPACING * steps:
        errors.append(
            InputError(
                file,
                "TotalReadoutTime",
                f"{readout:g} s",
                f"seconds for all {steps + 1} lines of the image, no less than {_LEAST_SPACING * steps:g} s",
                "It may be the time from line to line: that is EffectiveEchoSpacing.",
            )
        )
    elif readout and spacing and not 1 / _MOST_APART <= readout / (spacing * steps) <= _MOST_APART:
        errors.append(
            InputError(
                file,
                "TotalReadoutTime",
                f"{readout:g} s, beside an EffectiveEchoSpacing of {spacing:g} s",
                f"about {spacing * steps:g} s, that spacing from each of the image's {steps + 1} lines to the next",
                "Correct the one that is not of the reconstructed image, or not in seconds; or take it out.",
            )
        )
    if errors:
        return None, errors
    return PhaseEncoding(direction=direction, readout_time=float(spacing * steps if readout is None else readout)), []


def opposed(first: str, second: str) -> bool:
    """Whether two phase-encoding directions run against each other along one axis."""
    return first != second and first.removesuffix("-") == second.removesuffix("-")


def _missing(file: FilePath, field: str, expected: str, fields: dict[str, Any]) -> InputError:
    substitute, advice = _SUBSTITUTES[field]
    hint = f"{substitute} is {fields[substitute]}, {advice}." if substitute in fields else "Add it."
    return InputError(
        file,
        field,
        "nothing",
        f"{expected} (the run has a field map)",
        f"{hint} Or set perfusion.distortion to off: scans are then not corrected for distortion.",
    )


def _hinted(error: InputError, fields: dict[str, Any]) -> InputError:
    """The error, with a guess where the value is in milliseconds, or another field's."""
    value = fields.get(error.field)
    if error.field == "EffectiveEchoSpacing" and _is_longer(value, fields.get("TotalReadoutTime")):
        fix = "It is longer than TotalReadoutTime: the two are probably exchanged."
        return InputError(error.file, error.field, error.found, error.expected, fix)
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        scaled = {error.field: value / 1000}
        if not schemas.check(scaled, "distortion", ""):
            fix = f"It looks like milliseconds: in seconds it is {value / 1000:g}."
            return InputError(error.file, error.field, error.found, error.expected, fix)
    return error


def _is_longer(spacing: Any, readout: Any) -> bool:
    """Whether the time between two lines is said to be longer than that of all lines."""
    times = [value for value in (spacing, readout) if isinstance(value, int | float) and not isinstance(value, bool)]
    return len(times) == 2 and times[0] > times[1] > 0
