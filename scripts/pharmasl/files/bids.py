"""BIDS names: the files of a dataset, and the names of the outputs.

An *entity* is a ``key-label`` pair of a file name (``sub-01``, ``ses-T1``, ``acq-rest``); a *stem* is a path without
suffix and extension, relative to the dataset or to the results, such as ``sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest``.
"""

import functools
import os
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pharmasl.errors import FilePath, InputError, nearest_path

# The entities that BIDS allows for raw perfusion and anatomical images; it does not allow `task` for perf, but it occurs.
RAW_ENTITIES = ("sub", "ses", "task", "acq", "ce", "rec", "dir", "run", "echo", "part", "chunk")

# Entities of derivatives, in the order in which they are written.
DERIVED_ENTITIES = ("from", "to", "mode", "space", "atlas", "res", "contrast", "label", "desc", "stat")

# The entity of a condition's maps, where several alternate within a run: BIDS has none for it.
CONDITION = "condition"

_NAME = re.compile(r"(?P<entities>(?:[a-zA-Z]+-[a-zA-Z0-9+]+_)*)(?P<suffix>[a-zA-Z0-9]+)(?P<extension>\.[a-zA-Z0-9.]+)")
_FOLDER = {key: re.compile(rf"{key}-([a-zA-Z0-9+]+)") for key in ("sub", "ses")}
IMAGE_EXTENSIONS = (".nii", ".nii.gz")
# Entities whose labels are whole numbers: run-1 and run-01 are one run.
INDICES = ("run", "echo")
# Folders of a participant or session that are read; the others are searched for files that belong in these.
DATATYPES = ("anat", "fmap", "perf")
# Names of folders that were probably meant to be a participant's or a session's.
_NEARLY = {key: re.compile(rf"{key}[-_ ].*", re.IGNORECASE) for key in ("sub", "ses")}
_EXTENSION = {"xfm": ".nii.gz", "timeseries": ".tsv"}


@dataclass(frozen=True)
class File:
    """A file of a raw BIDS dataset.

    Attributes
    ----------
    path : str
        Below the dataset's folder as the user wrote it.
    entities : dict of str to str
        Labels in the file name by key.
    suffix : str
        ``asl``, ``m0scan``, ``aslcontext``, ``T1w`` ...
    extension : str
        With its dots: ``.nii.gz``, ``.json``, ``.tsv``.
    depth : int
        0 for the dataset's root, growing towards the data: nearer metadata win.
    datatype : str or None
        The folder in which it lies, below the participant's or the session's: ``perf``, ``anat`` ...
    place : dict of str to str
        Labels (``sub`` and ``ses``) of the folders in which it lies, as far as there are any.
    """

    path: str
    entities: dict[str, str]
    suffix: str
    extension: str
    depth: int
    datatype: str | None = None
    place: dict[str, str] = field(default_factory=dict)

    @property
    def is_image(self) -> bool:
        """Whether this is a NIfTI image."""
        return self.extension.lower() in IMAGE_EXTENSIONS

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return os.path.basename(self.path)

    @property
    def index(self) -> dict[str, str]:
        """Entities as they are compared: the number of a run or echo without leading zeros."""
        return {key: number(label) if key in INDICES else label for key, label in self.entities.items()}

    def is_image_of(self, suffix: str) -> bool:
        """Whether this is a NIfTI image with a suffix."""
        return self.is_image and self.suffix == suffix


class Name(NamedTuple):
    """The parts of a BIDS file name."""

    entities: dict[str, str]
    suffix: str
    extension: str


