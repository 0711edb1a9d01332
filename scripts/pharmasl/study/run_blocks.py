"""The blocks of a run in which conditions alternate, as one frozen object that the plan and the jobs share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.statistics import block_design


@dataclass(frozen=True)
class Block:
    """A block of a condition: seconds since the first stored volume began, and how long it lasts."""

    condition: str
    onset: float
    duration: float


@dataclass(frozen=True, kw_only=True)
class RunBlocks:
    """The blocks of a run, and when its volumes were read.

    Attributes
    ----------
    conditions : tuple of str
        In the configuration's order.
    blocks : tuple of Block
        In time; onsets are seconds since the first stored volume began.
    readouts : tuple of float or None
        When the first slice of each volume was read, seconds on the same clock; None for what is no control or label.
    signs : tuple of float or None
        +1/2 for a control, -1/2 for a label.
    delay : float
        Mean delay of the response, seconds.
    cutoff : float
        Longest period of drift that is taken out, seconds.
    source : str
        The table, below the dataset.
    """

    conditions: tuple[str, ...]
    blocks: tuple[Block, ...]
    readouts: tuple[float | None, ...]
    signs: tuple[float | None, ...]
    delay: float
    cutoff: float
    source: str

    @property
    def volumes(self) -> np.ndarray:
        """The controls and labels: numbers of their volumes."""
        return np.array([number for number, sign in enumerate(self.signs) if sign is not None], dtype=int)

    def by_condition(self) -> dict[str, np.ndarray]:
        """Onset and duration of each condition's blocks, (B, 2)."""
        return by_condition(self.conditions, self.blocks)

    def design(self, offset: float = 0.0) -> block_design.Design:
        """The model of the run's controls and labels, of a slice that is read ``offset`` seconds after the first."""
        chosen = self.volumes
        return block_design.design(
            np.array([self.signs[number] for number in chosen], dtype=float),
            np.array([self.readouts[number] for number in chosen], dtype=float) + offset,
            self.by_condition(),
            delay=self.delay,
            cutoff=self.cutoff,
        )

    def plain(self) -> dict[str, Any]:
        """Plain values, as a rule's params hold them."""
        return {
            "conditions": list(self.conditions),
            "blocks": [[block.condition, block.onset, block.duration] for block in self.blocks],
            "readouts": list(self.readouts),
            "signs": list(self.signs),
            "delay": self.delay,
            "cutoff": self.cutoff,
            "source": self.source,
        }


def build(values: Mapping[str, Any]) -> RunBlocks:
    """The blocks of a run from the plain values of :meth:`RunBlocks.plain`."""
    return RunBlocks(
        conditions=tuple(values["conditions"]),
        blocks=tuple(Block(*block) for block in values["blocks"]),
        readouts=tuple(values["readouts"]),
        signs=tuple(values["signs"]),
        delay=values["delay"],
        cutoff=values["cutoff"],
        source=values["source"],
    )


def by_condition(names: Iterable[str], blocks: Sequence[Block]) -> dict[str, np.ndarray]:
    """Onset and duration of each condition's blocks, (B, 2)."""
    return {
        name: np.array([[own.onset, own.duration] for own in blocks if own.condition == name]).reshape(-1, 2)
        for name in names
    }
