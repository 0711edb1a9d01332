"""Which field map belongs to a perfusion series, and what its sidecars say of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pharmasl.errors import InputError, InputErrors
from pharmasl.files import bids
from pharmasl.study import headers, m0, opposed_images, schemas, sidecar
from pharmasl.study.distortion import UNITS, FieldMap

# The image by which each kind of field map is known, and the suffixes of the magnitude that may lie beside it.
_KINDS = {
    "phasediff": ("magnitude1", "magnitude2", "magnitude"),
    "phase1": ("magnitude1", "magnitude2", "magnitude"),
    "fieldmap": ("magnitude", "magnitude1"),
}
# Echoes further apart than this wrap within a few Hz: the times are not those of a field map, seconds.
_LONGEST_DIFFERENCE = 0.03
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
        return field_map and replace(field_map, reason=_PAIR.get(reason, reason)), errors
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
    """The session's field maps, each image of opposed phase encoding by itself."""
    candidates = []
    for image in dataset.images_of_visit(asl):
        if image.suffix in _KINDS:
            candidates.append(_candidate(dataset, image))
        elif image.suffix in opposed_images.SUFFIXES:
            candidate = _candidate(dataset, image)
            if opposed_images.may_be(image, m0scan, candidate.metadata.fields, fields):
                candidates.append(candidate)
    return candidates


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
    images = [asl, *([m0scan] if m0scan else [])]
    naming = [
        candidate
        for candidate in candidates
        if any(m0.names(target, dataset.root, image) for target in candidate.targets for image in images)
    ]
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
    if kind == "fieldmap":
        if fields.get("Units") not in UNITS:
            errors.append(
                InputError(path, "Units", fields.get("Units", "nothing"), f"one of {', '.join(UNITS)}", "Correct it.")
            )
    else:
        difference, wrong = _echo_difference(fields, path, kind)
        errors += wrong
    errors += _heads([*images, *([magnitude] if magnitude else [])])
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


def _heads(files: Iterable[bids.File]) -> list[InputError]:
    """What is wrong with the headers of images."""
    errors: list[InputError] = []
    for file in files:
        try:
            headers.read(file.path, one_volume=True)
        except InputErrors as several:
            errors += several.errors
    return errors
