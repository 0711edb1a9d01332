"""A scan realigned within itself: volumes to one of their own kind, and again once the tissues are known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.perfusion import motion
from pharmasl.perfusion.epi_shift import Unwarping
from pharmasl.perfusion.series import Series
from pharmasl.perfusion.volumes import Volumes
from pharmasl.space import images, transforms
from pharmasl.space.spline import Shift

# What the mean of a series shows, by what perfusion is computed from.
MEANS = {"pairs": "mean control", "encoded": "mean coded volume", "deltam": "deltaM", "cbf": "CBF"}


@dataclass(frozen=True)
class M0Volumes:
    """The M0 volumes of a scan.

    Attributes
    ----------
    data : ndarray of shape (X, Y, Z, N)
        N may be zero.
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm.
    separate : bool
        Whether they are an image of their own, not volumes of the series.
    """

    data: np.ndarray
    affine: np.ndarray
    separate: bool


@dataclass(frozen=True, kw_only=True)
class RealignedScan:
    """The means of a scan's series and of its M0 volumes, each in a place of its own.

    Attributes
    ----------
    data : ndarray of shape (X, Y, Z, T)
    grid : pharmasl.space.images.Grid
    volumes : pharmasl.perfusion.volumes.Volumes
    groups : list of ndarray of int
        Controls and labels of each delay, that of the brightest controls first: it is the others' reference. Of a
        time-encoded series all coded volumes.
    matrices : ndarray of shape (T, 4, 4)
        Maps points of the reference to points of each volume.
    mean : ndarray of shape (X, Y, Z)
    m0_volumes : list of ndarray
    m0_affine : ndarray of shape (4, 4)
    m0_matrices : ndarray of shape (N, 4, 4)
        Maps points of the first M0 volume to points of each.
    m0_mean : ndarray
        Zeros without M0 volumes.
    correct : bool
        Whether volumes are realigned at all.
    separate : bool
        Whether M0 is an image of its own.
    unwarping : pharmasl.perfusion.epi_shift.Unwarping or None
        By which the means are freed of distortion, in place and intensity.
    """

    data: np.ndarray
    grid: images.Grid
    volumes: Volumes
    groups: list[np.ndarray]
    matrices: np.ndarray
    mean: np.ndarray
    m0_volumes: list[np.ndarray]
    m0_affine: np.ndarray
    m0_matrices: np.ndarray
    m0_mean: np.ndarray
    correct: bool
    separate: bool
    unwarping: Unwarping | None = None

    @property
    def realigned(self) -> bool:
        """Whether volumes of the series are realigned."""
        return self.correct and self.volumes.show_the_head

    @property
    def mean_name(self) -> str:
        """What the mean shows."""
        return MEANS[self.volumes.kind]

    def shift(self, separate: bool = False) -> Shift | None:
        """That of the grid's voxels in the series, or in the separate M0 image; None without a correction."""
        if self.unwarping is None:
            return None
        affine = self.m0_affine if separate else self.grid.affine
        return self.unwarping.shift(transforms.points(self.grid), affine, separate=separate)

    def evened(self, image: np.ndarray, separate: bool = False) -> np.ndarray:
        """An image on the grid without what distortion did to the intensity of the series, or of the separate M0 image."""
        if self.unwarping is None:
            return image
        affine = self.m0_affine if separate else self.grid.affine
        return image * self.unwarping.intensity(transforms.points(self.grid), affine, separate=separate)

    def deltam(self, matrices: np.ndarray) -> np.ndarray:
        """Mean control minus mean label of the pairs, on the grid: (X, Y, Z).

        Parameters
        ----------
        matrices : ndarray of shape (T, 4, 4)
            Maps points of the grid to points of each volume.
        """
        shift = self.shift()
        control, label = (
            motion.mean([self.data[..., i] for i in chosen], self.grid.affine, matrices[chosen], self.grid, shift)
            for chosen in self.volumes.pairs.T
        )
        return self.evened(control - label)

    def distorted_mean(self) -> np.ndarray:
        """The mean of the volumes that :attr:`mean` is of, as they were acquired: (X, Y, Z)."""
        own = _averaged(self.volumes, self.groups)
        volumes = [self.data[..., i] for i in own]
        return motion.mean(volumes, self.grid.affine, self.matrices[own], self.grid)

    def images(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Every image that the scan can be registered by, with its affine."""
        shown = {self.mean_name: (self.mean, self.grid.affine)}
        if len(self.m0_volumes):
            shown["M0"] = self.m0_mean, self.m0_affine
        if self.volumes.kind == "pairs":
            shown["deltaM"] = self.deltam(self.matrices), self.grid.affine
        return shown

    def realigned_by(self, brain: Sequence[np.ndarray]) -> np.ndarray:
        """The second pass: each volume's transform to the mean, weighted by the brain, (T, 4, 4).

        Parameters
        ----------
        brain : sequence of 3 ndarray of shape (X, Y, Z)
            Shares of grey matter, white matter and fluid. The first two separate perfusion from motion.
        """
        matrices, affine = self.matrices.copy(), self.grid.affine
        weight, shift = np.clip(sum(brain), 0, 1), self.shift()
        for number, members in enumerate(self.groups):
            mean, controls = self.mean, np.intersect1d(members, self.volumes.static)
            # Volumes are compared with a mean of their own intensities.
            if number or shift is not None:
                own = [self.data[..., i] for i in controls]
                mean = motion.mean(own, affine, self.matrices[controls], self.grid, shift)
            moving, starts = [self.data[..., i] for i in members], self.matrices[members]
            matrices[members] = motion.realign(
                moving, affine, mean, affine, weight, maps=brain[:2], starts=starts, shift=shift
            )
        return _linked(matrices, self.groups, self.grid)


def realign(loaded: Series, m0: M0Volumes, *, correct: bool, unwarping: Unwarping | None = None) -> RealignedScan:
    """The first pass: volumes realigned to one of their own kind.

    After suppression pulses static tissue shows another contrast at each delay, which a realignment must not take for
    motion: volumes of one delay are realigned among themselves, and the delays linked so that the head moves on steadily.

    Parameters
    ----------
    loaded : pharmasl.perfusion.series.Series
    m0 : M0Volumes
    correct : bool
        False leaves every volume where it is.
    unwarping : pharmasl.perfusion.epi_shift.Unwarping, optional
        By which the means are freed of distortion.

    Returns
    -------
    RealignedScan
    """
    data, affine, volumes, grid = loaded.data, loaded.affine, loaded.volumes, loaded.grid
    groups = _groups(loaded)
    matrices = np.tile(np.eye(4), (data.shape[3], 1, 1))
    of_mean = _averaged(volumes, groups)
    if correct and volumes.show_the_head:
        for members in groups:
            own = data[..., typical(data, np.intersect1d(members, volumes.static))]
            moving = [data[..., i] for i in members]
            # The second pass, which knows the tissues, does the fine fit.
            matrices[members] = motion.realign(moving, affine, own, affine, motion.head(own), fine=False)
        matrices = _linked(matrices, groups, grid)
    mean = _mean([data[..., i] for i in of_mean], matrices[of_mean], grid, unwarping)
    m0_volumes = list(np.moveaxis(m0.data, 3, 0))
    m0_matrices, m0_mean = np.tile(np.eye(4), (len(m0_volumes), 1, 1)), np.zeros(m0.data.shape[:3])
    if m0_volumes:
        if correct:
            m0_matrices = motion.realign(m0_volumes, m0.affine, m0_volumes[0], m0.affine, motion.head(m0_volumes[0]))
        m0_grid = images.Grid(m0.data.shape[:3], m0.affine)
        m0_mean = _mean(m0_volumes, m0_matrices, m0_grid, unwarping, separate=m0.separate)
    return RealignedScan(
        data=data,
        grid=grid,
        volumes=volumes,
        groups=groups,
        matrices=matrices,
        mean=mean,
        m0_volumes=m0_volumes,
        m0_affine=m0.affine,
        m0_matrices=m0_matrices,
        m0_mean=m0_mean,
        correct=correct,
        separate=m0.separate,
        unwarping=unwarping,
    )


def _mean(
    volumes: list[np.ndarray],
    matrices: np.ndarray,
    grid: images.Grid,
    unwarping: Unwarping | None,
    separate: bool = False,
) -> np.ndarray:
    """The mean of volumes on their own grid, without distortion where that is known."""
    if unwarping is None:
        return motion.mean(volumes, grid.affine, matrices, grid)
    points = transforms.points(grid)
    shift = unwarping.shift(points, grid.affine, separate=separate)
    mean = motion.mean(volumes, grid.affine, matrices, grid, shift)
    return mean * unwarping.intensity(points, grid.affine, separate=separate)


def averaged(loaded: Series) -> np.ndarray:
    """The volumes whose mean stands for the series."""
    return _averaged(loaded.volumes, _groups(loaded))


def typical_static(loaded: Series) -> np.ndarray | None:
    """The volume which the series is realigned to, as it was acquired: (X, Y, Z); None of a series that does not show the head."""
    if not loaded.volumes.show_the_head:
        return None
    return loaded.data[..., typical(loaded.data, averaged(loaded))]


def _averaged(volumes: Volumes, groups: list[np.ndarray]) -> np.ndarray:
    """The volumes whose mean stands for the series: the controls of the first group, or all differences."""
    if volumes.show_the_head:
        return np.intersect1d(groups[0], volumes.static)
    return {"deltam": volumes.deltam, "cbf": volumes.cbf}[volumes.kind]


def _groups(loaded: Series) -> list[np.ndarray]:
    """The controls and labels of each delay, that of the brightest controls first."""
    data, volumes = loaded.data, loaded.volumes
    delay = np.zeros(data.shape[3], dtype=int) if loaded.timing is None else loaded.timing.group
    # A delay that has lost all its controls has nothing to be realigned to.
    with_control = np.unique(delay[volumes.static])
    groups = [volumes.moving[delay[volumes.moving] == number] for number in with_control]
    return sorted(
        groups, key=lambda members: -data[..., np.intersect1d(members, volumes.static)].mean(dtype=np.float64)
    )


def _linked(matrices: np.ndarray, groups: list[np.ndarray], grid: images.Grid) -> np.ndarray:
    """The volumes of all delays in one space: see :func:`pharmasl.perfusion.motion.continuous`."""
    if len(groups) < 2:
        return matrices
    centre = transforms.apply(grid.affine, (np.array(grid.shape) - 1) / 2)
    moving = np.sort(np.concatenate(groups))
    group = np.zeros(len(matrices), dtype=int)
    for number, members in enumerate(groups):
        group[members] = number
    offsets = motion.continuous(motion.parameters(matrices[moving], centre), group[moving])
    links = np.array([transforms.rigid_matrix(offset[:3], offset[3:], centre) for offset in offsets])
    linked = matrices.copy()
    linked[moving] = matrices[moving] @ links[group[moving]]
    return linked


def typical(data: np.ndarray, control: np.ndarray) -> int:
    """The control nearest to the voxelwise median of all, by least squares after scaling: number of its volume.

    Parameters
    ----------
    data : ndarray of shape (X, Y, Z, T)
    control : ndarray of int
        Volumes.
    """
    volumes = [data[..., number].ravel() for number in control]
    middle = np.median(np.stack(volumes, axis=1), axis=1).astype(np.float64)
    explained = []
    for values in volumes:
        common = (values * middle).sum()
        # What the median's square is less by at the best scale.
        explained.append(common**2 / max(np.square(values, dtype=np.float64).sum(), 1e-12))
    return int(control[int(np.argmax(explained))])
