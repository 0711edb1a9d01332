"""Which M0 image belongs to a perfusion series."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pharmasl.errors import InputError
from pharmasl.files import bids
from pharmasl.study import echoes, phase_encoding, sidecar

SUFFIX = "m0scan"
# Folders by whose names it is known whose images they hold.
_LEVELS = ("sub-", "ses-")


@dataclass(frozen=True)
class Choice:
    """The M0 image of a series.

    Attributes
    ----------
    image : bids.File or None
    reason : str
        How it was chosen; empty without an image.
    errors : tuple of InputError
        Why none could be chosen, or what cannot be read.
    others : tuple of str
        Of the M0 images beside the series that are meant for other files: name, and the first file that each is for.
    """

    image: bids.File | None = None
    reason: str = ""
    errors: tuple[InputError, ...] = ()
    others: tuple[str, ...] = ()


def choose(dataset: bids.Dataset, asl: bids.File, echo: str | None = None, direction: str | None = None) -> Choice:
    """The separate M0 image of a series.

    ``IntendedFor`` decides where any M0 image of the participant names the series; of several that do, the one of the
    series' own phase-encoding direction is meant, the others show the distortion. Of the M0 images that name nothing, the
    one with the series' entities is taken, or the only one in its folder. An image that names other series alone is theirs.
    An image that is encoded against the series is its M0 only where no other is.

    Parameters
    ----------
    dataset : bids.Dataset
    asl : bids.File
    echo : str, optional
        ``perfusion.echo`` of the configuration: of M0 images of several echoes, that of the series' own is meant, or the first.
    direction : str, optional
        ``PhaseEncodingDirection`` of the series.

    Returns
    -------
    Choice
    """
    known = [_Known(file, sidecar.read(dataset, file, SUFFIX)) for file in _images(dataset, asl)]
    alike = [image for image in known if not _opposed(image, direction)]
    choice = _choice(dataset, asl, echo, alike)
    if choice.image is None and not choice.errors and len(alike) < len(known):
        choice = _choice(dataset, asl, echo, known)
    return choice


@dataclass(frozen=True)
class _Known:
    """An M0 image with its sidecar."""

    file: bids.File
    metadata: sidecar.Sidecar

    @property
    def targets(self) -> list[str]:
        return intended(self.metadata)


def _images(dataset: bids.Dataset, asl: bids.File) -> list[bids.File]:
    return [file for file in dataset.images_of_participant(asl) if file.suffix == SUFFIX]


def _opposed(image: _Known, direction: str | None) -> bool:
    own = image.metadata.fields.get("PhaseEncodingDirection")
    return bool(direction and own) and phase_encoding.opposed(str(own), str(direction))


def _choice(dataset: bids.Dataset, asl: bids.File, echo: str | None, known: list[_Known]) -> Choice:
    """The image of these, by the rules of :func:`choose`."""
    errors = [error for image in known for error in image.metadata.errors]
    naming = [image.file for image in known if any(names(target, dataset.root, asl) for target in image.targets)]
    if naming:
        return _of_one_direction(asl, echoes.of_series(naming, asl, echo), errors)
    folder = os.path.dirname(asl.path)
    beside = [image for image in known if os.path.dirname(image.file.path) == folder]
    free = echoes.of_series([image.file for image in beside if not image.targets], asl, echo)
    others = tuple(
        f"{os.path.basename(image.file.path)} is for {image.targets[0]}" for image in beside if image.targets
    )
    same = [file for file in free if file.index == asl.index]
    for candidates, reason in (
        (same, "the M0 image with the entities of the run"),
        (free, "the only M0 image beside the run"),
    ):
        if len(candidates) == 1:
            return Choice(candidates[0], reason, tuple(errors), others)
    if free:
        errors.append(_several(asl, free, "Name the run in IntendedFor of the right _m0scan.json."))
    return Choice(errors=tuple(errors), others=others)


def intended(metadata: sidecar.Sidecar) -> list[str]:
    """The files that an image is meant for, as its sidecar writes them (list of str); empty ones, of converters, are none."""
    value = metadata.fields.get("IntendedFor", [])
    return [str(target) for target in (value if isinstance(value, list) else [value]) if str(target).strip()]


def names(target: str, root: str, image: bids.File) -> bool:
    """Whether a text of ``IntendedFor`` names an image.

    A BIDS URI, a path below dataset or participant, one on another machine, or a bare name: the file's name decides, with or without
    its extension, as it has all that tells the image apart; folders that are named must be the image's own.

    Parameters
    ----------
    target : str
    root : str
        Of the dataset.
    image : bids.File

    Returns
    -------
    bool
    """
    *folders, name = _parts(target) or [""]
    *own, file = os.path.relpath(image.path, root).replace(os.sep, "/").split("/")
    kinds = {part[:4] for part in own if part[:4] in _LEVELS}
    named = [part for part in folders if part[:4] in kinds or part in bids.DATATYPES]
    return _bare(name) == _bare(file) and all(part in own for part in named)


def strays(targets: Sequence[str], root: str, images: Iterable[bids.File]) -> list[str]:
    """The texts of ``IntendedFor`` that speak of perfusion or M0 and name none of a participant's images.

    Images of other kinds, which a dataset may have lost on the way, are not looked for.
    """
    known = list(images)
    return [
        target
        for target in targets
        if _speaks_of_perfusion(target) and not any(names(target, root, image) for image in known)
    ]


def _parts(target: str) -> list[str]:
    parts = [part for part in target.replace("\\", "/").removeprefix("bids::").split("/") if part not in ("", ".")]
    if parts and parts[0].startswith("bids:"):
        # bids:name:path, where the name is this dataset's in the links of its description.
        parts[0] = parts[0].rsplit(":", 1)[-1]
    return parts


def _bare(name: str) -> str:
    for extension in (".gz", ".nii", ".json"):
        name = name.removesuffix(extension)
    return name


def _speaks_of_perfusion(target: str) -> bool:
    *folders, name = _parts(target) or [""]
    return "perf" in (*folders, name) or _bare(name).rpartition("_")[2] in ("asl", SUFFIX)


def _of_one_direction(asl, naming, errors):
    direction = asl.entities.get("dir")
    own = [file for file in naming if file.entities.get("dir") == direction]
    if len(naming) == 1 or len(own) == 1:
        return Choice((own if len(own) == 1 else naming)[0], "IntendedFor of the M0 image", tuple(errors))
    fix = (
        "Leave the run in the IntendedFor of one of them, or give series and M0 images their dir- entity: the M0 image of "
        "the run's own direction is then taken."
    )
    return Choice(errors=(*errors, _several(asl, naming, fix)))


def _several(asl, files, fix):
    names = ", ".join(os.path.basename(file.path) for file in files)
    return InputError(asl.path, SUFFIX, names, "one M0 image for the run", fix)
