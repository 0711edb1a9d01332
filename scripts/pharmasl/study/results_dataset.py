"""What the results' folder says of itself to programs that read BIDS: its description, its README, what is not BIDS."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pharmasl import __version__
from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.study import results_readme

# The version of BIDS that the folder follows.
BIDS_VERSION = "1.10.0"

# What BIDS has no names for: derivatives of perfusion, and what lies beside the participants' folders.
IGNORED = (
    *("*_aslref.*", "*_cbf.*", "*_att.*", "*_xfm.*", "*_timeseries.*"),
    *(
        "**/perf/*_asl.*",
        "**/perf/*_fieldmap.*",
        "**/perf/*_T1map.*",
        "**/perf/*_mask.*",
        "**/perf/*_probseg.*",
        "**/contrasts",
    ),
    *(
        "/benchmarks",
        "/contrasts",
        "/craving",
        "/endpoints",
        "/group",
        "/logs",
        "/neurovault",
        "/quality",
        "/repeatability",
    ),
    *("/report", "/rois", "/sensitivity", "/study", "/tables", "/template", "/trial", "/manifest.json"),
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
        its ``place`` from the results' folder, what :func:`source` says of it, and ``program`` (``name``, ``version``) where another
        program made it.
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
                **_made_by(dataset.get("program")),
            }
            for place, dataset in datasets.items()
        ],
        "DatasetLinks": places,
    }


def _made_by(program: Mapping[str, str] | None) -> dict[str, Any]:
    return {"GeneratedBy": [{"Name": program["name"], "Version": program["version"]}]} if program else {}


def write(path: FilePath, content: Mapping[str, Any], *, readme: FilePath) -> None:
    """Write ``dataset_description.json``, ``.bidsignore`` beside it, and the README.

    Parameters
    ----------
    path : path-like
        Of the description.
    content : mapping
        See :func:`description`.
    readme : path-like
    """
    tables.write_json(path, description(content))
    Path(path).with_name(".bidsignore").write_text("".join(f"{line}\n" for line in IGNORED), encoding="utf-8")
    Path(readme).write_text(results_readme.readme(content), encoding="utf-8")
