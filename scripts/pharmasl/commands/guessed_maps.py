"""Which CBF maps of another program a folder holds, and how a configuration takes them in place of the raw runs."""

import glob
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.errors import InputError
from pharmasl.files import bids, json_object
from pharmasl.study import derivative_datasets, imported_files
from pharmasl.study.derivatives import CbfMaps

# The template at hand.
_OURS = "MNI152NLin2009aSym"
_POPULATION = "Population/qCBF_sub-{participant}_{session}_ASL_{run}.nii"
# The space of ExploreASL's population folder.
_POPULATION_SPACE = "MNI152NLin2009cAsym"
# What oxasl --output-mni writes below the folder that each scan was given; its standard space is FSL's.
_OXASL, _OXASL_MASK, _OXASL_SPACE = "std/calib_voxelwise/perfusion.nii.gz", "std/mask.nii.gz", "MNI152NLin6Asym"
_NAMES = ("participant", "session", "acquisition")


@dataclass(frozen=True)
class Maps:
    """CBF maps of another program.

    Attributes
    ----------
    source : Mapping
        ``derivatives.cbf`` of the configuration.
    images : tuple of pharmasl.files.bids.File
        The maps, as if they were raw runs.
    bids_dir : str
        The folder of the participants' table, and of the raw runs where they are at hand.
    questions : tuple of str
        What only the user can know.
    """

    source: Mapping[str, Any]
    images: tuple[bids.File, ...]
    bids_dir: str
    questions: tuple[str, ...]

    @property
    def template(self) -> str | None:
        """The template on which the maps lie, where it is not the one at hand."""
        space = str(self.source["space"]).partition(":")[0]
        return None if space == _OURS else space


def guess(root: str) -> Maps | None:
    """The CBF maps of a folder; None where it holds raw runs, or no map.

    Parameters
    ----------
    root : str

    Returns
    -------
    Maps or None

    Raises
    ------
    InputError
        If maps on the scans' own grids lack the transforms that lead to a template.
    """
    dataset = bids.read_dataset(root, may_lack_people=True)
    if any(set(file.entities) <= set(bids.RAW_ENTITIES) for file in dataset.images("asl")):
        return None
    place = os.path.normpath(root)
    maps = [file for file in dataset.images("cbf") if file.datatype == "perf" and "desc" not in file.entities]
    if maps:
        source, asked = _named(dataset, maps)
    elif _has_population(root):
        source = {"files": _POPULATION, "units": "mL/100 g/min", "space": _POPULATION_SPACE}
        asked = ["the names are those of ExploreASL: is that so, and in which unit are the maps?"]
    elif folders := _oxasl_folders(root):
        source, asked = _of_oxasl(folders)
    else:
        return None
    source = {"dir": place, **source}
    if not _names_program(root):
        asked.append("which program made the maps, in which version? Add generated_by: {name: ..., version: ...}.")
    taken = imported_files.find(_settings(source), {})
    return Maps(source, tuple(own.file for own in taken), _beside(root), tuple(asked))


def _named(dataset: bids.Dataset, maps: Sequence[bids.File]) -> tuple[dict[str, str], list[str]]:
    """The space and grid of maps with BIDS names, and what has to be asked about them."""
    spaces = Counter(_space(file) for file in maps if file.entities.get("space") not in (None, "T1w", "anat", "asl"))
    source: dict[str, str] = {}
    if not spaces:
        source["grid"] = "scan"
        spaces = Counter(
            file.entities["to"]
            for file in dataset.files
            if file.suffix == "xfm"
            and file.extension != ".json"
            and file.entities.get("from") == "T1w"
            and file.entities.get("to", "").startswith("MNI")
        )
    if not spaces:
        raise InputError(
            dataset.root,
            "perf/*_cbf.nii.gz",
            "maps on the scans' own grids, and no transform of an anatomy to a template",
            "maps on a template, or the transforms that lead there",
            "Write them with the program that made the maps (ASLPrep: --output-spaces).",
        )
    ours = [space for space in spaces if space.partition(":")[0] == _OURS]
    chosen = (ours or sorted(spaces, key=lambda space: (-spaces[space], space)))[0]
    asked = []
    if len(spaces) > 1:
        asked.append(f"there are maps on {', '.join(sorted(spaces))}. Is it {chosen} that you want?")
    return {"space": chosen, **source}, asked