def parse(name: str) -> Name | None:
    """The parts of a BIDS file name; None if it is not one, for instance because an entity occurs twice."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    pairs = [pair.partition("-") for pair in match["entities"].split("_")[:-1]]
    entities = {key: label for key, _, label in pairs}
    return Name(entities, match["suffix"], match["extension"]) if len(entities) == len(pairs) else None


def bare_label(label: str | int, entity: str) -> str:
    """The label without its entity: ``01`` of ``sub-01`` and of ``01``.

    Parameters
    ----------
    label : str or int
        As a table or the configuration has it; a number stands for its digits.
    entity : str
        ``sub``, ``ses`` ...

    Returns
    -------
    str
    """
    return str(label).removeprefix(f"{entity}-")


def scan_labels(row: Mapping[str, Any]) -> tuple[str, str]:
    """The bare labels of participant and session in a table's row (``participant_id``, ``session_id``); no session is an empty one."""
    return bare_label(row["participant_id"], "sub"), bare_label(row["session_id"] or "", "ses")


def entity_label(name: str) -> str:
    """A name of the configuration as an entity's label, in camel case: ``restInteraction`` of ``rest_interaction``.

    A name that is a label stays, and so does a wildcard such as ``{contrast}``.
    """
    first, *others = name.strip("_").split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)


def number(label: str) -> str:
    """The label of an index without leading zeros; any other label unchanged."""
    return str(int(label)) if label is not None and label.isascii() and label.isdigit() else label


_Entries = list[os.DirEntry[str]]


def _entries(folder: FilePath) -> tuple[_Entries, _Entries]:
    """The folders and the files (broken links among them) of a folder, sorted by name."""
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    folders: _Entries = []
    files: _Entries = []
    for entry in listed:
        (folders if entry.is_dir() else files).append(entry)
    return folders, files


def _files(
    entries: _Entries, depth: int, datatype: str | None = None, place: dict[str, str] | None = None
) -> Iterator[File]:
    """The files whose names are BIDS names."""
    for entry in entries:
        parsed = parse(entry.name)
        if parsed:
            yield File(entry.path, *parsed, depth, datatype, place or {})


def _unparsed(entries: _Entries) -> Iterator[str]:
    """Images whose names are not BIDS names."""
    for entry in entries:
        if entry.name.lower().endswith(IMAGE_EXTENSIONS):
            parsed = parse(entry.name)
            if parsed is None or parsed.extension.lower() not in IMAGE_EXTENSIONS:
                yield entry.path


def _folders(folders: _Entries, key: str, misnamed: list[str]) -> Iterator[tuple[str, str]]:
    """Paths and labels of a participant's or session's folders; near misses are added to ``misnamed``."""
    for entry in folders:
        match = _FOLDER[key].fullmatch(entry.name)
        if match:
            yield entry.path, match[1]
        elif _NEARLY[key].fullmatch(entry.name):
            misnamed.append(entry.path)


