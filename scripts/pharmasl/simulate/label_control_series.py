"""ASL runs of a head: pCASL control/label pairs after an M0 volume, with motion, physiological and thermal noise.

Each tissue has its own M0, and blood's is taken as that of the tissue it feeds over lambda. A voxel holds what the point
spread gathers from the tissue around it; its *apparent* CBF, the truth that a perfect quantification finds, is the mean
CBF of its tissues weighted by their M0.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from pharmasl.simulate import participant_anatomy, smooth_noise
from pharmasl.simulate.echo_planar import Readout
from pharmasl.simulate.effect_places import Place
from pharmasl.simulate.participant_anatomy import Head
from pharmasl.simulate.scanner_model import M0, T1, Scanner
from pharmasl.simulate.sight import Sight
from pharmasl.space import resample, transforms
from pharmasl.space.images import Grid, Volume

# Standard deviation, in volumes, of the kernel that makes motion and physiological drift smooth in time.
MEMORY = 4.0

# By what share the signal of a slice that is out of line is too high.
_SPIKE = 0.3

# Image units per unit of M0, so that whole numbers resolve the noise.
SCALE = 20.0


@dataclass(frozen=True)
class Tissue:
    """The magnetisation and perfusion of a person with the point spread of the scanner, on the T1w image's grid.

    Attributes
    ----------
    affine : ndarray of shape (4, 4)
        Of the cropped grid.
    magnetisation : mapping of str to ndarray
        M0 by tissue.
    perfusion : ndarray
        CBF times M0.
    transit : images.Volume or None
        Arterial transit time, seconds, on a grid of its own that reaches beyond the brain; None where all label arrives before
        the post-labelling delay.
    arteries : ndarray or None
        M0 of the blood in large arteries; None where their signal is not simulated, as it is not without transit times.
    lead : float
        Seconds by which blood is earlier in an artery than in the tissue around it.
    """

    affine: np.ndarray
    magnetisation: Mapping[str, np.ndarray]
    perfusion: np.ndarray
    transit: Volume | None = None
    arteries: np.ndarray | None = None
    lead: float = 0.0


@dataclass(frozen=True)
class Alternation:
    """What alternates within a run.

    Attributes
    ----------
    perfusion : ndarray
        What the other state adds to the tissue's perfusion, CBF times M0, on the T1w image's grid.
    bold : ndarray
        What it adds to the static signal, as a share, on that grid.
    course : ndarray of shape (volumes, slices)
        How much of it there is in each volume, 0 to 1.
    """

    perfusion: np.ndarray
    bold: np.ndarray
    course: np.ndarray


def spread(
    volume: np.ndarray, affine: np.ndarray, scanner: Scanner, axes: tuple[int, ...] = participant_anatomy.AXES
) -> np.ndarray:
    """A volume blurred along axes by the scanner's point spread, a Gaussian.

    Along encoded axes, where the echo train blurs, its width at half maximum is the voxel size; across the slices of a 2D
    readout it has the variance of their box profile.
    """
    width = np.array(scanner.voxel_size) / resample.FWHM_PER_SIGMA
    if scanner.slice_time > 0:
        width[2] = scanner.voxel_size[2] / np.sqrt(12)
    sigma = width / voxel_sizes(affine) * np.isin(range(3), axes)
    return ndimage.gaussian_filter(volume, sigma, mode="constant", truncate=3)


def magnetisation(
    head: Head, scanner: Scanner, axes: tuple[int, ...] = participant_anatomy.AXES
) -> dict[str, np.ndarray]:
    """M0 by tissue with the point spread of the scanner along axes."""
    return {
        name: spread(np.float32(M0[name]) * share, head.grid.affine, scanner, axes)
        for name, share in head.fractions.items()
    }


def finished(tissue: Tissue, scanner: Scanner, axes: tuple[int, ...]) -> Tissue:
    """Tissue that has the point spread along some axes, with it along the others too."""
    rest = tuple(axis for axis in participant_anatomy.AXES if axis not in axes)
    return replace(
        tissue,
        magnetisation={name: spread(m0, tissue.affine, scanner, rest) for name, m0 in tissue.magnetisation.items()},
        perfusion=spread(tissue.perfusion, tissue.affine, scanner, rest),
    )


def modulation(
    points: np.ndarray,
    regions: Mapping[str, Place],
    gains: Mapping[str, float],
    level: float,
    regional: np.ndarray,
) -> np.ndarray:
    """CBF in a run at template points, as a multiple of the CBF of the tissue there.

    Parameters
    ----------
    points : ndarray of shape (..., 3)
        Template millimetres.
    regions : mapping of str to effect_places.Place
    gains : mapping of str to float
        Gain of grey matter's CBF at the centre by region, mL/100 g/min.
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


