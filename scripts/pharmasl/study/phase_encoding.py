"""How an EPI image was phase encoded, by which distortion in it follows from the field."""

from collections.abc import Sequence
from typing import Any

from pharmasl.errors import FilePath, InputError
from pharmasl.study import schemas
from pharmasl.study.distortion import PhaseEncoding

FIELDS = ("PhaseEncodingDirection", "TotalReadoutTime", "EffectiveEchoSpacing")


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
    if "PhaseEncodingDirection" not in fields:
        errors.append(_missing(file, "PhaseEncodingDirection", schemas.described(described["PhaseEncodingDirection"])))
    if "TotalReadoutTime" not in fields and "EffectiveEchoSpacing" not in fields:
        errors.append(_missing(file, "TotalReadoutTime", schemas.described(described["TotalReadoutTime"])))
    if errors or shape is None:
        return None, errors
    direction = str(fields["PhaseEncodingDirection"])
    lines = shape["ijk".index(direction[0])] - 1
    readout = fields.get("TotalReadoutTime")
    if readout is None:
        readout = fields["EffectiveEchoSpacing"] * lines
    return PhaseEncoding(direction=direction, readout_time=float(readout)), []


def opposed(first: str, second: str) -> bool:
    """Whether two phase-encoding directions run against each other along one axis."""
    return first != second and first.removesuffix("-") == second.removesuffix("-")


def _missing(file: FilePath, field: str, expected: str) -> InputError:
    return InputError(
        file,
        field,
        "nothing",
        f"{expected} (the run has a field map)",
        "Add it, or set perfusion.distortion to off: scans are then not corrected for distortion.",
    )


def _hinted(error: InputError, fields: dict[str, Any]) -> InputError:
    """The error, with a guess where the value is in milliseconds."""
    value = fields.get(error.field)
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        scaled = {error.field: value / 1000}
        if not schemas.check(scaled, "distortion", ""):
            fix = f"It looks like milliseconds: in seconds it is {value / 1000:g}."
            return InputError(error.file, error.field, error.found, error.expected, fix)
    return error
