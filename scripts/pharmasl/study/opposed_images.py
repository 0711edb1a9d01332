"""Images of opposed phase encoding, which show the field by what their distortions differ in."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.errors import InputError, InputErrors
from pharmasl.files import bids
from pharmasl.space.header import Header, apart
from pharmasl.study import headers, m0, phase_encoding, sidecar
from pharmasl.study.distortion import OPPOSED, FieldMap, PhaseEncoding

SUFFIXES = ("epi", m0.SUFFIX)
# Corners of two images that lie further apart, mm, are those of two grids.
_APART = 0.1


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that may be one of two.

    Attributes
    ----------
    path : str
    fields : Mapping
        Of its sidecar.
    sidecar : str
        Named in errors.
    volumes : tuple of int or None
        Those of it that are meant; None for all.
    """

    path: str
    fields: Mapping[str, Any]
    sidecar: str
    volumes: tuple[int, ...] | None = None


def may_be(image: bids.File, own: bids.File | None, fields: Mapping[str, Any], series: Mapping[str, Any]) -> bool:
    """Whether an image of the session can be one of a pair: an EPI field map, or an M0 image encoded against the series.

    Parameters
    ----------
    image : bids.File
    own : bids.File or None
        The series' M0 image, which is none of these: it may only be the other one.
    fields, series : Mapping
        Of the sidecars of the image and of the series.

    Returns
    -------
    bool
    """
    if image.suffix == "epi":
        return image.datatype == "fmap"
    directions = [known.get("PhaseEncodingDirection") for known in (fields, series)]
    return (
        image.suffix == m0.SUFFIX
        and (own is None or image.path != own.path)
        and phase_encoding.opposed(*(str(direction) for direction in directions))
    )


def pair(
    images: Sequence[Image], own: Image | None, direction: Any, fix: str
) -> tuple[FieldMap | None, list[InputError]]:
    """The field map that two opposed images are.

    Parameters
    ----------
    images : sequence of Image
        One or two. A single one is paired with the scan's own M0.
    own : Image or None
        The M0 of the scan: its image, or its volumes of the series.
    direction : str or None
        Phase-encoding direction of the series: its image is the first of the two.
    fix : str
        What else can be done, in errors.

    Returns
    -------
    field_map : FieldMap or None
    errors : list of InputError
    """
    if len(images) == 1 and own is None:
        expected = "a second one of the opposite direction, or an M0 of the run to compare it with"
        error = InputError(
            images[0].path, "field map", "a single image of opposed phase encoding", expected, f"Add it, {fix}."
        )
        return None, [error]
    if len(images) == 1 and direction and images[0].fields.get("PhaseEncodingDirection") == direction:
        error = InputError(
            images[0].path,
            "field map",
            f"a single image, encoded along {direction} as the run is",
            "one of the opposite direction, alone or beside it",
            f"Add it; if it is there, name the run in IntendedFor of both, or give both the B0FieldIdentifier, {fix}.",
        )
        return None, [error]
    both = sorted(
        [*images, *([own] if len(images) == 1 and own else [])],
        key=lambda image: image.fields.get("PhaseEncodingDirection") != direction,
    )
    errors: list[InputError] = []
    known: list[Header | None] = []
    encodings: list[PhaseEncoding | None] = []
    for image in both:
        header = _header(image.path, errors)
        encoding, wrong = phase_encoding.read(dict(image.fields), image.sidecar, header.shape if header else None)
        errors += wrong
        known.append(header)
        encodings.append(encoding)
    if errors or None in encodings:
        return None, errors
    errors = _fit(both, [encoding for encoding in encodings if encoding], [header for header in known if header], fix)
    if errors:
        return None, errors
    return FieldMap(
        kind=OPPOSED,
        images=tuple(image.path for image in both),
        encodings=tuple(encoding for encoding in encodings if encoding),
        volumes=tuple(image.volumes for image in both),
    ), []


def _header(path: str, errors: list[InputError]) -> Header | None:
    try:
        return headers.read(path)
    except InputErrors as several:
        errors += several.errors
        return None


def _fit(
    images: Sequence[Image], encodings: Sequence[PhaseEncoding], known: Sequence[Header], fix: str
) -> list[InputError]:
    """What two images are that are no pair."""
    first, second = images
    directions = [encoding.direction for encoding in encodings]
    if not phase_encoding.opposed(*directions):
        expected = f"the direction opposed to the {directions[0]} of {os.path.basename(first.path)}"
        return [
            InputError(
                second.sidecar,
                "PhaseEncodingDirection",
                directions[1],
                expected,
                f"Correct the one that is wrong, {fix}.",
            )
        ]
    if sum(encoding.readout_time for encoding in encodings) <= 0:
        return [
            InputError(
                second.sidecar, "TotalReadoutTime", 0, "more than 0 s of one of the two images", f"Correct it, {fix}."
            )
        ]
    alike = known[0].shape == known[1].shape
    moved = apart(*known) if alike else 0.0
    if not alike or moved > _APART:
        there = " x ".join(map(str, known[1].shape))
        if alike:
            there += f", up to {moved:.1f} mm away"
        expected = f"the grid of {os.path.basename(first.path)}, {' x '.join(map(str, known[0].shape))}, at one place"
        return [InputError(second.path, "grid", there, expected, f"Give two images that were planned alike, {fix}.")]
    return []


def described(dataset: bids.Dataset, image: bids.File) -> Image:
    """An image with its sidecar."""
    metadata = sidecar.read(dataset, image, image.suffix)
    return Image(path=image.path, fields=metadata.fields, sidecar=metadata.path)
