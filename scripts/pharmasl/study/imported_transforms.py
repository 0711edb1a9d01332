"""Transforms by which another program brings a scan onto its template."""

from collections.abc import Sequence

from pharmasl.errors import InputError
from pharmasl.files import bids
from pharmasl.space import itk_files

_FIELD = "derivatives.cbf.grid"
# What ASLPrep calls the scan's own space in the names of its transforms: since 0.6, and in 0.3 to 0.5.
_SCAN = ("aslref", "scanner")


def of_scan(dataset: bids.Dataset, scan: bids.File, space: str) -> tuple[str, str]:
    """The transforms of the anatomy to the template and of the scan to the anatomy.

    Parameters
    ----------
    dataset : bids.Dataset
        Of the program's results.
    scan : bids.File
        A map on the scan's own grid.
    space : str
        Name of the template.

    Returns
    -------
    anatomy, scan : str
        Paths.

    Raises
    ------
    InputError
        If one is missing, there are several, or a file is no transform.
    """
    raw = {key: label for key, label in scan.entities.items() if key in bids.RAW_ENTITIES}
    person, session = scan.place.get("sub"), scan.place.get("ses")
    transforms = [file for file in dataset.files if file.suffix == "xfm" and file.extension != ".json"]
    own = [
        file.path
        for file in transforms
        if {**raw, "to": "T1w", "mode": "image"}.items() <= file.entities.items()
        and file.entities.get("from") in _SCAN
        and set(file.entities) - {"from", "to", "mode", "desc"} == set(raw)
    ]
    anatomies = [
        file
        for file in transforms
        if file.place.get("sub") == person
        and file.entities.get("from") == "T1w"
        and file.entities.get("to") == space
        and file.entities.get("mode") == "image"
    ]
    # Of the session, of the participant, or of the one session that has an anatomy.
    nearest = [file.path for file in anatomies if file.place.get("ses") == session]
    nearest = nearest or [file.path for file in anatomies if "ses" not in file.place]
    nearest = nearest or [file.path for file in anatomies]
    _one(nearest, scan, f"from-T1w_to-{space}_mode-image_xfm.h5")
    _one(own, scan, "from-aslref_to-T1w_mode-image_xfm.txt")
    return nearest[0], own[0]


def _one(paths: Sequence[str], scan: bids.File, name: str) -> None:
    """Refuse anything but one transform."""
    if len(paths) != 1:
        raise InputError(
            scan.path,
            name,
            " and ".join(paths) or "no such file",
            "one transform, by which the map is brought onto the template",
            "Restore it, or take the maps that the program has brought onto the template itself (grid: template).",
        )
    itk_files.check_kind(paths[0], _FIELD)
