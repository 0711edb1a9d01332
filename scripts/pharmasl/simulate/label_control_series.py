"""ASL runs of a head: pCASL control/label pairs after an M0 volume, with motion, physiological and thermal noise.

Each tissue has its own M0, and blood's is taken as that of the tissue it feeds over lambda. A voxel holds what the point
spread gathers from the tissue around it; its *apparent* CBF, the truth that a perfect quantification finds, is the mean
CBF of its tissues weighted by their M0.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from pharmasl.simulate import participant_anatomy, sight, smooth_noise
from pharmasl.simulate.echo_planar import Readout
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
class Magnetisation(Mapping[str, np.ndarray]):
    """M0 by tissue, on one grid: a mapping of each tissue's name to its volume.

    Attributes
    ----------
    names : tuple of str
    data : ndarray of shape (X, Y, Z, tissues), float32
        The tissues of a voxel side by side in memory, since they are sampled together.
    """

    names: tuple[str, ...]
    data: np.ndarray

    @classmethod
    def from_volumes(cls, volumes: Mapping[str, np.ndarray]) -> "Magnetisation":
        """From a volume of shape (X, Y, Z) by tissue."""
        return cls(tuple(volumes), np.stack([*volumes.values()], axis=-1).astype(np.float32, copy=False))

    def __getitem__(self, name: str) -> np.ndarray:
        """A tissue's volume, a view."""
        if name not in self.names:
            raise KeyError(name)
        return self.data[..., self.names.index(name)]

    def __iter__(self) -> Iterator[str]:
        """The tissues' names."""
        return iter(self.names)

    def __len__(self) -> int:
        """The number of tissues."""
        return len(self.names)

    @functools.cached_property
    def occupied(self) -> np.ndarray:
        """Where there is anything, by blocks of voxels: see :func:`pharmasl.simulate.sight.occupied`."""
        return sight.occupied(self.data)

    @functools.cached_property
    def whole(self) -> np.ndarray:
        """That of all tissues: ndarray of shape (X, Y, Z)."""
        return functools.reduce(np.add, self.values())

    @functools.cached_property
    def brain(self) -> np.ndarray:
        """That of the brain's tissues and fluid: ndarray of shape (X, Y, Z)."""
        return functools.reduce(np.add, (self[name] for name in participant_anatomy.TISSUES))


