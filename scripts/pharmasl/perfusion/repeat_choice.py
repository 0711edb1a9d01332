"""Which repeats of a scan make its mean, and the table that says so."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from pharmasl.perfusion import artefacts, far_off, motion, subtraction
from pharmasl.perfusion.scan import Scan
from pharmasl.study import settings

REPEATS = {
    **artefacts.COLUMNS,
    "control": {
        "Description": "Volume of the series, from 0, that holds the control; or the difference itself; or the first volume of "
        "the cycle of a time-encoded series"
    },
    "label": {
        "Description": "Volume that holds the label; n/a for a difference that the scanner made or that was decoded"
    },
    "post_labeling_delay": {"Description": "Post-labelling delay or inversion time", "Units": "s"},
    "weight": {"Description": "Mean weight of the repeat in the voxels of the brain, 0 to 1", "Units": "1"},
    "displacement_before": {
        "Description": "Framewise displacement of the repeat's first volume since the volume before it. Realignment "
        "corrects it, and no rule judges it",
        "Units": "mm",
    },
    "no_signal": {"Description": "Whether the repeat holds no measurement, so that nothing was computed from it"},
}


def choose(
    raw: Scan,
    cbf: np.ndarray,
    tissue: tuple[np.ndarray, np.ndarray, np.ndarray],
    positions: np.ndarray,
    slices: np.ndarray,
    outliers: settings.Outliers,
) -> artefacts.Choice:
    """The repeats that make the mean, with the reason for leaving out each of the others.

    Parameters
    ----------
    raw : pharmasl.perfusion.scan.Scan
    cbf : ndarray of shape (V, N)
        CBF of each repeat, mL/100 g/min.
    tissue : tuple of 3 ndarray of shape (V,)
        Shares of grey matter, white matter and fluid.
    positions : ndarray of shape (T, 6)
        Where the head is in each volume: :func:`pharmasl.perfusion.motion.parameters`.
    slices : ndarray of shape (T,)
        Slices out of line in each volume; NaN where they were not measured.
    outliers : pharmasl.study.settings.Outliers

    Returns
    -------
    pharmasl.perfusion.artefacts.Choice
    """
    alive = raw.repeats.alive
    cbf, displacement = np.ascontiguousarray(cbf[:, alive]), _displacement_within(raw, positions)[alive]
    if raw.several_delays:
        # Delays differ in their perfusion: each repeat is compared with those of its own delay.
        for number in np.unique(raw.repeats.group[alive]):
            members = raw.repeats.of_group(number)[alive]
            cbf[:, members] -= np.nanmedian(cbf[:, members], axis=1, keepdims=True)
        cbf += np.nanmedian(cbf, axis=1, keepdims=True)
        rules = tuple(rule for rule in outliers.rules if rule != "enable")
        outliers = dataclasses.replace(outliers, rules=rules)
    of_repeat = _slices_within(raw, slices)[alive]
    choice = artefacts.choose(cbf, tissue, displacement=displacement, slices=of_repeat, outliers=outliers)
    choice = far_off.without_far_off(choice)
    return _with_lost(_by_cycle(choice, raw.repeats.cycle[alive]), raw.repeats)


def _by_cycle(choice: artefacts.Choice, cycle: np.ndarray) -> artefacts.Choice:
    """The choice by whole cycles: each block is decoded from all volumes of its cycle, and so is what is wrong with them."""
    if len(np.unique(cycle)) == len(cycle):
        return choice
    passed, reasons = choice.passed.copy(), list(choice.reasons)
    for number in np.unique(cycle[~passed]):
        members = np.flatnonzero(cycle == number)
        first = reasons[next(member for member in members if not choice.passed[member])]
        for member in members[passed[members]]:
            reasons[member] = f"of the same cycle: {first}"
        passed[members] = False
    return dataclasses.replace(choice, passed=passed, reasons=reasons)


def _with_lost(choice: artefacts.Choice, repeats: subtraction.Differences) -> artefacts.Choice:
    """The choice among the repeats that hold a measurement, and those that hold none between them."""
    numbers = np.flatnonzero(repeats.alive)
    passed, reasons = np.zeros(repeats.number, dtype=bool), list(repeats.lost)
    figures = [{**dict.fromkeys(artefacts.COLUMNS), "repeat": number} for number in range(repeats.number)]
    for number, row, reason, good in zip(numbers, choice.figures, choice.reasons, choice.passed):
        passed[number], reasons[number] = good, reason
        figures[number] = {**row, "repeat": int(number)}
    return artefacts.Choice(passed, reasons, figures, choice.notes, repeats.alive)


def _displacement_within(raw: Scan, positions: np.ndarray) -> np.ndarray:
    """How far apart the head lay in the volumes that each repeat subtracts, mm; NaN for a difference of the scanner.

    For control minus label it is the framewise displacement from the one to the other. Where several labels are
    interpolated to the control's time, the sum of theirs, each by its weight: what they leave is at most of that size.
    Where whole repeats moved, realignment leaves no more than a few percent of perfusion (docs/perfusion.md), but what it
    leaves of static tissue between a control and its label is of perfusion's own size.

    Of a cycle of coded volumes, the positions are decoded as the signal is, and the block that is worst stands for all: half
    of a cycle elsewhere, in step with a block, counts as a label elsewhere; one volume of N elsewhere as 2 / N of that.
    """
    if raw.volumes.kind == "encoded":
        return _displacement_of_cycles(raw, positions)
    if raw.volumes.kind != "pairs":
        return np.full(raw.repeats.number, np.nan)
    # The volumes that hold no measurement have no weight, and a position that means nothing.
    within = np.zeros(raw.repeats.number)
    for number, ((control, _), weights) in enumerate(zip(raw.repeats.pairs, raw.repeats.weights)):
        for volume in np.flatnonzero(weights):
            apart = motion.framewise_displacement(positions[[control, volume]])[1]
            within[number] += abs(weights[volume]) * apart
    return np.where(raw.repeats.alive, within, np.nan)


def _displacement_of_cycles(raw: Scan, positions: np.ndarray) -> np.ndarray:
    # What does not cancel of static tissue is, to first order, its gradient times the positions decoded as the signal is.
    decoded = raw.repeats.weights @ np.nan_to_num(positions)
    own = motion.framewise_displacement(np.stack([np.zeros_like(decoded), decoded], axis=1).reshape(-1, 6))[1::2]
    most = np.array([own[raw.repeats.cycle == number].max() for number in np.unique(raw.repeats.cycle)])
    return np.where(raw.repeats.alive, most[raw.repeats.cycle], np.nan)


def _slices_within(raw: Scan, slices: np.ndarray) -> np.ndarray:
    """How many slices are out of line in the volumes that each repeat subtracts; NaN where none was measured."""
    if not raw.volumes.show_the_head:
        return np.full(raw.repeats.number, np.nan)
    within = np.full(raw.repeats.number, np.nan)
    for number, ((control, _), weights) in enumerate(zip(raw.repeats.pairs, raw.repeats.weights)):
        own = slices[np.union1d(control, np.flatnonzero(weights))]
        within[number] = np.nansum(own) if np.isfinite(own).any() else np.nan
    return within


def _displacement_before(raw: Scan, positions: np.ndarray) -> np.ndarray:
    """How far the head moved to each repeat's first volume since the volume before, mm; NaN where there is none."""
    if not raw.volumes.show_the_head:
        return np.full(raw.repeats.number, np.nan)
    since = np.full(len(raw.motion), np.nan)
    since[raw.volumes.moving] = motion.framewise_displacement(positions[raw.volumes.moving])
    first = raw.repeats.pairs[:, 0] if raw.volumes.kind == "encoded" else raw.repeats.pairs.min(axis=1)
    return since[first]


def rows(raw: Scan, choice: artefacts.Choice, weight: np.ndarray, positions: np.ndarray) -> Iterator[dict[str, Any]]:
    """The table of a scan's repeats, with the columns of :data:`REPEATS`.

    Parameters
    ----------
    raw : pharmasl.perfusion.scan.Scan
    choice : pharmasl.perfusion.artefacts.Choice
    weight : ndarray of shape (N,)
        Mean weight of each repeat.
    positions : ndarray of shape (T, 6)
        Where the head is in each volume.
    """
    before = _displacement_before(raw, positions)
    for number, (row, pair) in enumerate(zip(choice.rows, raw.repeats.pairs)):
        delay = None if raw.timing is None else float(raw.timing.delay[raw.repeats.group[number]])
        label = int(pair[1]) if pair[1] >= 0 else None
        yield {
            **row,
            "control": int(pair[0]),
            "label": label,
            "post_labeling_delay": delay,
            "weight": weight[number],
            "displacement_before": before[number],
            "no_signal": bool(raw.repeats.lost[number]),
        }
