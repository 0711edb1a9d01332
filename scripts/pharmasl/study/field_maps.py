"""Which field map belongs to a perfusion series, and what its sidecars say of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pharmasl.errors import InputError, InputErrors, did_you_mean, similar
from pharmasl.files import bids
from pharmasl.space.header import Header
from pharmasl.study import copies, headers, m0, opposed_images, schemas, sidecar
from pharmasl.study.distortion import PHASE_UNITS, UNITS, FieldMap

# The image by which each kind of field map is known, and the suffixes of the magnitude that may lie beside it.
_KINDS = {
    "phasediff": ("magnitude1", "magnitude2", "magnitude"),
    "phase1": ("magnitude1", "magnitude2", "magnitude"),
    "fieldmap": ("magnitude", "magnitude1"),
}
# Echoes further apart than this wrap within a few Hz: the times are not those of a field map, seconds.
_LONGEST_DIFFERENCE = 0.03
# Times that say the same may differ by this, seconds.
_ROUNDING = 5e-5
_ONLY = "the only field map of the session"
# The same rules, of two images.
_PAIR = {_ONLY: "the only ones of the session", "IntendedFor of the field map": "IntendedFor of the images"}
SWITCH_OFF = "or set perfusion.distortion to off: scans are then not corrected for distortion"


@dataclass(frozen=True)
class _Candidate:
    """A field map of the session: its first image, that one's sidecar, and what it says of whom it is for."""

    image: bids.File
    metadata: sidecar.Sidecar
    targets: tuple[str, ...]
    identifiers: frozenset[str]


def choose(
    dataset: bids.Dataset,
    asl: bids.File,
    m0scan: bids.File | None,
    fields: Mapping[str, Any],
    file: str,
    own: opposed_images.Image | None = None,
) -> tuple[FieldMap | None, list[InputError]]:
    """The field map of a series.

    ``B0FieldSource`` of the series decides, against the maps' ``B0FieldIdentifier``; without it ``IntendedFor`` of the maps,
    which may name the series or its M0 image; of maps that name nothing, the only one of the session is taken. Two images of
    opposed phase encoding are one map; a single one is compared with the scan's own M0.

    Parameters
    ----------
    dataset : bids.Dataset
    asl : bids.File
    m0scan : bids.File or None
        The separate M0 image of the series.
    fields : Mapping
        Of the series' sidecar.
    file : str
        That sidecar, named in errors.
    own : pharmasl.study.opposed_images.Image, optional
        The M0 of the scan, which a single image of opposed phase encoding is compared with.

    Returns
    -------
    field_map : FieldMap or None
        None where the series has none, or one that cannot be used: then there are errors.
    errors : list of InputError
    """
    candidates = _candidates(dataset, asl, m0scan, fields)
    errors = [error for candidate in candidates for error in candidate.metadata.errors]
    errors += [error for candidate in candidates for error in _lost(dataset, candidate)]
    if errors:
        return None, errors
    chosen, reason = _chosen(dataset, asl, m0scan, fields, candidates)
    if not chosen:
        source = _texts(fields.get("B0FieldSource"))
        named = any(source & _identifiers(dataset, image) for image in dataset.images_of_visit(asl))
        if source and candidates and not named:
            known = sorted({name for candidate in candidates for name in candidate.identifiers})
            expected = f"a B0FieldIdentifier of the session's field maps: {', '.join(known) or 'they have none'}"
            return None, [InputError(file, "B0FieldSource", sorted(source), expected, f"Correct it, {SWITCH_OFF}.")]
        return None, []
    opposed = [candidate.image for candidate in chosen if candidate.image.suffix in opposed_images.SUFFIXES]
    if len(chosen) == len(opposed) <= 2:
        pair = [opposed_images.described(dataset, image) for image in opposed]
        field_map, errors = opposed_images.pair(pair, own, fields.get("PhaseEncodingDirection"), SWITCH_OFF)
        errors += copies.find(field_map.images) if field_map else []
        if field_map is None or errors:
            return None, errors
        return replace(field_map, reason=_PAIR.get(reason, reason)), []
    if len(chosen) > 1:
        names = ", ".join(candidate.image.name for candidate in chosen)
        fix = (
            "Name one by B0FieldSource in the run's sidecar and B0FieldIdentifier in the field map's, or by IntendedFor in "
            f"that of one alone, {SWITCH_OFF}."
        )
        return None, [InputError(asl.path, "field map", names, "one field map for the run", fix)]
    return _described(dataset, chosen[0], reason)


