"""The maps that an analysis reads: changes of all participants, or single sessions, within the voxels that all cover."""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.group.covariate_maps import TermMaps
from pharmasl.space import images

# Changes of more bytes than this lie in a temporary file: two thousand participants at 2 mm are 1.9 GB.
IN_MEMORY = 1_000_000_000


@dataclass(frozen=True)
class Maps:
    """Maps of participants within their common voxels.

    Attributes
    ----------
    values : ndarray or memmap of shape (n, V), float32
        One row per participant (or scan) with all the maps it needs, in the maps' unit; NaN where a scan lacks a voxel that
        enough others have.
    mask : ndarray of bool, shape (X, Y, Z)
        V voxels of the template mask that all those maps cover, or enough of them.
    affine : ndarray of shape (4, 4)
    template_voxels : int
        Voxels of the template mask.
    lost : list of int
        Voxels of the template mask that each of those participants' maps do not cover.
    empty : list of tuple of bool
        Per participant of the lists, whether each of its maps holds no value at all: no scan of a state was usable. Such
        a participant has no row, and costs the others no voxel.
    baseline : ndarray of shape (V,), float64
        Mean over the rows of the first of their maps.
    paths : list of path-like
        A map of each row, for messages.
    brain : Maps or None
        The maps before they were cut to the region searched; None without such a region.
    region : str or None
        Name of that region.
    constant : int
        Voxels left out because nothing varies.
    terms : mapping
        Maps that are terms of the model by name, each of shape (n, V), float32, a row per participant as in ``values``.
    lost_to_terms : mapping
        Name of such a map to the voxels that all outcomes cover and that it does not.
    """

    values: np.ndarray
    mask: np.ndarray
    affine: np.ndarray
    template_voxels: int
    lost: list[int]
    empty: list[tuple[bool, ...]]
    baseline: np.ndarray
    paths: list[FilePath]
    brain: "Maps | None" = None
    region: str | None = None
    constant: int = 0
    terms: Mapping[str, np.ndarray] = field(default_factory=dict)
    lost_to_terms: Mapping[str, int] = field(default_factory=dict)

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return self.values.shape[1]

    @property
    def brain_mask(self) -> np.ndarray:
        """The mask before the maps were cut to the region searched, ndarray of bool, shape (X, Y, Z)."""
        return self.mask if self.brain is None else self.brain.mask

    def within(self, keep: np.ndarray) -> "Maps":
        """The same of fewer voxels: ``keep`` is an ndarray of bool, shape (V,)."""
        if keep.all():
            return self
        mask = self.mask.copy()
        mask[mask] = keep
        return dataclasses.replace(
            self,
            values=_columns(self.values, keep),
            mask=mask,
            baseline=self.baseline[keep],
            terms={name: _columns(values, keep) for name, values in self.terms.items()},
        )

    def within_region(self, name: str, mask: np.ndarray) -> "Maps":
        """The same of the voxels of a region, ndarray of bool, shape (X, Y, Z); the whole maps stay as ``brain``."""
        return dataclasses.replace(self.within(mask[self.mask]), brain=self, region=name)

    def varying(self, varies: np.ndarray) -> "Maps":
        """The same of the voxels that vary, ndarray of bool, shape (V,); the others are counted as ``constant``."""
        return dataclasses.replace(self.within(varies), constant=int((~varies).sum()))


def covered(data: np.ndarray) -> np.ndarray:
    """Voxels that hold a measurement: neither NaN nor infinite nor exactly 0, all of which stand for "not covered"."""
    return np.isfinite(data) & (data != 0)


def _load(path: FilePath, grid: images.Grid) -> np.ndarray:
    data, affine = images.load(path)
    if data.shape != grid.shape or not np.allclose(affine, grid.affine, atol=1e-4):
        raise InputError(
            path, "grid", f"{data.shape}", f"the template mask's, {grid.shape}, with its affine", "Make the map again."
        )
    return data


def room(rows: int, voxels: int) -> np.ndarray:
    """Room for the maps of ``rows`` participants: in memory with a voxel's values together, or row by row in a file."""
    if rows * voxels * 4 <= IN_MEMORY:
        return np.empty((voxels, rows), dtype=np.float32).T
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype=np.float32, mode="w+", shape=(rows, voxels))


def _columns(values: np.ndarray, keep: np.ndarray) -> np.ndarray:
    if not isinstance(values, np.memmap):
        return np.ascontiguousarray(values.T[keep]).T
    out = room(len(values), int(keep.sum()))
    for row, participant in zip(out, values):
        row[:] = participant[keep]
    return out