@dataclass(frozen=True)
class Dataset:
    """The perfusion and anatomical files of a raw BIDS dataset.

    Attributes
    ----------
    root : str
    subjects : tuple of str
        Labels of all ``sub-`` folders, with or without perfusion images.
    files : tuple of File
        Files of the ``anat``, ``fmap`` and ``perf`` folders, the metadata above them, and images in other folders.
    unparsed : tuple of str
        Paths of images in ``anat``, ``fmap`` and ``perf`` folders whose names are not BIDS names.
    misnamed : tuple of str
        Folders whose names are almost those of a participant or a session.
    """

    root: str
    subjects: tuple[str, ...]
    files: tuple[File, ...]
    unparsed: tuple[str, ...] = ()
    misnamed: tuple[str, ...] = ()

    @functools.cached_property
    def sessions(self) -> list[str]:
        """Labels of all ``ses-`` folders, sorted."""
        return sorted({file.place["ses"] for file in self.files if file.place.get("ses")})

    def images(self, suffix: str) -> list[File]:
        """All images with a suffix, in the order of their paths."""
        return list(self._images.get(suffix, ()))

    def images_beside(self, image: File, suffix: str) -> list[File]:
        """The images with a suffix in the folder of an image, in the order of their paths."""
        return [file for file in self._by_folder.get(os.path.dirname(image.path), ()) if file.is_image_of(suffix)]

    def images_of_participant(self, image: File) -> list[File]:
        """All images of an image's participant, in the order of their paths."""
        return list(self._by_participant.get(image.entities.get("sub"), ()))

    def images_of_visit(self, image: File) -> list[File]:
        """All images of an image's participant and session, in the order of their paths."""
        return list(self._by_visit.get((image.entities.get("sub"), image.entities.get("ses")), ()))

    def metadata(self, image: File, suffix: str, extension: str) -> list[File]:
        """The metadata files that apply to an image by BIDS' inheritance principle, the farthest first.

        Parameters
        ----------
        image : File
        suffix, extension : str
            Of the metadata, such as ``asl`` and ``.json``, or ``aslcontext`` and ``.tsv``.

        Returns
        -------
        list of File
            A file applies if it lies in the image's folder or above it and all its entities are also the image's.
        """
        folder = os.path.dirname(image.path)
        applying: list[File] = []
        for _ in range(image.depth + 1):
            applying += [
                file
                for file in self._by_folder.get(folder, ())
                if (file.suffix, file.extension) == (suffix, extension)
                and file.entities.items() <= image.entities.items()
            ]
            folder = os.path.dirname(folder)
        return sorted(applying, key=lambda file: (file.depth, len(file.entities)))

    @functools.cached_property
    def _by_folder(self) -> dict[str, list[File]]:
        return _grouped(self.files, lambda file: os.path.dirname(file.path))

    @functools.cached_property
    def _images(self) -> dict[str, list[File]]:
        return _grouped((file for file in self.files if file.is_image), lambda file: file.suffix)

    @functools.cached_property
    def _by_participant(self) -> dict[str | None, list[File]]:
        return _grouped((file for file in self.files if file.is_image), lambda file: file.entities.get("sub"))

    @functools.cached_property
    def _by_visit(self) -> dict[tuple[str | None, str | None], list[File]]:
        images = (file for file in self.files if file.is_image)
        return _grouped(images, lambda file: (file.entities.get("sub"), file.entities.get("ses")))


_Key = TypeVar("_Key", bound=Hashable)


def _grouped(files: Iterable[File], key: Callable[[File], _Key]) -> dict[_Key, list[File]]:
    """Lists of files by a key, in the order of the files."""
    groups: dict[_Key, list[File]] = {}
    for file in files:
        groups.setdefault(key(file), []).append(file)
    return groups


def read_dataset(root: FilePath, may_lack_people: bool = False, people: Collection[str] | None = None) -> Dataset:
    """Index a raw BIDS dataset by its file names alone; no image and no sidecar is opened.

    Parameters
    ----------
    root : path-like
    may_lack_people : bool
        Whether a folder of tables alone, without ``sub-`` folders, is a dataset too.
    people : collection of str, optional
        Labels of the participants whose folders are looked into; all unless given. ``subjects`` has the others too.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If the folder is absent or holds no ``sub-`` folder.
    """
    root = str(root)
    if not os.path.isdir(root):
        raise InputError(
            file="config",
            field="bids_dir",
            found=root,
            expected="an existing folder with a BIDS dataset",
            fix=nearest_path(root, "Correct the path."),
        )
    folders, entries = _entries(root)
    files = list(_files(entries, 0))
    subjects: list[str] = []
    unparsed: list[str] = []
    misnamed: list[str] = []
    for subject_folder, subject in _folders(folders, "sub", misnamed):
        subjects.append(subject)
        if people is not None and subject not in people:
            continue
        inside = _visit(subject_folder, 1, {"sub": subject}, files, unparsed)
        for visit_folder, session in _folders(inside, "ses", misnamed):
            _visit(visit_folder, 2, {"sub": subject, "ses": session}, files, unparsed)
    if not subjects and not may_lack_people:
        raise InputError(
            file=root,
            field="sub-<label>",
            found="no such folder",
            expected="one folder per participant",
            fix="Point bids_dir at the dataset's root.",
        )
    return Dataset(root, tuple(subjects), tuple(files), tuple(unparsed), tuple(misnamed))


