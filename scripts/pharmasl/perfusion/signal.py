"""Which volumes of a raw series hold no measurement: empty, damaged, copied, or of another kind than they are called.

Everything is measured on the volumes as they lie in memory, before anything is realigned or averaged. Volumes are
compared within a *family*, whose volumes show the same: controls and labels of one delay, deltaM volumes of one delay, M0
volumes, CBF volumes.

The limits are far from what scans do. In the seven real series at hand and two simulated ones, 423 volumes, the level of a
volume was 0.965 to 1.035 times its family's median, its largest value 0.88 to 1.07 times, and no voxel of the head was
exactly zero (the program and its table: docs/perfusion.md).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.study.scan_acquisition import ENCODED

log = logging.getLogger(__name__)

FAMILIES = {
    "control": "pairs",
    "label": "pairs",
    ENCODED: "pairs",
    "m0scan": "m0scan",
    "deltam": "deltam",
    "cbf": "cbf",
}
# At another delay suppressed static tissue looks different, and differences hold more or less label, down to none.
_BY_DELAY = ("pairs", "deltam")
# Magnitude images of a head that no sequence leaves without signal; differences and CBF maps may be zero anywhere.
MAGNITUDES = ("pairs", "m0scan")
# The head: voxels whose mean over the family is above this share of its 98th percentile.
HEAD = 0.25
# A volume's mean absolute value in the head over the median of its family. Labelling changes static tissue by some
# percent; below the first there is no signal, beyond the others the volume is of another kind (M0 called control).
LEAST_LEVEL = 0.1
LEVELS = (0.5, 2.0)
# Below this number of volumes the median does not say which is the odd one.
LEAST_FAMILY = 3
# Share of the head by which a volume may hold more zeros than its family does (median): magnitudes are hardly ever exactly
# zero there; maps are often masked, and their masks move with the head.
ZEROS = {True: 0.005, False: 0.1}
# Times the (lower) median of the family's largest values, and by itself: no coil's spike reaches the first and no scanner's
# scale the second; a damaged exponent exceeds them at once.
ABSURD = 100.0
ABSURD_VALUE = 1e12


@dataclass(frozen=True)
class Signal:
    """What the volumes of a series hold.

    Attributes
    ----------
    lost : dict of int to str
        Number of each volume that holds no measurement, from 0, to the reason in words ("holds nothing but the value 0").
    level : ndarray of shape (T,)
        Mean absolute value in the head of its family; NaN for dummies and for what holds no signal or is damaged.
    """

    lost: dict[int, str]
    level: np.ndarray


def examine(data: np.ndarray, volume_types: Sequence[str], group: Sequence[int] | np.ndarray | None = None) -> Signal:
    """Find the volumes that hold no measurement, and measure the level of the others.

    Parameters
    ----------
    data : ndarray of shape (X, Y, Z, T)
        As read: values that are not finite are still there. Voxels that are not finite in most volumes of a family are
        its background.
    volume_types : sequence of str
        Of :data:`pharmasl.perfusion.volumes.TYPES`; dummies and ``noRF`` volumes take no part.
    group : sequence of int, optional
        Number of each volume's delay: suppressed static tissue differs between delays.

    Returns
    -------
    Signal
    """
    volumes = [volume.ravel() for volume in np.moveaxis(data, 3, 0)]
    group = np.zeros(data.shape[3], dtype=int) if group is None else np.asarray(group)
    level = np.full(data.shape[3], np.nan)
    lost: dict[int, str] = {}
    for name, delay in dict.fromkeys(_family(kind, number) for kind, number in zip(volume_types, group)):
        if name is None:
            continue
        members = [i for i, kind in enumerate(volume_types) if _family(kind, group[i]) == (name, delay)]
        lost |= _lost_of([volumes[i] for i in members], members, name, level)
    # Copies are looked for over all delays: a copy of another delay's volume is no measurement either.
    for name in dict.fromkeys(FAMILIES.values()):
        members = [i for i, kind in enumerate(volume_types) if FAMILIES.get(kind) == name and i not in lost]
        if name != "m0scan":
            lost |= _copies(volumes, members)
    return Signal(dict(sorted(lost.items())), level)


def levels(data: np.ndarray) -> np.ndarray:
    """The level of volumes of one family, none of them lost.

    Parameters
    ----------
    data : ndarray of shape (X, Y, Z, T)

    Returns
    -------
    ndarray of shape (T,)
        Mean absolute value in the head.
    """
    sizes = [np.abs(volume.ravel()) for volume in np.moveaxis(data, 3, 0)]
    head = _head(sizes)
    return np.array([size[head].mean(dtype=np.float64) for size in sizes])


def _head(sizes: Sequence[np.ndarray]) -> np.ndarray:
    """Numbers of the head's voxels: where the mean of the volumes' absolute values (voxels,) is above its threshold."""
    mean = np.zeros(sizes[0].shape)
    for size in sizes:
        mean += size
    mean /= len(sizes)
    return np.flatnonzero(mean > HEAD * np.percentile(mean, 98))


def _family(kind: str, delay: int) -> tuple[str | None, int]:
    name = FAMILIES.get(kind)
    return name, int(delay) if name in _BY_DELAY else 0


def _lost_of(volumes: Sequence[np.ndarray], members: list[int], name: str, levels_out: np.ndarray) -> dict[int, str]:
    """The lost ones among the ``volumes`` (voxels,) of one family. Levels are written into ``levels_out``."""
    finite = [np.isfinite(volume) for volume in volumes]
    background = np.mean(finite, axis=0) < 0.5
    lost: dict[int, str] = {}
    peaks = np.zeros(len(members))
    for column, number in enumerate(members):
        here = volumes[column] if finite[column].all() else volumes[column][finite[column]]
        if not here.size:
            lost[number] = "holds no finite value"
        elif here.min() == here.max():
            lost[number] = f"holds nothing but the value {here[0]:g}"
        else:
            peaks[column] = np.abs([here.min(), here.max()], dtype=np.float64).max()
    alive = peaks > 0
    if not alive.any():
        return lost
    usual = np.sort(peaks[alive])[(alive.sum() - 1) // 2]
    for column in map(int, np.flatnonzero(alive & (peaks > min(ABSURD * usual, ABSURD_VALUE)))):
        lost[members[column]] = f"is damaged: it holds values of {peaks[column]:.3g}"
    kept = [int(column) for column in np.flatnonzero(alive) if members[column] not in lost]
    sizes = [np.abs(np.where(finite[i], volumes[i], 0)) for i in kept]
    valid = [finite[i] | background for i in kept]
    return lost | _odd(sizes, valid, [members[i] for i in kept], name, levels_out)


def _odd(
    sizes: list[np.ndarray], valid: list[np.ndarray], members: list[int], name: str, levels_out: np.ndarray
) -> dict[int, str]:
    """The volumes without signal in the head, with holes, or of another level, among those with values.

    ``sizes`` (voxels,) are absolute values, 0 where there is none.
    """
    if not members:
        return {}
    head = _head(sizes)
    inside = [size[head] for size in sizes]
    level = np.array([size.mean(dtype=np.float64) for size in inside])
    zeros = np.array([(size == 0).mean() for size in inside])
    holes = [(~known[head]).mean() for known in valid]
    level_usual, zeros_usual = np.median(level), np.median(zeros)
    levels_out[members] = level
    lost: dict[int, str] = {}
    for column, number in enumerate(members):
        ratio = level[column] / level_usual
        if holes[column] > 0:
            lost[number] = f"is damaged: {holes[column]:.2%} of the head's voxels hold no finite value"
            levels_out[number] = np.nan
        elif ratio < LEAST_LEVEL:
            lost[number] = f"holds no signal: its level in the head is {ratio:.2g} of its kind's median"
            levels_out[number] = np.nan
        elif zeros[column] > zeros_usual + ZEROS[name in MAGNITUDES]:
            lost[number] = f"is incomplete: {zeros[column]:.1%} of the head's voxels are exactly zero"
            levels_out[number] = np.nan
        elif name == "pairs" and len(members) >= LEAST_FAMILY and not LEVELS[0] <= ratio <= LEVELS[1]:
            lost[number] = (
                f"is of another kind: its level in the head is {ratio:.2g} times the median of controls and labels"
            )
    return lost


def _copies(volumes: Sequence[np.ndarray], members: list[int]) -> dict[int, str]:
    """Volumes that are, voxel by voxel, copies of an earlier one: noise never repeats itself."""
    lost: dict[int, str] = {}
    seen: dict[float, list[int]] = {}
    for number in members:
        total = np.sum(volumes[number], dtype=np.float64, where=np.isfinite(volumes[number]))
        for earlier in seen.setdefault(float(total), []):
            if np.array_equal(volumes[number], volumes[earlier], equal_nan=True):
                lost[number] = f"is a copy of volume {earlier}"
                break
        else:
            seen[float(total)].append(number)
    return lost


# Reasons named in one message.
MOST_REASONS = 5


def in_words(lost: Mapping[int, str]) -> str:
    """Lost volumes and their reasons in one line, those of one reason together."""
    members: dict[str, list[str]] = {}
    for number, reason in lost.items():
        members.setdefault(reason, []).append(str(number))
    sentences = [
        f"volume{'s' * (len(numbers) > 1)} {', '.join(numbers)}: {reason}" for reason, numbers in members.items()
    ]
    return "; ".join(sentences[:MOST_REASONS]) + f"; and {len(sentences) - MOST_REASONS} more reasons" * (
        len(sentences) > MOST_REASONS
    )


def warn(lost: Mapping[int, str], path: FilePath) -> None:
    """Log the lost volumes, if there are any."""
    if lost:
        log.warning("%s: left out, for they hold no measurement: %s", path, in_words(lost))
