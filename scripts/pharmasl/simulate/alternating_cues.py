"""Cues in blocks: runs in which smoking and neutral cues alternate, where the simulator is asked for them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pharmasl.files import bids
from pharmasl.simulate.scanner_model import Scanner
from pharmasl.simulate.trial_draws import CONDITIONS
from pharmasl.statistics import block_design

# The cues, in the order of the runs that begin with them.
CUES = CONDITIONS[1:]


@dataclass(frozen=True, kw_only=True)
class CueBlocks:
    """How the cues alternate.

    Attributes
    ----------
    duration : float
        Of each block, seconds; 0 where each cue has a run of its own.
    delay : float
        Mean delay of the response, seconds.
    bold : float
        BOLD response to smoking cues in the planted regions, as a share of the static signal.
    """

    duration: float
    delay: float
    bold: float

    @property
    def planted(self) -> bool:
        """Whether the cues alternate within runs."""
        return self.duration > 0

    def blocks(self, scanner: Scanner, first: str) -> list[tuple[float, float, str]]:
        """Onset, duration and cue of the blocks of a run that begins with a cue; the first begins with the second volume."""
        begin = scanner.m0_repetition_time
        number = int((2 * scanner.pairs * scanner.repetition_time) // self.duration)
        order = [first, *(cue for cue in CUES if cue != first)]
        return [(begin + k * self.duration, self.duration, order[k % len(order)]) for k in range(number)]

    def course(self, scanner: Scanner, first: str) -> np.ndarray:
        """The response to the smoking cues in each volume's slices: ndarray of shape (volumes, slices)."""
        volumes, offsets = len(scanner.volume_types), np.array(scanner.slice_timing)
        starts = np.concatenate([[0.0], scanner.m0_repetition_time + scanner.repetition_time * np.arange(volumes - 1)])
        times = starts + scanner.labeling_duration + scanner.post_labeling_delay
        blocks = np.array([own[:2] for own in self.blocks(scanner, first) if own[2] == CUES[0]])
        return np.stack([block_design.response(times + offset, blocks, self.delay) for offset in offsets], axis=1)


def run_entities(blocks: Mapping[str, float], condition: str) -> dict[str, str]:
    """The entities by which the run of a condition is named; with blocks, that of the run that begins with it."""
    if blocks["duration"] <= 0 or condition not in CUES:
        return {"acq": condition}
    return {"acq": "cues", "run": str(CUES.index(condition) + 1)}


def state_stems(blocks: Mapping[str, float], condition: str, stem: str) -> list[tuple[str, str]]:
    """The conditions of the run of a condition, and the stems of their maps.

    Parameters
    ----------
    blocks : mapping
        The section ``simulate.blocks``.
    condition : str
        By which the run is named.
    stem : str
        Of the run.
    """
    if blocks["duration"] <= 0 or condition not in CUES:
        return [(condition, stem)]
    return [(cue, bids.state_stem(stem, cue)) for cue in CUES]