def _visit(folder: str, depth: int, place: dict[str, str], files: list[File], unparsed: list[str]) -> _Entries:
    """Add the files of a participant's or session's folder, but not those of its sessions; returns its folders."""
    folders, entries = _entries(folder)
    files += _files(entries, depth, None, place)
    for entry in folders:
        if _NEARLY["ses"].fullmatch(entry.name):
            continue
        _, below = _entries(entry.path)
        inside = _files(below, 3, entry.name, place)
        files += inside if entry.name in DATATYPES else (file for file in inside if file.is_image)
        if entry.name in DATATYPES:
            unparsed += _unparsed(below)
    return folders


def place(path: FilePath, root: FilePath) -> str:
    """The path of a file below its dataset's folder, with ``/``."""
    return os.path.relpath(path, root).replace(os.sep, "/")


def sidecar(image: FilePath) -> Path:
    """The path of the JSON file beside an image."""
    return Path(os.fspath(image).removesuffix(".gz").removesuffix(".nii") + ".json")


def folder(entities: Mapping[str, str | None], datatype: str) -> str:
    """The folder of a derivative: ``sub-01/ses-T1/perf``, without ``ses-`` where there is no session."""
    parts = [f"{key}-{entities[key]}" for key in ("sub", "ses") if entities.get(key)]
    return "/".join([*parts, datatype])


def stem(entities: Mapping[str, str | None], datatype: str) -> str:
    """The stem of a derivative, with the raw file's entities in BIDS' order."""
    name = "_".join(f"{key}-{entities[key]}" for key in RAW_ENTITIES if entities.get(key))
    return f"{folder(entities, datatype)}/{name}"


def stem_pattern(datatype: str) -> str:
    """A regular expression that matches the stems that :func:`stem` gives for a datatype, without derived entities."""
    label = "[a-zA-Z0-9+]+"
    entities = "|".join(RAW_ENTITIES[1:])
    return f"sub-{label}/(?:ses-{label}/)?{datatype}/sub-{label}(?:_(?:{entities})-{label})*"


def scan_name_pattern() -> str:
    """A regular expression that matches the names of scans: stems without their folders."""
    return stem_pattern("perf").rpartition("/")[2]


def state_stem(scan: str, condition: str) -> str:
    """The stem of the maps of one condition of a run in which several alternate."""
    return f"{scan}_{CONDITION}-{entity_label(condition)}"


def map_stem_pattern() -> str:
    """A regular expression that matches the stems of scans, and those of :func:`state_stem`."""
    return f"{stem_pattern('perf')}(?:_{CONDITION}-[a-zA-Z0-9]+)?"


def derivative(root: str, prefix: str, suffix: str, extension: str | None = None, **entities: str) -> str:
    """The path of an output.

    Parameters
    ----------
    root : str
        The results' folder.
    prefix : str
        A stem, or a pattern with wildcards in its place.
    suffix : str
        ``cbf``, ``probseg``, ``statmap`` ...
    extension : str, optional
        By default ``.nii.gz``, and ``.tsv`` for ``timeseries``.
    **entities : str
        Derived entities (``from_`` for ``from``), in any order.

    Returns
    -------
    str

    Raises
    ------
    KeyError
        If an entity is not one of :data:`DERIVED_ENTITIES`.
    """
    labels = {key.rstrip("_"): label for key, label in entities.items()}
    unknown = set(labels) - set(DERIVED_ENTITIES)
    if unknown:
        raise KeyError(f"no such entity: {sorted(unknown)}")
    parts = [prefix, *(f"{key}-{labels[key]}" for key in DERIVED_ENTITIES if key in labels), suffix]
    return f"{root}/{'_'.join(parts)}{extension or _EXTENSION.get(suffix, '.nii.gz')}"