def _candidates(
    dataset: bids.Dataset, asl: bids.File, m0scan: bids.File | None, fields: Mapping[str, Any]
) -> list[_Candidate]:
    """The session's field maps, each image of opposed phase encoding by itself; those of other sessions that name the run."""
    candidates = []
    for image in dataset.images_of_participant(asl):
        if image.suffix not in (*_KINDS, *opposed_images.SUFFIXES):
            continue
        candidate = _candidate(dataset, image)
        if image.suffix not in _KINDS and not opposed_images.may_be(image, m0scan, candidate.metadata.fields, fields):
            continue
        of_session = image.entities.get("ses") == asl.entities.get("ses")
        if of_session or _names(dataset, candidate, asl, m0scan):
            candidates.append(candidate)
    return candidates


def _names(dataset: bids.Dataset, candidate: _Candidate, asl: bids.File, m0scan: bids.File | None) -> bool:
    """Whether a field map is meant for the series or its M0 image, by its ``IntendedFor``."""
    images = [asl, *([m0scan] if m0scan else [])]
    return any(m0.names(target, dataset.root, image) for target in candidate.targets for image in images)


def _lost(dataset: bids.Dataset, candidate: _Candidate) -> Iterable[InputError]:
    """An ``IntendedFor`` that is none, or names perfusion images that are not there: the map would be taken for nobody's."""
    field, path = "IntendedFor", candidate.metadata.path
    stated = {name: value for name, value in candidate.metadata.fields.items() if name == field}
    if schemas.check(stated, "distortion", path):
        yield InputError(path, field, stated[field], "a path, or a list of paths", "Correct it.")
        return
    images = [image for image in dataset.images_of_participant(candidate.image) if image.suffix in ("asl", m0.SUFFIX)]
    if strays := m0.strays(candidate.targets, dataset.root, images):
        names = [bids.place(image.path, dataset.root) for image in images]
        yield InputError(
            path,
            field,
            ", ".join(strays),
            f"perfusion or M0 images of sub-{candidate.image.entities.get('sub')}: {', '.join(names)}",
            did_you_mean(similar(strays[0], names), "Correct it."),
        )


def _candidate(dataset: bids.Dataset, image: bids.File) -> _Candidate:
    metadata = sidecar.read(dataset, image, image.suffix)
    return _Candidate(
        image, metadata, tuple(m0.intended(metadata)), frozenset(_texts(metadata.fields.get("B0FieldIdentifier")))
    )


def _identifiers(dataset: bids.Dataset, image: bids.File) -> set[str]:
    return _texts(sidecar.read(dataset, image, image.suffix).fields.get("B0FieldIdentifier"))


def _texts(value: Any) -> set[str]:
    """One text or a list of them."""
    return {str(item) for item in (value if isinstance(value, list) else [value]) if item}


def _chosen(
    dataset: bids.Dataset,
    asl: bids.File,
    m0scan: bids.File | None,
    fields: Mapping[str, Any],
    candidates: Sequence[_Candidate],
) -> tuple[list[_Candidate], str]:
    """The candidates that the first of the three rules which applies leaves, and that rule."""
    if source := _texts(fields.get("B0FieldSource")):
        return [candidate for candidate in candidates if source & candidate.identifiers], "B0FieldSource of the run"
    naming = [candidate for candidate in candidates if _names(dataset, candidate, asl, m0scan)]
    if naming:
        return naming, "IntendedFor of the field map"
    free = [candidate for candidate in candidates if not candidate.targets]
    return free, _ONLY


def _described(dataset: bids.Dataset, candidate: _Candidate, reason: str) -> tuple[FieldMap | None, list[InputError]]:
    """The field map of a candidate, checked."""
    image, path = candidate.image, candidate.metadata.path
    kind = {"phase1": "phases"}.get(image.suffix, image.suffix)
    images, fields = [image], dict(candidate.metadata.fields)
    errors: list[InputError] = []
    if kind == "phases":
        second = _beside(dataset, image, ["phase2"])
        if second is None:
            fix = f"Add it, {SWITCH_OFF}."
            return None, [InputError(image.path, "phase2", "no such image", "the phase of the second echo", fix)]
        images.append(second)
        other = sidecar.read(dataset, second, "phase2")
        errors += other.errors
        fields["EchoTime1"], fields["EchoTime2"] = fields.get("EchoTime"), other.fields.get("EchoTime")
        path = path if fields["EchoTime1"] is None else other.path
    magnitude = _beside(dataset, image, _KINDS[image.suffix])
    if magnitude is None and kind != "fieldmap":
        errors.append(
            InputError(
                image.path,
                "magnitude1",
                "no such image",
                "the magnitude image of the field map, which shows where the head is",
                f"Add it beside the phase, {SWITCH_OFF}.",
            )
        )
    difference = None
    errors += _unit(fields, path, kind)
    if kind != "fieldmap":
        difference, wrong = _echo_difference(fields, path, kind)
        errors += wrong
    known, wrong = _heads([*images, *([magnitude] if magnitude else [])])
    errors += wrong or (_alike(known[:2]) if kind == "phases" else [])
    errors += copies.find(file.path for file in images)
    if errors:
        return None, errors
    return (
        FieldMap(
            kind=kind,
            images=tuple(file.path for file in images),
            magnitude=magnitude.path if magnitude else None,
            echo_difference=difference,
            units=fields.get("Units"),
            reason=reason,
        ),
        [],
    )