def _space(file: bids.File) -> str:
    space, resolution = file.entities["space"], file.entities.get("res")
    return f"{space}:res-{resolution}" if resolution else space


def _settings(source: Mapping[str, Any]) -> CbfMaps:
    return CbfMaps(
        dir=source["dir"],
        generated_by=None,
        space=source["space"],
        grid="scan" if "grid" in source else "template",
        transform=None,
        desc=None,
        files=source.get("files"),
        mask=source.get("mask"),
        units=source.get("units"),
        missing="refuse",
    )


def _oxasl_folders(root: str) -> list[tuple[str, ...]]:
    """The folders below a root in each of which oxasl has left a map in the standard space, as parts of their paths."""
    paths = sorted(
        os.path.relpath(path, root) for path in glob.glob(f"{glob.escape(root)}/**/{_OXASL}", recursive=True)
    )
    return [tuple(path.split(os.sep)[:-3]) for path in paths]


def _of_oxasl(folders: Sequence[tuple[str, ...]]) -> tuple[dict[str, str], list[str]]:
    """The pattern of oxasl's maps by the folders that differ, from the outermost: participant, session, acquisition."""
    depths = {len(parts) for parts in folders}
    differ = [len(set(names)) > 1 for names in zip(*folders)]
    if len(depths) > 1 or not any(differ) or sum(differ) > len(_NAMES):
        raise InputError(
            f"{'/'.join(folders[0])}/{_OXASL}",
            "(folders)",
            "maps of oxasl in folders of several depths, or in one alone",
            "a folder for each participant, in it for each session, in that for each state",
            "Move them, or write derivatives.cbf with a table of the maps (docs/derivatives.md).",
        )
    names = iter(_NAMES)
    place = "/".join(
        _label_pattern([parts[number] for parts in folders], next(names)) if differs else folders[0][number]
        for number, differs in enumerate(differ)
    )
    source = {"files": f"{place}/{_OXASL}", "units": "mL/100 g/min", "space": _OXASL_SPACE}
    words = " / ".join(_NAMES[: sum(differ)])
    asked = [f"the names are those of oxasl, called with --output-mni, in folders taken to be {words}: are they?"]
    return {**source, "mask": f"{place}/{_OXASL_MASK}"}, asked


def _label_pattern(labels: Sequence[str], name: str) -> str:
    """The name in braces, behind what all labels begin with up to a hyphen (``sub-``)."""
    start = {label.partition("-")[0] for label in labels if "-" in label}
    is_shared = len(start) == 1 and all("-" in label for label in labels)
    return f"{start.pop()}-{{{name}}}" if is_shared else f"{{{name}}}"


def _has_population(root: str) -> bool:
    folder = os.path.join(root, "Population")
    return os.path.isdir(folder) and any(name.startswith("qCBF_sub-") for name in os.listdir(folder))


def _description(root: str) -> Mapping[str, Any]:
    path = os.path.join(root, derivative_datasets.DESCRIPTION)
    return json_object.read(path) if os.path.isfile(path) else {}


def _names_program(root: str) -> bool:
    description = _description(root)
    return bool(description.get("GeneratedBy") or description.get("PipelineDescription"))


def _beside(root: str) -> str:
    """The dataset that the maps were made from, if it is at hand; else the folder that has the participants' table."""
    above = os.path.dirname(os.path.abspath(root))
    dataset = os.path.dirname(above) if os.path.basename(above) == "derivatives" else above
    tables = [folder for folder in (dataset, root) if os.path.isfile(os.path.join(folder, "participants.tsv"))]
    return os.path.normpath(os.path.relpath(tables[0])) if tables else os.path.normpath(root)
