"""ASL runs of a head: pCASL control/label pairs after an M0 volume, with motion, physiological and thermal noise.

The kinetic model is the consensus formula's own (Alsop et al. 2015, doi 10.1002/mrm.25197) with arrival before the
post-labelling delay, so that without noise its inversion gives back the planted CBF exactly::

    deltaM = CBF / 6000 * 2 alpha T1b / lambda * M0 * exp(-PLD / T1b) * (1 - exp(-tau / T1b))

Each tissue has its own M0, and blood's is taken as that of the tissue it feeds over lambda. A voxel holds what the point
spread gathers from the tissue around it; its *apparent* CBF, the truth that a perfect quantification finds, is the mean
CBF of its tissues weighted by their M0.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pharmasl.simulate import participant_anatomy, smooth_noise
from pharmasl.space import resample, transforms
from pharmasl.space.images import Grid

# Fluid's equilibrium magnetisation is 100; values of the digital reference phantom ASLDRO at 3 T, T1 in seconds.
M0 = {"gm": 75.0, "wm": 65.0, "csf": 100.0, "other": 25.0}
T1 = {"gm": 1.33, "wm": 0.83, "csf": 3.0, "other": 0.5}
T1_BLOOD = 1.65
PARTITION = 0.9

# Standard deviation, in volumes, of the kernel that makes motion and physiological drift smooth in time.
MEMORY = 4.0

# Image units per unit of M0, so that whole numbers resolve the noise.
SCALE = 20.0


@dataclass(frozen=True)
class Scanner:
    """How the runs are acquired.

    Attributes
    ----------
    matrix : tuple of int
        Voxels along each axis.
    voxel_size : tuple of float
        mm; slices or partitions along the third axis, without gap.
    pairs : int
    labeling_duration, post_labeling_delay, slice_time : float
        Seconds; slice k is read ``k * slice_time`` after the first, all at once (a 3D readout) if that is zero.
    labeling_efficiency : float
    m0_repetition_time, repetition_time : float
        Seconds.
    static_signal : float
        Share of the static signal that background suppression leaves in the first slice; 1 for none.
    noise : float
        Standard deviation of the thermal noise of each channel, in units of M0 (fluid 100).
    fluctuation : float
        Standard deviation of the physiological noise, as a share of the static signal: once for the whole head, drifting
        slowly, and once in smooth patches.
    perfusion_fluctuation : float
        Standard deviation of the perfusion of a pair about the run's, as a share.
    translation, rotation : float
        Standard deviation of the head's slow drift, mm and degrees along and about each axis.
    receive_bias : float
        Largest departure of the receive field from one.
    """

    matrix: tuple
    voxel_size: tuple
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

    @property
    def volume_types(self):
        """One of ``m0scan``, ``control``, ``label`` for each volume."""
        return ["m0scan"] + ["control", "label"] * self.pairs

    @property
    def slice_timing(self):
        """Start of each slice's readout after the first's, seconds."""
        return [round(k * self.slice_time, 6) for k in range(self.matrix[2])]

    def grid(self, centre):
        """The images' grid, tilted towards the line between the commissures, centred at a point (mm)."""
        tilt = transforms.rigid_matrix(np.zeros(3), np.deg2rad([-6.0, 1.0, -1.0]), np.zeros(3))
        affine = tilt @ np.diag([*self.voxel_size, 1.0])
        affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(self.matrix) - 1) / 2)
        return Grid(tuple(self.matrix), affine)

    def label_signal(self):
        """DeltaM of one unit of CBF in one unit of M0, by slice: ndarray of shape (slices,)."""
        delay = self.post_labeling_delay + np.array(self.slice_timing)
        bolus = 1 - np.exp(-self.labeling_duration / T1_BLOOD)
        return 2 * self.labeling_efficiency * T1_BLOOD / (6000 * PARTITION) * np.exp(-delay / T1_BLOOD) * bolus

    def static_share(self, tissue):
        """Share of a tissue's M0 that control and label volumes show, by slice: ndarray of shape (slices,).

        All tissues are left with ``static_signal`` at the first readout and recover from there with their T1. In a 2D
        readout the head's motion across slices then mimics perfusion: a fault of such sequences, kept here.
        """
        return 1 - (1 - self.static_signal) * np.exp(-np.array(self.slice_timing) / T1[tissue])


@dataclass(frozen=True)
class Tissue:
    """What the scanner sees of a person, with the point spread of its voxels, on the T1w image's grid.

    Attributes
    ----------
    affine : ndarray of shape (4, 4)
        Of the cropped grid.
    magnetisation : dict of ndarray
        M0 by tissue.
    perfusion : ndarray
        CBF times M0.
    """

    affine: np.ndarray
    magnetisation: dict
    perfusion: np.ndarray


def spread(volume, affine, scanner):
    """A volume as blurred by the scanner's point spread, a Gaussian.

    Along encoded axes, where the echo train blurs, it is as wide at half maximum as the voxel; across the slices of a 2D
    readout it has the variance of their box profile.
    """
    width = np.array(scanner.voxel_size) / resample.FWHM_PER_SIGMA
    if scanner.slice_time > 0:
        width[2] = scanner.voxel_size[2] / np.sqrt(12)
    sigma = width / np.linalg.norm(affine[:3, :3], axis=0)
    return ndimage.gaussian_filter(volume, sigma, mode="constant", truncate=3)


def magnetisation(head, scanner):
    """M0 of each tissue with the point spread of the scanner: dict of ndarray."""
    return {
        name: spread(np.float32(M0[name]) * share, head.grid.affine, scanner) for name, share in head.fractions.items()
    }