@dataclass(frozen=True)
class Tissue:
    """The magnetisation and perfusion of a person with the point spread of the scanner, on the T1w image's grid.

    Attributes
    ----------
    affine : ndarray of shape (4, 4)
        Of the grid.
    magnetisation : Magnetisation
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
    magnetisation: Magnetisation
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
    # What is empty stays so beyond the kernel's reach.
    box = _box(volume, np.ceil(3 * sigma + 1).astype(int))
    out = np.zeros(volume.shape, dtype=volume.dtype)
    ndimage.gaussian_filter(volume[box], sigma, output=out[box], mode="constant", truncate=3)
    return out


def _box(volume: np.ndarray, margin: np.ndarray) -> tuple[slice, ...]:
    """The smallest box that holds what is not zero, and a margin of so many voxels along each axis."""
    box = []
    for axis, beyond in enumerate(margin):
        others = tuple(other for other in participant_anatomy.AXES if other != axis)
        where = np.flatnonzero(volume.any(axis=others))
        box.append(slice(max(where[0] - beyond, 0), where[-1] + beyond + 1) if len(where) else slice(0, 0))
    return tuple(box)


def magnetisation(head: Head, scanner: Scanner, axes: tuple[int, ...] = participant_anatomy.AXES) -> Magnetisation:
    """M0 by tissue with the point spread of the scanner along axes."""
    data = np.empty((*head.grid.shape, len(head.fractions)), dtype=np.float32)
    for number, (name, share) in enumerate(head.fractions.items()):
        data[..., number] = spread(np.float32(M0[name]) * share, head.grid.affine, scanner, axes)
    return Magnetisation(tuple(head.fractions), data)


def finished(tissue: Tissue, scanner: Scanner, axes: tuple[int, ...]) -> Tissue:
    """Tissue that has the point spread along some axes, with it along the others too."""
    rest = tuple(axis for axis in participant_anatomy.AXES if axis not in axes)
    spread_out = {name: spread(m0, tissue.affine, scanner, rest) for name, m0 in tissue.magnetisation.items()}
    return replace(
        tissue,
        magnetisation=Magnetisation.from_volumes(spread_out),
        perfusion=spread(tissue.perfusion, tissue.affine, scanner, rest),
    )


def modulation(
    weights: Mapping[str, np.ndarray],
    gains: Mapping[str, float],
    level: float,
    regional: np.ndarray,
) -> np.ndarray:
    """CBF in a run at some points, as a multiple of the CBF of the tissue there.

    Parameters
    ----------
    weights : mapping of str to ndarray of shape (...)
        Of each region that has a gain, at these points.
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
            total = total + np.float32(gain / level) * weights[name]
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
    own = sum(np.float32(levels[name] * M0[name]) * share for name, share in head.fed_fractions.items())
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
        self._rng, self._scanner, flat = rng, scanner, points.reshape(-1, 3)
        self._level = _smooth_curves(rng, (len(scanner.volume_types),))
        # Of each two volumes after M0, which are a pair where the run has pairs.
        self.flow = 1 + scanner.perfusion_fluctuation * rng.standard_normal(len(scanner.volume_types) // 2)
        self._coarse = smooth_noise.box(flat.min(axis=0), flat.max(axis=0), 10.0)
        self._field = participant_anatomy.receive_field(rng, grid, scanner.receive_bias)

    def fluctuation(self, t: int, points: np.ndarray) -> np.ndarray:
        """Physiological fluctuation of the static signal at points of a volume, as a factor."""
        field = smooth_noise.gaussian(self._rng, self._coarse, 15.0)
        patches = resample.resample(field, self._coarse.affine, points)
        return 1 + np.float32(self._scanner.fluctuation) * (np.float32(self._level[t]) + patches)

    def received(self, volume: np.ndarray) -> np.ndarray:
        """The magnitude that the scanner receives, with Rician noise."""
        thermal = np.float32(self._scanner.noise)
        real = volume * self._field
        real += thermal * self._rng.standard_normal(volume.shape, dtype=np.float32)
        return np.hypot(real, thermal * self._rng.standard_normal(volume.shape, dtype=np.float32))


def _shares(scanner: Scanner, tissues: Magnetisation) -> np.ndarray:
    """The share of each tissue's M0 that a volume shows: ndarray of shape (volumes, slices, tissues), float32."""
    suppressed = np.stack([scanner.static_share(name) for name in tissues], axis=-1).astype(np.float32)
    recovered = np.array([1 - np.exp(-scanner.m0_repetition_time / T1[name]) for name in tissues]).astype(np.float32)
    recovered = np.broadcast_to(recovered, suppressed.shape)
    return np.stack([recovered if kind == "m0scan" else suppressed for kind in scanner.volume_types])


class _Label:
    """What the label takes from the signal of a run's label volumes.

    Parameters
    ----------
    scanner : Scanner
    tissue : Tissue
    alternation : Alternation or None
    view : Sight
    places : list of ndarray of shape (4, 4)
        Of the head in the label volumes.
    slices : ndarray of int, shape (N,)
        Of all the run's voxels.
    """

    def __init__(
        self,
        scanner: Scanner,
        tissue: Tissue,
        alternation: Alternation | None,
        view: Sight,
        places: Sequence[np.ndarray],
        slices: np.ndarray,
    ) -> None:
        self._scanner, self._tissue, self._alternation = scanner, tissue, alternation
        blocks = sight.occupied(tissue.perfusion)
        if alternation is not None:
            blocks |= sight.occupied(alternation.perfusion)
        self._flow = view.seen(tissue.perfusion, blocks)
        self._own = slices[self._flow.where]
        self._perfusion = self._flow.through(places)
        self._added = None
        if alternation is not None:
            self._added = replace(self._flow, volume=alternation.perfusion).through(places)
        self._arrival = self._vessels = None
        if tissue.transit is not None:
            self._arrival = _through(tissue.transit, self._flow.points, places)
            if tissue.arteries is not None:
                self._vessels = view.seen(tissue.arteries, sight.occupied(tissue.arteries))
                self._blood = self._vessels.through(places)
                self._early = _through(tissue.transit, self._vessels.points, places) - np.float32(tissue.lead)
                self._slices = slices[self._vessels.where]

    def take(self, volume: np.ndarray, number: int, t: int, labelled: float, flow: float | None) -> None:
        """Take what the label takes from a volume's signal.

        Parameters
        ----------
        volume : ndarray of shape (N,)
            Changed in place.
        number : int
            Of the label volume among these.
        t : int
            Of it among all volumes.
        labelled : float
            Share of the label's signal that the run has.
        flow : float or None
            Perfusion of the pair against the run's; None without noise.
        """
        for block in np.flatnonzero(self._scanner.labelled[t]):
            self._take_block(self._scanner.blocks[block], volume, number, t, labelled, flow)

    def _take_block(
        self, scanner: Scanner, volume: np.ndarray, number: int, t: int, labelled: float, flow: float | None
    ) -> None:
        """The same for one block of labelling, by the scanner with that block alone."""
        signal = (labelled * scanner.label_signal()).astype(np.float32)[self._own]
        delta = signal * self._perfusion[number]
        if self._alternation is not None and self._added is not None:
            delta += signal * self._alternation.course[t].astype(np.float32)[self._own] * self._added[number]
        if self._arrival is not None:
            delta *= scanner.arrived(self._arrival[number], self._own).astype(np.float32)
        volume[self._flow.where] -= delta if flow is None else delta * np.float32(flow)
        if self._vessels is not None:
            bright = labelled * scanner.in_arteries(self._early[number], self._slices)
            volume[self._vessels.where] -= bright.astype(np.float32) * self._blood[number]


def _through(volume: Volume, points: np.ndarray, places: Sequence[np.ndarray]) -> np.ndarray:
    """A volume at points with the head in one place after the other: ndarray of shape (places, N)."""
    return resample.resample_series(volume.data[..., None], volume.affine, points, places)


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
    series = np.empty((len(types), *grid.shape), dtype=np.float32)
    noise = None if rng is None else _Noise(rng, scanner, grid, points)
    places = [placement @ np.linalg.inv(motion) for motion in motions]
    labels = [t for t, kind in enumerate(types) if kind == "label"]
    # The slice of each voxel, in C order.
    slices = np.tile(np.arange(sampled.shape[2]), sampled.shape[0] * sampled.shape[1])
    view = Sight(points, tissue.affine, places)
    static = view.seen(tissue.magnetisation.data, tissue.magnetisation.occupied)
    signal = static.through(places, _shares(scanner, tissue.magnetisation), slices[static.where])
    delta = _Label(scanner, tissue, alternation, view, [places[t] for t in labels], slices)
    for t, (kind, to_head) in enumerate(zip(types, places)):
        volume = np.zeros(len(slices), dtype=np.float32)
        volume[static.where] = signal[t]
        if alternation is not None and kind != "m0scan":
            course = alternation.course[t].astype(np.float32)
            volume *= 1 + course[slices] * resample.resample(
                alternation.bold, tissue.affine, points.reshape(-1, 3), to_head, fill=0.0
            )
        if noise and kind != "m0scan":
            volume[static.where] *= noise.fluctuation(t, static.points)
        if kind == "label":
            delta.take(volume, labels.index(t), t, labelled, noise.flow[(t - 1) // 2] if noise else None)
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
    total = resample.resample(tissue.magnetisation.brain, tissue.affine, points, fill=0.0)
    flow = resample.resample(tissue.perfusion, tissue.affine, points, fill=0.0)
    whole = resample.resample(tissue.magnetisation.whole, tissue.affine, points, fill=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0.5 * M0["wm"], flow / whole, np.nan).astype(np.float32)
