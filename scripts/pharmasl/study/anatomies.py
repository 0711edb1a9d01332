"""Which T1-weighted images make the anatomy of each visit."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pharmasl.errors import InputError
from pharmasl.files import bids
from pharmasl.study.settings import Anatomy


@dataclass(frozen=True)
class Shared:
    """Images by the anatomy that they make, and the anatomy of each visit.

    Attributes
    ----------
    images : dict
        Stem of an anatomy to the images (tuple of bids.File) that it could be made of; empty where there is none.
    anatomies : dict
        (subject, session) of each visit to the stem of its anatomy.
    """

    images: dict[str, tuple[bids.File, ...]]
    anatomies: dict[tuple[str, str | None], str]

    @property
    def without(self) -> list[str]:
        """Labels of the participants of whom there is no image, each once."""
        return list(dict.fromkeys(subject for (subject, _), stem in self.anatomies.items() if not self.images[stem]))


def share(files: Iterable[bids.File], visits: Iterable[tuple[str, str | None]], per: str) -> Shared:
    """Divide T1-weighted images among the visits.

    A session without an image of its own takes the one of the participant that comes first in the dataset's order.

    Parameters
    ----------
    files : iterable of bids.File
    visits : iterable of (str, str or None)
        Subject and session of the scans.
    per : {"participant", "session"}
        Whether a participant's sessions share one anatomy.

    Returns
    -------
    Shared
    """
    groups: dict[str, dict[str | None, list[bids.File]]] = {}
    for file in files:
        kept = file.entities.get("ses") if per == "session" else None
        groups.setdefault(file.entities.get("sub", ""), {}).setdefault(kept, []).append(file)
    images: dict[str, tuple[bids.File, ...]] = {}
    anatomies: dict[tuple[str, str | None], str] = {}
    for visit in sorted(visits, key=lambda visit: tuple(part or "" for part in visit)):
        subject, session = visit
        own = groups.get(subject, {})
        if session not in own:
            # An image above the sessions serves them all.
            session = None if None in own or not own else next(iter(own))
        stem = bids.stem({"sub": subject, "ses": session}, "anat")
        images[stem] = tuple(own.get(session, ()))
        anatomies[visit] = stem
    return Shared(images, anatomies)


def raw(
    dataset: bids.Dataset, visits: Iterable[tuple[str, str | None]], anatomy: Anatomy, errors: list[InputError]
) -> tuple[dict[str, tuple[str, ...]], dict[tuple[str, str | None], str]]:
    """The anatomies' raw T1w by stem, and the stem of each visit; an error where there is none and none is allowed."""
    shared = share(dataset.images("T1w"), visits, anatomy.per)
    if anatomy.missing_t1w != "template":
        errors += _missing(dataset, shared.without)
    return {stem: _sources(files, anatomy.t1w) for stem, files in shared.images.items()}, shared.anatomies


def _missing(dataset: bids.Dataset, subjects: Iterable[str]) -> Iterator[InputError]:
    uniform = {file.entities.get("sub") for file in dataset.images("UNIT1")}
    for subject in subjects:
        yield InputError(
            f"{dataset.root}/sub-{subject}",
            "anat/*_T1w.nii.gz",
            "no such file, but a UNIT1, which is not used" if subject in uniform else "no such file",
            "a T1-weighted image of each participant",
            "Add it, leave the participant out by participants in the configuration, or set anatomy.missing_t1w "
            "to template there: the perfusion scans are then fitted to the template itself, which is less exact.",
        )


def _sources(files: Sequence[bids.File], which: str) -> tuple[str, ...]:
    """The raw images (tuple of str) that make an anatomy, of all that could."""
    # Contrast agent changes the tissues' contrast: such an image is no repetition of one without.
    plain = [file for file in files if "ce" not in file.entities] or files
    return tuple(file.path for file in (plain if which == "average" else plain[:1]))
