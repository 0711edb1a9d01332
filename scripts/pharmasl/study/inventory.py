"""What a raw dataset holds of images that are read: what is used, refused, or left out with the reason."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pharmasl.errors import InputError
from pharmasl.files import bids

# Where each kind of image belongs.
_FOLDERS = {"asl": ("perf",), "m0scan": ("perf", "fmap"), "T1w": ("anat",), "UNIT1": ("anat",)}
_OF_FIELD_MAPS = ("phasediff", "phase1", "phase2", "magnitude", "magnitude1", "magnitude2", "fieldmap", "epi")
# Parts of a complex image that are no magnitude.
NO_MAGNITUDE = frozenset({"phase", "real", "imag"})
_RAW = frozenset(bids.RAW_ENTITIES)


@dataclass(frozen=True)
class Inventory:
    """A dataset sorted.

    Attributes
    ----------
    dataset : bids.Dataset
        Without the images that are left out.
    exclusions : list of dict
        ``participant_id``, ``session_id`` and ``reason`` of the images left out.
    errors : list of InputError
    """

    dataset: bids.Dataset
    exclusions: list[dict[str, str | None]]
    errors: list[InputError]


def take(
    dataset: bids.Dataset, subjects: Sequence[str], parts: Iterable[str | None] = (), *, field_maps: bool = True
) -> Inventory:
    """Sort a dataset's perfusion, M0 and T1-weighted images, and its field maps.

    Parameters
    ----------
    dataset : bids.Dataset
    subjects : sequence of str
        Labels of the participants to look at.
    parts : sequence of str
        Labels of ``part`` that the configuration asks for: such series are no left-overs.
    field_maps : bool
        Whether field maps are read; where they are not, nothing is said of them.

    Returns
    -------
    Inventory
    """
    wanted = set(subjects)
    folders = {**_FOLDERS, **(dict.fromkeys(_OF_FIELD_MAPS, ("fmap",)) if field_maps else {})}
    by_lower = {suffix.lower(): suffix for suffix in folders}
    kept: list[bids.File] = []
    exclusions: list[dict[str, str | None]] = []
    errors: list[InputError] = []
    for file in dataset.files:
        subject = file.place.get("sub")
        if file.is_image and subject in wanted and file.suffix not in folders and file.suffix.lower() in by_lower:
            errors.append(
                InputError(
                    file.path,
                    "suffix",
                    file.suffix,
                    by_lower[file.suffix.lower()],
                    "Rename the file: BIDS minds capitals.",
                )
            )
            continue
        if file.suffix not in folders or not file.is_image:
            if file.datatype in (None, *bids.DATATYPES):
                kept.append(file)
            continue
        if subject not in wanted:
            kept.append(file)
            continue
        misplaced = contradiction(file)
        if misplaced:
            errors.append(misplaced)
            continue
        reason = _left_out(file, folders[file.suffix], parts)
        if reason:
            exclusions.append(_row(file.place, f"{file.name} {reason}"))
        if not reason or file.suffix == "UNIT1":
            kept.append(file)
    for path in dataset.unparsed:
        place = _place(dataset.root, path)
        if place.get("sub") in wanted and _looks_wanted(path, field_maps):
            exclusions.append(_row(place, f"{os.path.basename(path)} has no name of BIDS, and is not read"))
    files = [file for file in kept if file.suffix in folders and file.is_image and file.place.get("sub") in wanted]
    errors += [*_misnamed(dataset), *_same_folder(dataset.subjects), *_twice(files)]
    return Inventory(replace(dataset, files=tuple(kept)), exclusions, errors)


def _row(place, reason):
    return {"participant_id": f"sub-{place['sub']}", "session_id": place.get("ses"), "reason": reason}


def _place(root, path):
    parts = os.path.relpath(path, root).split(os.sep)
    return {part[:3]: part[4:] for part in parts[:-1] if part[:4] in ("sub-", "ses-")}


def _looks_wanted(path, field_maps):
    """Whether the name of an unreadably named image speaks of T1, or its folder of perfusion, M0 or field maps."""
    folder, name = os.path.basename(os.path.dirname(path)), os.path.basename(path).lower()
    return folder == "perf" or (folder == "fmap" and field_maps) or "t1w" in name


def contradiction(file: bids.File) -> InputError | None:
    """The error of a file whose name and folders speak of different participants or sessions."""
    for key, kind in (("sub", "participant"), ("ses", "session")):
        label, folder = file.entities.get(key), file.place.get(key)
        if label != folder:
            named = f"{key}-{label}" if label else f"no {key}-"
            expected = f"{key}-{folder}" if folder else f"no {key}-"
            return InputError(
                file.path,
                key,
                f"{named} in the name",
                f"{expected}, as the folders have it",
                f"Name and folder contradict each other: move or rename the file to the {kind} that it is of.",
            )
    return None


def _left_out(file, folders, parts):
    """Why an image is not used; empty if it is."""
    further = [key for key in file.entities if key not in _RAW]
    if further:
        return f"has the entity {further[0]}, which raw data do not have: a processed copy is not read"
    if file.datatype not in folders:
        place = file.datatype or "no folder of a datatype"
        return f"lies in {place}, not in {' or '.join(folders)}, and is not read"
    part = file.entities.get("part")
    if part in NO_MAGNITUDE and part not in parts:
        return f"is no magnitude image (part-{part}), and is not read"
    if file.suffix == "UNIT1":
        return "is a UNIT1 image (MP2RAGE), which is not used in place of a T1w: its background is noise"
    return ""


def _misnamed(dataset):
    for path in dataset.misnamed:
        key = "sub" if os.path.dirname(path) == dataset.root.rstrip(os.sep) else "ses"
        yield InputError(
            path,
            "folder",
            os.path.basename(path),
            f"{key}-<label>, letters and digits",
            "Rename it, or move it out of the dataset: what lies in it is not read under this name.",
        )


def _same_folder(subjects):
    """Participants whose folders are one on file systems that ignore capital letters."""
    counts = Counter(subject.lower() for subject in subjects)
    for lower in [lower for lower, count in counts.items() if count > 1]:
        names = [f"sub-{subject}" for subject in subjects if subject.lower() == lower]
        yield InputError(
            "bids_dir",
            "sub-<label>",
            " and ".join(names),
            "labels that differ in more than capital letters",
            "Rename one: on macOS and Windows they are one folder.",
        )


def _twice(files):
    """Images that would have one name among the results."""
    groups = {}
    for file in files:
        groups.setdefault((file.suffix, tuple(sorted(file.index.items())), os.path.dirname(file.path)), []).append(file)
    for same in groups.values():
        if len(same) > 1:
            yield InputError(
                same[0].path,
                "name",
                " and ".join(file.name for file in same),
                "one image of this name",
                "Remove or rename all but one: they are the same run (run-1 is run-01), and nothing says which is meant.",
            )
