"""The JSON file beside every image of the results: what it is, in which unit and space, and what it was made from.

A job knows what it did, and its own code writes that beside its images. What is true of all images is completed here, once the job
has ended well, from the image's kind and from what the job read.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pharmasl.errors import FilePath
from pharmasl.files import bids, tables
from pharmasl.workflow import image_kinds

# Where the configuration, as jobs have it, holds what they need to know here: no change of it is a reason to run a job again.
KEY = "image_sidecars"
_IMAGES = (".nii.gz", ".nii")


@dataclass(frozen=True)
class Results:
    """What is known of the results when the plan is made.

    Attributes
    ----------
    root : str
        The results' folder.
    space : str
        Name of the template's space.
    reference : str
        The template's mask on the grid of the analyses, below the folder.
    datasets : mapping of str to str
        Folders of what the results are made from, by the names that ``DatasetLinks`` of the results has for them.
    """

    root: str
    space: str
    reference: str
    datasets: Mapping[str, str]

    def uri(self, path: FilePath) -> str | None:
        """The BIDS URI of a file of the results or of a dataset that they are made from; None for another file."""
        own = _below(path, self.root)
        if own is not None:
            return f"bids::{quote(own)}"
        places = ((name, _below(path, folder)) for name, folder in self.datasets.items())
        # Of a dataset within another the inner one.
        inner = min(((name, place) for name, place in places if place is not None), key=_length, default=None)
        return f"bids:{inner[0]}:{quote(inner[1])}" if inner else None


def _length(named: tuple[str, str]) -> int:
    return len(named[1])


def _below(path: FilePath, folder: FilePath) -> str | None:
    """The path of a file below a folder; None for one that lies elsewhere."""
    place = bids.place(path, folder)
    return None if place == ".." or place.startswith("../") else place


def complete(snakemake: Any) -> None:
    """Complete the sidecars of the images that a job has written to the results; nothing that the job wrote is changed.

    Parameters
    ----------
    snakemake : object
        With ``input``, ``output`` and ``config``, in which :data:`KEY` holds what :class:`Results` is made of. Without it, as
        where no results are written, nothing is done.

    Raises
    ------
    LookupError
        If no kind of image has the name of one.
    """
    known = (getattr(snakemake, "config", None) or {}).get(KEY)
    if known is None:
        return
    results = Results(**known)
    sources = {name: list(_paths(value)) for name, value in snakemake.input.items()}
    for output in _paths(snakemake.output):
        place = _below(output, results.root)
        if output.endswith(_IMAGES) and place is not None and not place.startswith(image_kinds.PASSING):
            sidecar = bids.sidecar(output)
            own = tables.read_json(sidecar) if sidecar.exists() else {}
            added = _content(place, image_kinds.kind_of(place), sources, results)
            tables.write_json(sidecar, {**added, **own})


def _paths(value: str | Iterable[str]) -> Iterator[str]:
    return iter([os.fspath(value)]) if isinstance(value, (str, os.PathLike)) else map(os.fspath, value)


def _content(
    place: str, kind: image_kinds.ImageKind, sources: Mapping[str, list[str]], results: Results
) -> dict[str, Any]:
    """What is true of an image of a kind that was made from some files."""
    content: dict[str, Any] = {"Description": kind.description, **kind.more}
    if kind.unit:
        content["Units"] = kind.unit
    name = Path(place).name
    if kind.of_template or f"_space-{results.space}_" in name:
        content |= {"Space": results.space, "SpatialReference": f"bids::{quote(results.reference)}"}
    elif kind.reference:
        content["SpatialReference"] = f"bids::{quote(f'{_stem(place)}_{kind.reference}')}"
    read = [path for name, paths in sources.items() if name not in kind.unread for path in paths]
    uris = [uri for path in read if (uri := results.uri(path))]
    if uris:
        content["Sources"] = list(dict.fromkeys(uris))
    others = [os.path.basename(path) for path in read if not results.uri(path)]
    if others:
        content["OtherSources"] = list(dict.fromkeys(others))
    return content


def _stem(place: str) -> str:
    """The path of an image as far as the names of all images of its scan, or anatomy, begin with it."""
    parsed = bids.parse(Path(place).name)
    if parsed is None:
        raise LookupError(f"{place}: not a name of BIDS")
    raw = [f"{key}-{label}" for key, label in parsed.entities.items() if key in bids.RAW_ENTITIES]
    return f"{Path(place).parent.as_posix()}/{'_'.join(raw)}"