def _beside(dataset: bids.Dataset, image: bids.File, suffixes: Iterable[str]) -> bids.File | None:
    """The image of the first of these suffixes that has the entities of another one and lies beside it."""
    for suffix in suffixes:
        for file in dataset.images_beside(image, suffix):
            if file.entities == image.entities:
                return file
    return None


def _echo_difference(fields: dict[str, Any], path: str, kind: str) -> tuple[float | None, list[InputError]]:
    """The time between the echoes, seconds."""
    needed = ("EchoTime1", "EchoTime2")
    known = {name: fields[name] for name in (*needed, "EchoTimeDifference") if fields.get(name) is not None}
    errors = schemas.check(known, "distortion", path)
    if errors:
        fix = "It is in seconds: correct it."
        return None, [InputError(error.file, error.field, error.found, error.expected, fix) for error in errors]
    if all(name in known for name in needed):
        difference = float(known["EchoTime2"]) - float(known["EchoTime1"])
        stated = known.get("EchoTimeDifference", difference)
        if abs(difference - stated) > _ROUNDING:
            expected = f"{difference:g}, EchoTime2 minus EchoTime1"
            return None, [InputError(path, "EchoTimeDifference", stated, expected, "Correct the one that is wrong.")]
    elif "EchoTimeDifference" in known:
        difference = float(known["EchoTimeDifference"])
    else:
        field = "EchoTime" if kind == "phases" else next(name for name in needed if name not in known)
        expected = "the echo time of each phase image, in seconds" if kind == "phases" else "seconds, of both echoes"
        return None, [InputError(path, field, "nothing", expected, f"Add it, {SWITCH_OFF}.")]
    if not 0 < difference <= _LONGEST_DIFFERENCE:
        expected = f"the later echo, at most {_LONGEST_DIFFERENCE:g} s after the first"
        field = "EchoTime2" if "EchoTime2" in known else "EchoTimeDifference"
        return None, [InputError(path, field, known[field], expected, "Correct the echo times; they are in seconds.")]
    return difference, []


def _heads(files: Iterable[bids.File]) -> tuple[list[Header], list[InputError]]:
    """The headers of images, and what is wrong with them."""
    known: list[Header] = []
    errors: list[InputError] = []
    for file in files:
        try:
            known.append(headers.read(file.path, one_volume=True))
        except InputErrors as several:
            errors += several.errors
    return known, errors


def check_place(field_map: FieldMap, series: Header) -> list[InputError]:
    """An error for a field map that does not reach the middle of the series: it is of another place, or its header is wrong.

    Parameters
    ----------
    field_map : FieldMap
    series : pharmasl.space.header.Header
        Of the run's image.

    Returns
    -------
    list of InputError
    """
    known = headers.read(field_map.images[0])
    middle = series.affine @ [*((np.array(series.shape) - 1) / 2), 1]
    place = (np.linalg.inv(known.affine) @ middle)[:3]
    if (place > -0.5).all() and (place < np.array(known.shape) - 0.5).all():
        return []
    apart = np.linalg.norm(known.affine[:3] @ [*((np.array(known.shape) - 1) / 2), 1] - middle[:3])
    return [
        InputError(
            known.path,
            "qform, sform",
            f"a grid whose middle lies {apart:.0f} mm from that of the run",
            f"a grid that reaches the middle of {series.path}",
            f"Convert the field map again, {SWITCH_OFF}.",
        )
    ]


def _alike(phases: Sequence[Header]) -> list[InputError]:
    """An error unless the phases of two echoes, which are subtracted voxel by voxel, lie on one grid."""
    first, second = phases
    if first.shape == second.shape and np.allclose(first.affine, second.affine, atol=1e-2):
        return []
    return [
        InputError(
            second.path,
            "grid",
            " x ".join(map(str, second.shape)),
            f"the grid of the first echo, {' x '.join(map(str, first.shape))}, at one place",
            f"Give the phases of one acquisition, {SWITCH_OFF}.",
        )
    ]


def _unit(fields: Mapping[str, Any], path: str, kind: str) -> list[InputError]:
    """An error unless a map's unit is one of its kind; that of phases need not be stated."""
    known = UNITS if kind == "fieldmap" else PHASE_UNITS
    unit = fields.get("Units")
    if unit in known or (unit is None and kind != "fieldmap"):
        return []
    fix = did_you_mean(similar(unit, known) if isinstance(unit, str) else [], "Correct it.")
    if kind != "fieldmap" and unit in UNITS:
        fix = "A map of the field itself has the suffix fieldmap: rename it, or correct the unit of the phase."
    return [InputError(path, "Units", "nothing" if unit is None else unit, f"one of {', '.join(known)}", fix)]
