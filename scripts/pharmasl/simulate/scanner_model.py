"""The simulated scanner: the acquisition of the runs, the kinetic model and the recovery of the static signal.

The kinetic model is the consensus formula's own (Alsop et al. 2015, doi 10.1002/mrm.25197) with arrival before the
post-labelling delay, so that without noise its inversion gives back the planted CBF exactly::

    deltaM = CBF / 6000 * 2 alpha T1b / lambda * M0 * exp(-PLD / T1b) * (1 - exp(-tau / T1b))
"""

import functools
from dataclasses import dataclass, replace

import numpy as np

from pharmasl.space import transforms
from pharmasl.space.images import Grid
from pharmasl.study import block_codes
from pharmasl.study.settings import BlockCode

# Fluid's equilibrium magnetisation is 100; values of the digital reference phantom ASLDRO at 3 T, T1 in seconds.
M0 = {"gm": 75.0, "wm": 65.0, "csf": 100.0, "other": 25.0}
T1 = {"gm": 1.33, "wm": 0.83, "csf": 3.0, "other": 0.5}
T1_BLOOD = 1.65
PARTITION = 0.9
# Seconds.
ECHO_TIME = 0.012


@dataclass(frozen=True, kw_only=True)
class CodedCycles(BlockCode):
    """Runs of time-encoded cycles: the code by which their volumes are labelled, and how many cycles a run has."""

    cycles: int