def read(
    lists: Sequence[Sequence[FilePath]],
    template_mask: FilePath,
    terms: Mapping[str, TermMaps] | None = None,
    *,
    least_share: float = 1.0,
) -> Maps:
    """Read the maps of all participants; of two lists the difference, second minus first.

    Parameters
    ----------
    lists : sequence of sequence of path-like
        One or two lists of a map per participant, in one order.
    template_mask : path-like
    terms : mapping, optional
        Maps that are terms of the model, by name, of the same participants in the same order.
    least_share : float
        Share of the maps that must cover a voxel; below 1 the values of those that do not are NaN.

    Returns
    -------
    Maps

    Raises
    ------
    InputError
        If the lists differ in length, a map is on another grid, or no voxel is covered by all maps.
    """
    terms = terms or {}
    every = [*lists, *(paths for term in terms.values() for paths in term.lists)]
    if len({len(paths) for paths in every}) > 1 or not lists[0]:
        raise InputError(
            "configuration",
            "maps of the analysis",
            " and ".join(f"{len(paths)} maps" for paths in every),
            "as many of each session, at least one",
            "Exclude participants without both sessions.",
        )
    voxels, affine = images.load(template_mask)
    template = voxels > 0
    grid = images.Grid(template.shape, affine)
    number = int(template.sum())
    rows = {name: room(len(lists[0]), number) for name in ("", *terms)}
    keep = {name: np.ones(number, dtype=bool) for name in ("", *terms)}
    total, covering = np.zeros(number), np.zeros(number, dtype=np.int64)
    lost: list[int] = []
    empty: list[tuple[bool, ...]] = []
    used: list[FilePath] = []
    for paths in zip(*every):
        data = [_load(path, grid)[template] for path in paths]
        good = [covered(image) for image in data[: len(lists)]]
        own = _term_values(terms, data[len(lists) :])
        empty.append(tuple(not inside.any() for inside in [*good, *(inside for _, inside in own.values())]))
        if any(empty[-1]):
            continue
        both = np.logical_and.reduce(good)
        outcome = [np.where(both, image, 0).astype(np.float64) for image in data[: len(lists)]]
        place = len(used)
        rows[""][place] = outcome[0] if len(outcome) == 1 else outcome[1] - outcome[0]
        if least_share < 1:
            rows[""][place, ~both] = np.nan
        for name, (image, inside) in own.items():
            rows[name][place] = image
            keep[name] &= inside
        total += outcome[0]
        used.append(paths[len(lists) - 1])
        covering += both
        lost.append(int(number - both.sum()))
    keep[""] = covering >= least_share * len(used)
    inside = np.logical_and.reduce(list(keep.values()))
    if not inside.any():
        raise _nothing_covered(lost, used, number)
    rows = {name: _first_rows(values, len(used)) for name, values in rows.items()}
    return Maps(
        rows.pop(""),
        template,
        affine,
        number,
        lost,
        empty,
        total / np.maximum(covering, 1),
        used,
        terms=rows,
        lost_to_terms={name: int((keep[""] & ~keep[name]).sum()) for name in terms},
    ).within(inside)


def _term_values(terms: Mapping[str, TermMaps], maps: Sequence[np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """One participant's terms, and where each has a value, from the maps of all their lists."""
    values, start = {}, 0
    for name, term in terms.items():
        values[name] = term.value(maps[start : start + len(term.lists)])
        start += len(term.lists)
    return values


def _nothing_covered(lost: Sequence[int], used: Sequence[FilePath], number: int) -> InputError:
    worst = int(np.argmax(lost))
    return InputError(
        used[worst],
        "coverage",
        f"{lost[worst]} of {number} voxels of the template mask not covered in this participant's maps",
        "voxels that every participant's maps cover",
        "Look at the registration and the field of view; exclude the participant if need be.",
    )


def _first_rows(values: np.ndarray, number: int) -> np.ndarray:
    """The first rows, as if there had been room for these alone, memory layout included: sums depend on it."""
    if number < len(values) and not isinstance(values, np.memmap):
        return np.ascontiguousarray(values[:number].T).T
    return values[:number]


def fill(values: np.ndarray, mask: np.ndarray, outside: float = np.nan) -> np.ndarray:
    """Put values (V,) back into a volume; ``outside`` elsewhere."""
    volume = np.full(mask.shape, outside, dtype=np.float64)
    volume[mask] = values
    return volume