def modulation(points, regions, gains, level, regional):
    """CBF in a run as a multiple of the tissue's own, at template points.

    Parameters
    ----------
    points : ndarray of shape (..., 3)
        Template millimetres.
    regions : dict of regions.Region
    gains : dict of float
        By region: gain of grey matter's CBF at the centre, mL/100 g/min.
    level : float
        CBF of grey matter away from the regions, mL/100 g/min. White matter gains in proportion.
    regional : ndarray of shape (...)
        Smooth departure of the person and the session from one.

    Returns
    -------
    ndarray of shape (...), float32
    """
    total = 1 + regional
    for name, gain in gains.items():
        if gain:
            total = total + np.float32(gain / level) * regions[name].weight(points)
    return total.astype(np.float32)


def perfusion(head, levels, multiple, scanner):
    """CBF times M0 with the point spread of the scanner.

    Parameters
    ----------
    head : anatomy.Head
    levels : dict of float
        CBF of ``gm`` and ``wm``, mL/100 g/min.
    multiple : ndarray
        From :func:`modulation`.
    scanner : Scanner
    """
    total = sum(np.float32(levels[name] * M0[name]) * head.fractions[name] for name in ("gm", "wm"))
    return spread(total * multiple, head.grid.affine, scanner)


def drift(rng, scanner):
    """The head's position in each volume: ndarray of shape (volumes, 6), mm and radians; zero in the first.

    Each is a smooth curve with a memory of about :data:`MEMORY` volumes: in a run the head wanders over several times its
    standard deviation, but little from control to label.
    """
    volumes = len(scanner.volume_types)
    # The filter's reach is drawn beyond both ends, and its output scaled back to one.
    beyond = round(4 * MEMORY)
    curves = ndimage.gaussian_filter1d(rng.standard_normal((volumes + 2 * beyond, 6)), MEMORY, axis=0)
    curves = curves[beyond : beyond + volumes] * np.sqrt(2 * np.sqrt(np.pi) * MEMORY)
    return (curves - curves[0]) * ([scanner.translation] * 3 + [np.deg2rad(scanner.rotation)] * 3)


def motion_matrices(position, centre):
    """Where points of the first volume's head lie in each volume: ndarray of shape (volumes, 4, 4)."""
    return np.array([transforms.rigid_matrix(row[:3], row[3:], centre) for row in position])


def acquire(rng, scanner, tissue, grid, placement, motions):
    """One run.

    Parameters
    ----------
    rng : numpy.random.Generator, or None for a run without any noise
    scanner : Scanner
    tissue : Tissue
    grid : images.Grid
        Of the ASL images.
    placement : ndarray of shape (4, 4)
        Maps points of the ASL frame, head as in the first volume, to the T1w frame.
    motions : ndarray of shape (volumes, 4, 4)
        From :func:`motion_matrices`.

    Returns
    -------
    ndarray of shape (X, Y, Z, volumes), float32
        In units of M0 (fluid 100) without, in image units with noise.
    """
    points = transforms.points(grid)
    types = scanner.volume_types
    label_signal = scanner.label_signal().astype(np.float32)
    suppressed = {name: scanner.static_share(name).astype(np.float32) for name in tissue.magnetisation}
    recovered = {name: np.float32(1 - np.exp(-scanner.m0_repetition_time / T1[name])) for name in tissue.magnetisation}
    series = np.empty((len(types), *grid.shape), dtype=np.float32)
    if rng is not None:
        beyond = round(4 * MEMORY)
        level = ndimage.gaussian_filter1d(rng.standard_normal(len(types) + 2 * beyond), MEMORY)[beyond:-beyond]
        level *= np.sqrt(2 * np.sqrt(np.pi) * MEMORY)
        flow = 1 + scanner.perfusion_fluctuation * rng.standard_normal(scanner.pairs)
        coarse = smooth_noise.box(*_corners(points), 10.0)
        field = participant_anatomy.receive_field(rng, grid, scanner.receive_bias)
    for t, kind in enumerate(types):
        to_head = placement @ np.linalg.inv(motions[t])
        share = recovered if kind == "m0scan" else suppressed
        volume = sum(
            share[name] * resample.resample(m0, tissue.affine, points, to_head, fill=0.0)
            for name, m0 in tissue.magnetisation.items()
        )
        if rng is not None and kind != "m0scan":
            patches = resample.resample(smooth_noise.gaussian(rng, coarse, 15.0), coarse.affine, points)
            volume *= 1 + np.float32(scanner.fluctuation) * (np.float32(level[t]) + patches)
        if kind == "label":
            delta = label_signal * resample.resample(tissue.perfusion, tissue.affine, points, to_head, fill=0.0)
            volume -= delta if rng is None else delta * np.float32(flow[(t - 2) // 2])
        if rng is not None:
            volume *= field
            volume += np.float32(scanner.noise) * rng.standard_normal(volume.shape, dtype=np.float32)
            volume = np.hypot(volume, np.float32(scanner.noise) * rng.standard_normal(volume.shape, dtype=np.float32))
        series[t] = volume
    series = np.moveaxis(series, 0, -1)
    return series if rng is None else np.rint(SCALE * series)


def _corners(points):
    flat = points.reshape(-1, 3)
    return flat.min(axis=0), flat.max(axis=0)


def apparent_cbf(tissue, points):
    """The CBF that a perfect quantification finds at points of the T1w frame, mL/100 g/min; NaN where there is no brain."""
    brain = sum(tissue.magnetisation[name] for name in participant_anatomy.TISSUES)
    total = resample.resample(brain, tissue.affine, points, fill=0.0)
    flow = resample.resample(tissue.perfusion, tissue.affine, points, fill=0.0)
    whole = resample.resample(sum(tissue.magnetisation.values()), tissue.affine, points, fill=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0.5 * M0["wm"], flow / whole, np.nan).astype(np.float32)
