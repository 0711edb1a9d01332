"""Anatomies that fMRIPrep, sMRIPrep or ASLPrep made: which of their files stand for each visit, and what is wrong with them.

Names are those of BIDS derivatives, as these programs write them: ``desc-preproc_T1w``, ``desc-brain_mask``,
``label-GM_probseg`` and so on in the space of the T1-weighted image, without an entity ``space``, and
``from-T1w_to-<template>_mode-image_xfm``.
"""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import InputError, InputErrors
from pharmasl.files import bids
from pharmasl.space import header, itk_files
from pharmasl.study import anatomies, copies, derivative_datasets, headers, inventory
from pharmasl.study.derivative_datasets import DerivativeDataset
from pharmasl.study.settings import Settings

FIELD = "derivatives.anatomy"
REGISTRATION, SEGMENTATION = "registration", "segmentation"  # of derivatives.anatomy.own
_TISSUES = {"gm": "GM", "wm": "WM", "csf": "CSF"}
_MOST_NAMED = 8
_GRID_TOLERANCE = 1e-3  # mm

Visit = tuple[str, str | None]


@dataclass(frozen=True, kw_only=True)
class AnatomyFiles:
    """Paths of another program's files of one anatomy.

    Attributes
    ----------
    t1w, mask : str
        Preprocessed T1-weighted image and its brain mask.
    gm, wm, csf : str or None
        Fractions of tissue on the same grid; None where the workflow makes them.
    transform : str or None
        ITK transform that brings T1w images onto the program's template; None where the workflow fits the study's.
    """

    t1w: str
    mask: str
    gm: str | None
    wm: str | None
    csf: str | None
    transform: str | None


@dataclass(frozen=True, kw_only=True)
class ImportedAnatomies:
    """Anatomies of another program.

    Attributes
    ----------
    dataset : DerivativeDataset
        Where they come from.
    files : dict of str to AnatomyFiles
        By the stem of the anatomy.
    own : tuple of str
        Which steps are the workflow's own all the same.
    transform : str or None
        ITK transform of the program's template to the study's, where they are two.
    """

    dataset: DerivativeDataset
    files: Mapping[str, AnatomyFiles]
    own: tuple[str, ...]
    transform: str | None


def read(
    study: Settings, subjects: Sequence[str], visits: Iterable[Visit], errors: list[InputError]
) -> tuple[ImportedAnatomies, dict[Visit, str]]:
    """The anatomies that another program made of the participants.

    Parameters
    ----------
    study : Settings
        With ``derivatives.anatomy``.
    subjects : sequence of str
        Labels of the participants.
    visits : iterable of (str, str or None)
        Subject and session of the scans.
    errors : list of InputError
        Extended by what is wrong with files of single participants; these are then not among the anatomies.

    Returns
    -------
    imported : ImportedAnatomies
    anatomies : dict
        (subject, session) of each visit to the stem of the anatomy that its scans use.

    Raises
    ------
    InputError
        If the folder is none of a derivatives dataset, or holds no participants.
    """
    source = study.derivatives.anatomy
    if source is None:
        raise ValueError("the anatomies are the workflow's own")
    dataset = derivative_datasets.read(source, FIELD)
    listing = _listing(dataset, subjects, errors)
    shared = anatomies.share(_preprocessed(listing), visits, study.anatomy.per)
    errors += _missing(dataset, listing, shared.without)
    space = source.space or study.template.space
    sought = _Sought(listing, space, source.own)
    files: dict[str, AnatomyFiles] = {}
    for stem, images in shared.images.items():
        if len(images) > 1:
            errors.append(_several(images, study.anatomy.per))
        elif images and not (missing := sought.missing(images[0])):
            files[stem] = sought.files(images[0])
            errors += _contents(files[stem])
        elif images:
            errors += missing
    if spaces := sought.only_elsewhere:
        # One cause, whoever it concerns.
        errors[:] = [error for error in errors if error.field != _transform_name(space)]
        errors.append(_other_template(dataset, spaces, space))
    errors += copies.find(anatomy.t1w for anatomy in files.values())
    imported = ImportedAnatomies(dataset=dataset, files=files, own=source.own, transform=source.transform)
    return imported, shared.anatomies


def _listing(dataset: DerivativeDataset, subjects: Sequence[str], errors: list[InputError]) -> bids.Dataset:
    """The files of the participants' ``anat`` folders."""
    try:
        listing = bids.read_dataset(dataset.root)
    except InputError as error:
        raise InputError(
            error.file, error.field, error.found, error.expected, f"Point {FIELD}.dir at the dataset's root."
        ) from None
    files = []
    for file in listing.files:
        if file.datatype == "anat" and file.place.get("sub") in subjects:
            if misplaced := inventory.contradiction(file):
                errors.append(misplaced)
            else:
                files.append(file)
    return dataclasses.replace(listing, files=tuple(files))


def _is_native(file: bids.File, suffix: str, **labels: str) -> bool:
    """Whether this is an image in the space of the T1w with a suffix and some labels."""
    wanted = labels.items() <= file.entities.items()
    return file.is_image_of(suffix) and wanted and "space" not in file.entities


def _preprocessed(listing: bids.Dataset) -> list[bids.File]:
    return [file for file in listing.files if _is_native(file, "T1w", desc="preproc")]


def _transform_name(space: str) -> str:
    return f"from-T1w_to-{space}_mode-image_xfm"