@dataclass(frozen=True)
class Scanner:
    """The acquisition of the runs.

    Attributes
    ----------
    matrix : tuple of int
        Voxels along each axis.
    voxel_size : tuple of float
        mm; slices or partitions along the third axis, without gap.
    pairs : int
        Of a run that is not time-encoded.
    labeling_duration, post_labeling_delay, slice_time : float
        Seconds; slice k is read ``k * slice_time`` after the first; zero for a 3D readout. The first two of runs that are not
        time-encoded.
    labeling_efficiency : float
    m0_repetition_time, repetition_time : float
        Seconds.
    static_signal : float
        Share of the static signal that background suppression leaves in the first slice; 1 for none.
    noise : float
        Standard deviation of the thermal noise of each channel, in units of M0 (fluid 100).
    fluctuation : float
        Standard deviation, as a share of the static signal, of either part of the physiological noise: a slow drift of
        the whole head, and smooth patches.
    perfusion_fluctuation : float
        Standard deviation of the perfusion of a pair about the run's, as a share.
    translation, rotation : float
        Standard deviation of the head's slow drift along (mm) and about (degrees) each axis.
    receive_bias : float
        Largest departure of the receive field from one.
    spikes : float
        Chance that one slice of a control or label volume is out of line.
    encoding : CodedCycles or None
        Of runs that are time-encoded.
    """

    matrix: tuple[int, ...]
    voxel_size: tuple[float, ...]
    pairs: int
    labeling_duration: float
    post_labeling_delay: float
    slice_time: float
    labeling_efficiency: float
    m0_repetition_time: float
    repetition_time: float
    static_signal: float
    noise: float
    fluctuation: float
    perfusion_fluctuation: float
    translation: float
    rotation: float
    receive_bias: float
    spikes: float
    encoding: CodedCycles | None = None

    @property
    def volume_types(self) -> list[str]:
        """The type of each volume: ``m0scan``, ``control`` or ``label``; of a time-encoded one ``label`` where any block labels."""
        return ["m0scan", *("label" if any(blocks) else "control" for blocks in self.labelled[1:])]

    @functools.cached_property
    def labelled(self) -> np.ndarray:
        """Whether each block labels in each volume: ndarray of bool, shape (volumes, blocks); pairs are of one block."""
        if self.encoding is None:
            return np.array([[False]] + [[False], [True]] * self.pairs)
        cycle = np.array(block_codes.signs(self.encoding)) < 0
        return np.concatenate([np.zeros((1, cycle.shape[1]), dtype=bool), np.tile(cycle, (self.encoding.cycles, 1))])

    @functools.cached_property
    def blocks(self) -> list["Scanner"]:
        """The same scanner with each block of labelling alone, in order of time; with pairs, itself."""
        if self.encoding is None:
            return [self]
        delays = block_codes.block_delays(self.encoding)
        return [
            replace(self, encoding=None, labeling_duration=duration, post_labeling_delay=delay)
            for duration, delay in zip(self.encoding.durations, delays)
        ]

    @property
    def preparation(self) -> float:
        """Seconds from the begin of the first block of labelling to the first slice's readout."""
        return max(own.labeling_duration + own.post_labeling_delay for own in self.blocks)

    @property
    def slice_timing(self) -> list[float]:
        """Start of each slice's readout after the first's, seconds."""
        return [round(k * self.slice_time, 6) for k in range(self.matrix[2])]

    def grid(self, centre: np.ndarray) -> Grid:
        """The grid of the images, tilted towards the line between the commissures and centred at a point (mm)."""
        tilt = transforms.rigid_matrix(np.zeros(3), np.deg2rad([-6.0, 1.0, -1.0]), np.zeros(3))
        affine = tilt @ np.diag([*self.voxel_size, 1.0])
        affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(self.matrix) - 1) / 2)
        return Grid(tuple(self.matrix), affine)

    def label_signal(self) -> np.ndarray:
        """DeltaM per unit of CBF and of M0, by slice: ndarray of shape (slices,)."""
        delay = self.post_labeling_delay + np.array(self.slice_timing)
        bolus = 1 - np.exp(-self.labeling_duration / T1_BLOOD)
        return 2 * self.labeling_efficiency * T1_BLOOD / (6000 * PARTITION) * np.exp(-delay / T1_BLOOD) * bolus

    def arrived(self, transit: np.ndarray, slices: np.ndarray) -> np.ndarray:
        """The label's signal after an arterial transit time, as a share of that with arrival before the post-labelling delay.

        Label that arrives at delta has decayed with blood's T1 since it was labelled, wherever it is; what has not arrived at
        readout is missing (Buxton 1998, doi 10.1002/mrm.1910400308, with one T1)::

            exp((PLD - delta) / T1b) * (1 - exp(-(tau + PLD - delta) / T1b)) / (1 - exp(-tau / T1b)),  PLD < delta < PLD + tau

        Parameters
        ----------
        transit : ndarray of shape (N,)
            Seconds.
        slices : ndarray of int, shape (N,)
            The slice in which each is.
        """
        delay = (self.post_labeling_delay + np.array(self.slice_timing))[slices]
        late = np.clip(transit - delay, 0, self.labeling_duration)
        bolus = 1 - np.exp(-self.labeling_duration / T1_BLOOD)
        return np.exp(-late / T1_BLOOD) * (1 - np.exp(-(self.labeling_duration - late) / T1_BLOOD)) / bolus

    def in_arteries(self, transit: np.ndarray, slices: np.ndarray) -> np.ndarray:
        """Twice the label that is in an artery at readout, as a share of its blood's M0; nothing once its end has passed.

        Blood that is in an artery at readout was labelled an arterial transit time before, while the label lasted or not, and has
        decayed since (Chappell et al. 2010, doi 10.1002/mrm.22320)::

            2 alpha exp(-delta / T1b),  PLD <= delta <= PLD + tau

        Parameters
        ----------
        transit : ndarray of shape (N,)
            Seconds, of the artery.
        slices : ndarray of int, shape (N,)
            The slice in which each is.
        """
        delay = (self.post_labeling_delay + np.array(self.slice_timing))[slices]
        there = (transit >= delay) & (transit <= delay + self.labeling_duration)
        return 2 * self.labeling_efficiency * np.exp(-transit / T1_BLOOD) * there

    def static_share(self, tissue: str) -> np.ndarray:
        """Share of a tissue's M0 that control and label volumes show, by slice: ndarray of shape (slices,).

        All tissues have ``static_signal`` at the first readout and recover from there with their T1. In a 2D readout the
        head's motion across slices then mimics perfusion: a fault of such sequences that is simulated, too.
        """
        return 1 - (1 - self.static_signal) * np.exp(-np.array(self.slice_timing) / T1[tissue])
