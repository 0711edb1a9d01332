"""What the results' folder says of itself to programs that read BIDS: its description, its sidecars, what is not BIDS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pharmasl import __version__
from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.study import results_readme

# The version of BIDS that the folder follows.
BIDS_VERSION = "1.10.0"

_SHARE = "Share of {} in each voxel, 0 to 1"
# Sidecars of the root, which hold for every file of their names by BIDS' inheritance principle; no file has two of them.
SIDECARS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "aslref.json": {"Description": "Mean of the realigned volumes of a series, its reference for registration"},
        "desc-preproc_asl.json": {
            "Description": "Realigned series of labels, controls or differences, on its own grid",
            "SkullStripped": False,
        },
        "desc-timeseries_cbf.json": {"Description": "CBF of each pair or difference", "Units": "mL/100 g/min"},
        "desc-pvcGM_cbf.json": {
            "Description": "CBF of grey matter, corrected for partial volumes; NaN where there is too little of it",
            "Units": "mL/100 g/min",
        },
        "desc-pvcWM_cbf.json": {
            "Description": "CBF of white matter, corrected for partial volumes; NaN where there is too little of it",
            "Units": "mL/100 g/min",
        },
        "desc-smooth_cbf.json": {
            "Description": "CBF smoothed within the brain, as it enters the contrasts; 0 where it is not known",
            "Units": "mL/100 g/min",
        },
        "desc-standarderror_cbf.json": {
            "Description": "Standard error of CBF over its repeats",
            "Units": "mL/100 g/min",
        },
        "stat-standarderror_statmap.json": {
            "Description": "Standard error of a contrast, from its scans' own",
            "Units": "mL/100 g/min",
        },
        "desc-brain_mask.json": {"Description": "1 in the brain", "Type": "Brain"},
        "desc-coverage_mask.json": {
            "Description": "1 where the scan has a smoothed CBF: inside its field of view and the brain"
        },
        "label-GM_probseg.json": {"Description": _SHARE.format("grey matter"), "Units": "1"},
        "label-WM_probseg.json": {"Description": _SHARE.format("white matter"), "Units": "1"},
        "label-CSF_probseg.json": {"Description": _SHARE.format("cerebrospinal fluid"), "Units": "1"},
    }
)
# What BIDS has no names for: derivatives of perfusion, and what lies beside the participants' folders.
IGNORED = (
    *("*_aslref.nii.gz", "*_cbf.*", "*_att.*", "*_xfm.*", "*_timeseries.*"),
    *("**/perf/*_asl.nii.gz", "**/perf/*_mask.*", "**/perf/*_probseg.*", "**/contrasts"),
    *("/benchmarks", "/contrasts", "/craving", "/endpoints", "/group", "/logs", "/neurovault", "/quality", "/report"),
    *("/rois", "/sensitivity", "/study", "/tables", "/template", "/trial", "/manifest.json"),
    *(f"/{name}" for name in SIDECARS),
)


@dataclass(frozen=True, kw_only=True)
class ResultsDataset:
    """Who made the results and under which licence they may be used, as the study's authors say."""

    authors: tuple[str, ...]
    license: str | None


def source(folder: FilePath) -> dict[str, str]:
    """DOI and version of a dataset, as far as its own files say.

    The version is the first word of the first entry of its ``CHANGES``, which BIDS has begin with the newest version.
    """
    named: dict[str, str] = {}
    try:
        content = tables.read_json(Path(folder, "dataset_description.json"))
        doi = content.get("DatasetDOI") if isinstance(content, dict) else None
        if isinstance(doi, str) and doi.strip():
            named["DOI"] = doi.strip()
    except (OSError, ValueError):
        pass  # The dataset has no description, or none that can be read: nothing of it is needed.
    try:
        first = Path(folder, "CHANGES").read_text(encoding="utf-8-sig").split(maxsplit=1)
    except (OSError, ValueError):
        first = []
    if first and first[0][:1].isdigit():
        named["Version"] = first[0]
    return named


def description(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``dataset_description.json`` of the results.

    Parameters
    ----------
    content : mapping
        ``title``, ``authors``, ``license``, and ``sources``: each dataset by name, ``raw`` or the stage of another program, with
        its ``place`` from the results' folder and what :func:`source` says of it.
    """
    places = {name: Path(dataset["place"]).as_posix() for name, dataset in content["sources"].items()}
    # One folder may hold what replaces several stages.
    datasets = {dataset["place"]: dataset for dataset in content["sources"].values()}
    declared = {"Authors": list(content["authors"]), "License": content["license"]}
    return {
        "Name": content["title"],
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        **{key: value for key, value in declared.items() if value},
        "GeneratedBy": [
            {
                "Name": "pharmasl",
                "Version": __version__,
                "Description": "Cerebral blood flow of a randomised trial, from arterial spin labelling to its answers",
            }
        ],
        "SourceDatasets": [
            {
                "URL": f"file:{Path(place).as_posix()}",
                **{key: dataset[key] for key in ("DOI", "Version") if key in dataset},
            }
            for place, dataset in datasets.items()
        ],
        "DatasetLinks": places,
    }


def write(path: FilePath, content: Mapping[str, Any], *, readme: FilePath, sidecars: Sequence[FilePath]) -> None:
    """Write ``dataset_description.json``, ``.bidsignore`` beside it, the README, and the sidecars that files inherit.

    Parameters
    ----------
    path : path-like
        Of the description.
    content : mapping
        See :func:`description`.
    readme : path-like
    sidecars : sequence of path-like
        Of those in :data:`SIDECARS`.
    """
    tables.write_json(path, description(content))
    Path(path).with_name(".bidsignore").write_text("".join(f"{line}\n" for line in IGNORED), encoding="utf-8")
    Path(readme).write_text(results_readme.readme(content), encoding="utf-8")
    for sidecar in sidecars:
        tables.write_json(sidecar, SIDECARS[Path(sidecar).name])