def perfusion(
    head: Head,
    levels: Mapping[str, float],
    multiple: np.ndarray,
    scanner: Scanner,
    axes: tuple[int, ...] = participant_anatomy.AXES,
) -> np.ndarray:
    """CBF times M0 with the point spread of the scanner along axes.

    Parameters
    ----------
    head : participant_anatomy.Head
    levels : mapping of str to float
        CBF of ``gm`` and ``wm``, mL/100 g/min.
    multiple : ndarray of shape (N,)
        From :func:`modulation`, in the head's voxels that blood feeds.
    scanner : Scanner
    axes : tuple of int
    """
    total = np.zeros(head.grid.shape, dtype=np.float32)
    own = sum(np.float32(levels[name] * M0[name]) * head.fractions[name][head.fed] for name in ("gm", "wm"))
    total[head.fed] = own * multiple
    return spread(total, head.grid.affine, scanner, axes)


def drift(rng: np.random.Generator, scanner: Scanner) -> np.ndarray:
    """The head's position in each volume: ndarray of shape (volumes, 6), mm and radians; zero in the first.

    Each coordinate is a smooth curve with a memory of about :data:`MEMORY` volumes: in a run the head moves by several
    times its standard deviation, but little from control to label.
    """
    volumes = len(scanner.volume_types)
    curves = _smooth_curves(rng, (volumes, 6))
    return (curves - curves[0]) * ([scanner.translation] * 3 + [np.deg2rad(scanner.rotation)] * 3)