class _Sought:
    """The files that belong to a preprocessed T1w.

    Attributes
    ----------
    only_elsewhere : set of str
        Templates to which there are transforms, if there is none to the study's for anybody; empty otherwise.
    """

    def __init__(self, listing: bids.Dataset, space: str, own: Sequence[str]) -> None:
        self._space, self._own = space, own
        self._folders: dict[str, list[bids.File]] = {}
        for file in listing.files:
            self._folders.setdefault(os.path.dirname(file.path), []).append(file)
        spaces = {file.entities["to"] for file in listing.files if self._is_transform(file)}
        self.only_elsewhere = set() if REGISTRATION in own or space in spaces else spaces

    def _is_transform(self, file: bids.File, space: str | None = None) -> bool:
        named = file.entities
        return (
            (file.suffix, named.get("from"), named.get("mode")) == ("xfm", "T1w", "image")
            and file.extension != ".json"
            and named.get("to", "fsnative") != "fsnative"
            and space in (None, named["to"])
        )

    def _candidates(self, t1w: bids.File) -> dict[str, tuple[str, list[str]]]:
        """Kind of file to the name that it has, and the paths of those that have it."""
        beside = self._folders[os.path.dirname(t1w.path)]
        kinds = {"mask": ("desc-brain_mask.nii.gz", [f for f in beside if _is_native(f, "mask", desc="brain")])}
        if SEGMENTATION not in self._own:
            for kind, label in _TISSUES.items():
                tissue = [file for file in beside if _is_native(file, "probseg", label=label)]
                kinds[kind] = (f"label-{label}_probseg.nii.gz", tissue)
        if REGISTRATION not in self._own:
            transform = [file for file in beside if self._is_transform(file, self._space)]
            kinds["transform"] = (_transform_name(self._space), transform)
        return {kind: (name, [file.path for file in files]) for kind, (name, files) in kinds.items()}

    def missing(self, t1w: bids.File) -> list[InputError]:
        """What does not stand once beside a preprocessed T1w."""
        return [
            InputError(
                os.path.dirname(t1w.path),
                name,
                " and ".join(map(os.path.basename, paths)) or "no such file",
                f"one beside {t1w.name}",
                "Restore the program's own folder, or run it again: older versions and other levels of output lack files.",
            )
            for name, paths in self._candidates(t1w).values()
            if len(paths) != 1
        ]

    def files(self, t1w: bids.File) -> AnatomyFiles:
        """The files of an anatomy of which none is missing."""
        paths = {kind: one for kind, (_, (one,)) in self._candidates(t1w).items()}
        return AnatomyFiles(
            t1w=t1w.path,
            mask=paths["mask"],
            gm=paths.get("gm"),
            wm=paths.get("wm"),
            csf=paths.get("csf"),
            transform=paths.get("transform"),
        )


def _other_template(dataset: DerivativeDataset, spaces: Iterable[str], space: str) -> InputError:
    names = sorted(spaces)
    return InputError(
        dataset.root,
        _transform_name(space),
        f"transforms to {', '.join(names)} alone",
        f"transforms to {space}: the variants of MNI152 are not one template",
        f"Give the files of that template by template.t1w, mask, gm and wm, with template.space: {names[0]}; or give "
        f"{FIELD}.space: {names[0]} and {FIELD}.transform, which leads from there to the study's; or set {FIELD}.own: "
        f"[{REGISTRATION}] to fit the T1w images to the study's template here.",
    )


def _missing(dataset: DerivativeDataset, listing: bids.Dataset, subjects: Sequence[str]) -> Iterator[InputError]:
    """The error of the participants of whom the program made nothing, all in one."""
    if not subjects:
        return
    old = any("_T1w_preproc" in path or "_probtissue" in path for path in listing.unparsed)
    named = ", ".join(f"sub-{subject}" for subject in subjects[:_MOST_NAMED])
    more = f" and {len(subjects) - _MOST_NAMED} more" if len(subjects) > _MOST_NAMED else ""
    yield InputError(
        dataset.root,
        "anat/*_desc-preproc_T1w.nii.gz",
        f"no such file of {named}{more}" + (", but names of versions before BIDS derivatives" if old else ""),
        "a preprocessed T1w of each participant, in its own space",
        f"Run {dataset.program.name} for them, leave them out by participants in the configuration, or leave {FIELD} out: "
        "its anatomies and the workflow's own are not mixed in one study.",
    )


def _several(images: Sequence[bids.File], per: str) -> InputError:
    sessions = {file.entities.get("ses") for file in images}
    return InputError(
        images[0].path,
        "desc-preproc_T1w.nii.gz",
        " and ".join(file.name for file in images),
        f"one per {per}",
        "Set anatomy.per to session in the configuration: the program made an anatomy of each session."
        if per == "participant" and len(sessions) > 1
        else "Keep the one that the other files of this folder belong to.",
    )


def _contents(files: AnatomyFiles) -> Iterator[InputError]:
    """What the headers of an anatomy's files show to be wrong."""
    if files.transform is not None:
        try:
            itk_files.check_kind(files.transform, FIELD)
        except InputError as error:
            yield error
    first: header.Header | None = None
    for path in (files.t1w, files.mask, files.gm, files.wm, files.csf):
        if path is None:
            continue
        try:
            image = headers.read(path, one_volume=True)
            header.check_place(image)
        except InputErrors as several:
            yield from several.errors
            continue
        if first is None:
            first = image
        elif image.shape != first.shape or not np.allclose(image.affine, first.affine, rtol=0, atol=_GRID_TOLERANCE):
            yield InputError(
                path,
                "grid",
                f"shape {image.shape}, or another affine",
                f"that of {os.path.basename(files.t1w)}: {first.shape}",
                "Restore the program's own file: images in the space of the T1w share its grid.",
            )
