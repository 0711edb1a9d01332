"""The smallest called estimates of an analysis in numbers: over the search volume, and over its grey matter."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.contrasts.scaling import LEAST_GREY_MATTER
from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.space import images

PERCENTILES = (10, 50, 90)
PERCENTILE, SHARE = "percentile", "share"
SEARCHED, GREY_MATTER = "search_volume", "grey_matter"
# Of a decade.
_ROUND = (1, 2, 5)
_ESTIMATES = 3

COLUMNS: dict[str, Any] = {
    "place": {
        "Description": "Over which voxels",
        "Levels": {
            SEARCHED: "all that were tested",
            GREY_MATTER: f"of those the ones with a probability of grey matter of at least {LEAST_GREY_MATTER:g} in the template",
        },
    },
    "measure": {
        "Description": "What is told of the map",
        "Levels": {
            PERCENTILE: "a percentile of the smallest called estimates over the voxels",
            SHARE: "share of the voxels in which an estimate would have been called",
        },
    },
    "at": "Which percentile, 50 being the median; or the estimate, without its sign, in the map's unit",
    "value": "The percentile in the map's unit, or the share, 0 to 1",
    "unit": "Of the map",
    "voxels": "Voxels of the place with a value",
}


@dataclass(frozen=True, kw_only=True)
class CalledFiles:
    """The map, the search volume, what was tested, and the template's grey matter."""

    called: FilePath
    mask: FilePath
    inference: FilePath
    gm: FilePath


def write(path: FilePath, files: CalledFiles) -> None:
    """Write the table; without rows where there is no map.

    Parameters
    ----------
    path : path-like
    files : CalledFiles
    """
    tables.write_table(path, list(_rows(files)), COLUMNS)


def _rows(files: CalledFiles) -> Iterator[dict[str, Any]]:
    volume, searched = images.load(files.called)[0], images.load(files.mask)[0] > 0
    grey = images.load(files.gm)[0] >= LEAST_GREY_MATTER
    unit = tables.read_json(files.inference)["effect"]["unit"]
    places = {SEARCHED: searched, GREY_MATTER: searched & grey}
    known = {place: volume[inside & np.isfinite(volume)].astype(np.float64) for place, inside in places.items()}
    if not len(known[SEARCHED]):
        return
    middle = float(np.median(known[GREY_MATTER] if len(known[GREY_MATTER]) else known[SEARCHED]))
    for place, values in known.items():
        if not len(values):
            continue
        common = {"place": place, "unit": unit, "voxels": len(values)}
        for at, value in zip(PERCENTILES, np.percentile(values, PERCENTILES)):
            yield common | {"measure": PERCENTILE, "at": at, "value": float(value)}
        for estimate in round_estimates(middle):
            yield common | {"measure": SHARE, "at": estimate, "value": float(np.mean(values <= estimate))}


def round_estimates(middle: float) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) about a number above 0: the one below it and the next ones."""
    size = math.floor(math.log10(middle))
    numbers = [factor * 10.0**power for power in (size - 1, size, size + 1) for factor in _ROUND]
    first = max(place for place, number in enumerate(numbers) if number <= middle * (1 + 1e-9))
    return [float(f"{number:.12g}") for number in numbers[first : first + _ESTIMATES]]