def _smooth_curves(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Noise of unit standard deviation that is smooth along the first axis."""
    # The filter's reach is drawn beyond both ends, and its output scaled back to one.
    beyond = round(4 * MEMORY)
    noise = rng.standard_normal((shape[0] + 2 * beyond, *shape[1:]))
    curves = ndimage.gaussian_filter1d(noise, MEMORY, axis=0)[beyond : beyond + shape[0]]
    return curves * np.sqrt(2 * np.sqrt(np.pi) * MEMORY)


def motion_matrices(position: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The motion of the head from the first volume to each volume: ndarray of shape (volumes, 4, 4)."""
    return np.array([transforms.rigid_matrix(row[:3], row[3:], centre) for row in position])


class _Noise:
    """The noise of a run: physiological, of perfusion and thermal, and the receive field."""

    def __init__(self, rng: np.random.Generator, scanner: Scanner, grid: Grid, points: np.ndarray) -> None:
        self._rng, self._scanner, self._points = rng, scanner, points.reshape(-1, 3)
        self._level = _smooth_curves(rng, (len(scanner.volume_types),))
        self.flow = 1 + scanner.perfusion_fluctuation * rng.standard_normal(scanner.pairs)
        self._coarse = smooth_noise.box(self._points.min(axis=0), self._points.max(axis=0), 10.0)
        self._field = participant_anatomy.receive_field(rng, grid, scanner.receive_bias)

    def fluctuation(self, t: int, where: np.ndarray) -> np.ndarray:
        """Physiological fluctuation of the static signal in some voxels of a volume, as a factor."""
        field = smooth_noise.gaussian(self._rng, self._coarse, 15.0)
        patches = resample.resample(field, self._coarse.affine, self._points[where])
        return 1 + np.float32(self._scanner.fluctuation) * (np.float32(self._level[t]) + patches)

    def received(self, volume: np.ndarray) -> np.ndarray:
        """The magnitude that the scanner receives, with Rician noise."""
        thermal = np.float32(self._scanner.noise)
        real = volume * self._field
        real += thermal * self._rng.standard_normal(volume.shape, dtype=np.float32)
        return np.hypot(real, thermal * self._rng.standard_normal(volume.shape, dtype=np.float32))


def acquire(
    rng: np.random.Generator | None,
    scanner: Scanner,
    tissue: Tissue,
    grid: Grid,
    placement: np.ndarray,
    motions: np.ndarray,
    labelled: float = 1.0,
    alternation: Alternation | None = None,
    readout: Readout | None = None,
) -> np.ndarray:
    """The volumes of one run.

    Parameters
    ----------
    rng : numpy.random.Generator or None
        None for a run without any noise.
    scanner : Scanner
    tissue : Tissue
    grid : images.Grid
        Of the ASL images.
    placement : ndarray of shape (4, 4)
        Maps points of the ASL frame, with the head as in the first volume, to the T1w frame.
    motions : ndarray of shape (volumes, 4, 4)
        From :func:`motion_matrices`.
    labelled : float
        Share of the label's signal that the run has; below one where the labelling failed.
    alternation : Alternation, optional
        Of a run in which two states alternate, ``tissue`` being that of the one.
    readout : echo_planar.Readout, optional
        Of a head with a field, ``tissue`` being without the point spread along the phase encoding, which the readout adds.

    Returns
    -------
    ndarray of shape (X, Y, Z, volumes), float32
        In units of M0 (fluid 100) without, in image units with noise.
    """
    sampled = grid if readout is None else readout.fine(grid)
    points = transforms.points(sampled)
    types = scanner.volume_types
    label_signal = (labelled * scanner.label_signal()).astype(np.float32)
    suppressed = {name: scanner.static_share(name).astype(np.float32) for name in tissue.magnetisation}
    recovered = {name: np.float32(1 - np.exp(-scanner.m0_repetition_time / T1[name])) for name in tissue.magnetisation}
    series = np.empty((len(types), *grid.shape), dtype=np.float32)
    noise = None if rng is None else _Noise(rng, scanner, grid, points)
    places = [placement @ np.linalg.inv(motion) for motion in motions]
    sight = Sight(points, tissue.affine, places)
    static = {name: sight.seen(m0) for name, m0 in tissue.magnetisation.items()}
    anything = np.unique(np.concatenate([seen.where for seen in static.values()]))
    changing = () if alternation is None else (alternation.perfusion,)
    flow = sight.seen(tissue.perfusion, *changing)
    vessels = None if tissue.arteries is None or tissue.transit is None else sight.seen(tissue.arteries)
    # The slice of each voxel, in C order.
    slices = np.tile(np.arange(sampled.shape[2]), sampled.shape[0] * sampled.shape[1])
    for t, (kind, to_head) in enumerate(zip(types, places)):
        volume = np.zeros(len(slices), dtype=np.float32)
        for name, seen in static.items():
            share = recovered[name] if kind == "m0scan" else suppressed[name][slices[seen.where]]
            volume[seen.where] += share * seen.at(to_head)
        if alternation is not None and kind != "m0scan":
            course = alternation.course[t].astype(np.float32)
            volume *= 1 + course[slices] * resample.resample(
                alternation.bold, tissue.affine, points.reshape(-1, 3), to_head, fill=0.0
            )
        if noise and kind != "m0scan":
            volume[anything] *= noise.fluctuation(t, anything)
        if kind == "label":
            own = slices[flow.where]
            delta = label_signal[own] * flow.at(to_head)
            if alternation is not None:
                added = resample.resample(alternation.perfusion, tissue.affine, flow.points, to_head, fill=0.0)
                delta += label_signal[own] * alternation.course[t].astype(np.float32)[own] * added
            if tissue.transit is not None:
                arrival = resample.resample(*tissue.transit, flow.points, to_head, fill=0.0)
                delta *= scanner.arrived(arrival, own).astype(np.float32)
            volume[flow.where] -= delta * np.float32(noise.flow[(t - 2) // 2]) if noise else delta
            if vessels is not None and tissue.transit is not None:
                arrival = resample.resample(*tissue.transit, vessels.points, to_head, fill=0.0) - np.float32(
                    tissue.lead
                )
                bright = labelled * scanner.in_arteries(arrival, slices[vessels.where])
                volume[vessels.where] -= bright.astype(np.float32) * vessels.at(to_head)
        volume = volume.reshape(sampled.shape)
        if readout is not None:
            volume = readout.image(volume, points, to_head)
        series[t] = noise.received(volume) if noise else volume
    if rng is not None:
        _spike(rng, scanner.spikes, series)
    series = np.moveaxis(series, 0, -1)
    return np.rint(SCALE * series) if noise else series


def _spike(rng: np.random.Generator, chance: float, series: np.ndarray) -> None:
    """Put single slices of volumes after M0 out of line, of a series of shape (volumes, X, Y, slices)."""
    if not chance:
        return
    for t in 1 + np.flatnonzero(rng.random(len(series) - 1) < chance):
        series[t, :, :, rng.integers(series.shape[-1])] *= np.float32(1 + _SPIKE)


def apparent_cbf(tissue: Tissue, points: np.ndarray) -> np.ndarray:
    """The CBF that a perfect quantification finds at points of the T1w frame, mL/100 g/min; NaN outside the brain."""
    brain = functools.reduce(np.add, (tissue.magnetisation[name] for name in participant_anatomy.TISSUES))
    total = resample.resample(brain, tissue.affine, points, fill=0.0)
    flow = resample.resample(tissue.perfusion, tissue.affine, points, fill=0.0)
    whole = resample.resample(functools.reduce(np.add, tissue.magnetisation.values()), tissue.affine, points, fill=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0.5 * M0["wm"], flow / whole, np.nan).astype(np.float32)
