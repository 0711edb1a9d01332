"""Grey matter, white matter and CSF of a brain: their shares in every voxel.

The shares are posterior means of the states of :mod:`pharmasl.anatomy.tissue_mixtures`, with a Markov random field over
the six neighbours in its mean-field approximation (Zhang et al. 2001, doi 10.1109/42.906424).

All sums run in one thread and one order, so that the same image gives the same bytes on any number of cores.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from nibabel.affines import voxel_sizes
from numba import njit

from pharmasl.anatomy import tissue_mixtures
from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.space import fields, images, inverse_fields, resample, transforms

LOG = logging.getLogger(__name__)

TISSUES = ("CSF", "GM", "WM")  # in the order of their T1-weighted intensities

_NEIGHBOUR_STEPS = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))


@dataclass(frozen=True)
class SegmentationInput:
    """Paths of what a segmentation needs.

    Attributes
    ----------
    preproc, mask : path-like
        Bias-corrected T1w and its brain mask.
    forward : path-like
        ITK field over the template.
    priors_gm, priors_wm, priors_csf : path-like
        Probabilities of the tissues in the template.
    reference : path-like
        An image with the grid of the outputs in template space.
    """

    preproc: FilePath
    mask: FilePath
    forward: FilePath
    priors_gm: FilePath
    priors_wm: FilePath
    priors_csf: FilePath
    reference: FilePath

    @property
    def priors(self) -> tuple[FilePath, ...]:
        """The priors in the order of :data:`TISSUES`."""
        return self.priors_csf, self.priors_gm, self.priors_wm


@dataclass(frozen=True)
class SegmentationOutput:
    """Paths of a segmentation's outputs: shares on the T1w's grid; T1w and grey matter in template space."""

    gm: FilePath
    wm: FilePath
    csf: FilePath
    template_t1w: FilePath
    template_gm: FilePath

    @property
    def shares(self) -> tuple[FilePath, ...]:
        """The shares in the order of :data:`TISSUES`."""
        return self.csf, self.gm, self.wm


@dataclass(frozen=True)
class Options:
    """How the shares are computed.

    Attributes
    ----------
    prior_weight : float
        Exponent of the priors: at 1 they count in full, at 0 not at all.
    neighbour_weight : float
        Weight of the squared distance between a voxel's shares and its neighbours' mean.
    bias_degree : int
        Degree of the polynomial that models the rest of the bias field; 0 for none.
    levels : int
        Number of mixtures of two tissues, both pure ones included: 6 are shares of 0, 0.2 ... 1.
    iterations : int
        Largest number of expectation and maximisation.
    sweeps : int
        Passes of the random field.
    """

    prior_weight: float = 0.5
    neighbour_weight: float = 4.0
    bias_degree: int = 4
    levels: int = 6
    iterations: int = 60
    sweeps: int = 5


@dataclass(frozen=True)
class TissueFit:
    """The distributions of intensity that were fitted.

    Attributes
    ----------
    means, deviations : list of float
        Of CSF, grey and white matter, in the unit of the image, bias removed.
    weights : list of float
        Of the five kinds of voxel (CSF, GM, WM, CSF with GM, GM with WM).
    iterations : int
    """

    means: list[float]
    deviations: list[float]
    weights: list[float]
    iterations: int


def segment(files: SegmentationInput, outputs: SegmentationOutput) -> None:
    """Segment the T1w of one person; write the shares, and T1w and grey matter in template space.

    Raises
    ------
    InputError
        If the three tissues cannot be distinguished.
    """
    head, affine = images.load(files.preproc)
    mask = images.load(files.mask, dtype=np.uint8).data > 0
    try:
        tissues, fit = shares(head, mask, affine, _priors(files, mask, affine))
    except ValueError as error:
        raise InputError(
            file=files.preproc,
            field="tissue contrast",
            found=str(error),
            expected="CSF < GM < WM",
            fix="The image must be T1-weighted: look at it.",
        ) from error
    LOG.info(
        "CSF, GM, WM: mean intensities %s, standard deviations %s, after %d iterations",
        fit.means,
        fit.deviations,
        fit.iterations,
    )
    volumes = {}
    for k, (tissue, path) in enumerate(zip(TISSUES, outputs.shares)):
        volume = np.zeros(head.shape, dtype=np.float32)
        volume[mask] = tissues[:, k]
        volumes[tissue] = volume
        images.save(path, volume, affine)
    on_template = ((outputs.template_t1w, head * mask), (outputs.template_gm, volumes["GM"]))
    carry_to_template(on_template, affine, files.forward, files.reference)
    tables.write_json(
        str(outputs.template_t1w).removesuffix(".nii.gz") + ".json",
        {"Description": "The brain of the bias-corrected T1w, on the template", "SkullStripped": True},
    )


def carry_to_template(
    volumes: Iterable[tuple[FilePath, np.ndarray]], affine: np.ndarray, forward: FilePath, reference: FilePath
) -> None:
    """Write volumes on the grid of the T1w in template space.

    Parameters
    ----------
    volumes : iterable of (path-like, ndarray of shape (X, Y, Z))
        Each with the path that is written.
    affine : ndarray of shape (4, 4)
        Of the volumes.
    forward : path-like
        ITK field over the template.
    reference : path-like
        An image with the grid of the outputs.
    """
    grid = images.grid(reference)
    field, field_grid = transforms.read_field(forward)
    if field_grid.shape != grid.shape or not np.allclose(field_grid.affine, grid.affine):
        field = fields.sample(field, field_grid.affine, transforms.points(grid))
    code = images.form_code(reference)
    for path, volume in volumes:
        images.save(path, resample.resample(volume, affine, field, fill=0), grid.affine, code=code)


def _priors(files: SegmentationInput, mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Prior probabilities (N, 3) of the tissues in the voxels of a mask, from the template."""
    points = transforms.apply(affine, np.argwhere(mask).astype(np.float64))
    in_template = fields.sample(*inverse_fields.read(files.forward, files.mask, points), points)
    priors = np.empty((len(in_template), 3), dtype=np.float32)
    for k, path in enumerate(files.priors):
        priors[:, k] = resample.resample(*images.load(path), in_template, fill=0)
    return priors


def shares(
    head: np.ndarray,
    mask: np.ndarray,
    affine: np.ndarray,
    priors: np.ndarray | None = None,
    options: Options | None = None,
) -> tuple[np.ndarray, TissueFit]:
    """Tissue shares of the voxels of a mask.

    Parameters
    ----------
    head : ndarray of shape (X, Y, Z)
        T1-weighted intensities, most of the bias removed.
    mask : ndarray of bool, shape (X, Y, Z)
        N voxels.
    affine : ndarray of shape (4, 4)
    priors : ndarray of shape (N, 3), optional
        Probability of CSF, grey and white matter in the mask's voxels (C order); equal by default.
    options : Options, optional

    Returns
    -------
    shares : ndarray of shape (N, 3), float32
        CSF, grey and white matter; they add up to 1.
    fit : TissueFit

    Raises
    ------
    ValueError
        If the three tissues cannot be distinguished.
    """
    options = options or Options()
    places = np.argwhere(mask)
    intensity = head[mask].astype(np.float64)
    scale = float(np.median(intensity))
    if not scale > 0:
        raise ValueError(f"the median intensity in the brain mask is {scale:g}")
    mixed = tissue_mixtures.mixtures(options.levels)
    voxels = tissue_mixtures.Voxels(
        # A voxel of exactly 0 has no logarithm; a thousandth of the median is as dark.
        intensity=np.maximum(intensity / scale, 1e-3),
        log_prior=_log_prior(len(intensity), priors, mixed.fractions, options.prior_weight),
        position=_centred(places, affine),
    )
    model, corrected, used = tissue_mixtures.fit(
        voxels,
        mixed,
        share=tissue_mixtures.expected_share(affine),
        bias_degree=options.bias_degree,
        iterations=options.iterations,
    )
    states, neighbours = tissue_mixtures.states(model, mixed), _neighbours(mask, places)
    values = corrected.astype(np.float32)
    current = np.empty((len(values), 3), dtype=np.float32)
    previous = np.empty_like(current)
    for sweep in range(options.sweeps + 1):
        weight = options.neighbour_weight if sweep else 0.0
        _mix(values, neighbours, previous, voxels.log_prior, states, weight, current)
        current, previous = previous, current
    fit = TissueFit(
        means=(model.mean * scale).round(3).tolist(),
        deviations=(model.deviation * scale).round(3).tolist(),
        weights=model.weight.round(4).tolist(),
        iterations=used,
    )
    return previous, fit


def _log_prior(count: int, priors: np.ndarray | None, fractions: np.ndarray, weight: float) -> np.ndarray:
    """Logarithm (N, S) of the prior weight of the states of N voxels."""
    log_prior = np.zeros((count, len(fractions)), dtype=np.float32)
    if priors is not None:
        for s, fraction in enumerate(fractions):
            # The probability that a point of such a voxel is of the tissue that the template expects there.
            log_prior[:, s] = weight * np.log(priors @ fraction.astype(np.float32) + tissue_mixtures.PRIOR_FLOOR)
    return log_prior


def _centred(voxels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Positions of voxels along the image's axes, scaled so that the brain spans about -1 to 1 on its longest."""
    size = voxel_sizes(affine)
    low, high = voxels.min(axis=0), voxels.max(axis=0)
    return ((voxels - (low + high) / 2) * size / (((high - low + 1) * size).max() / 2)).astype(np.float32)


def _neighbours(mask: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """Indices (N, 6) of each voxel's neighbours among the mask's voxels, -1 where there is none."""
    padded = np.full(tuple(n + 2 for n in mask.shape), -1, dtype=np.int32)
    i, j, k = (voxels + 1).T
    padded[i, j, k] = np.arange(len(voxels), dtype=np.int32)
    out = np.empty((len(voxels), 6), dtype=np.int32)
    for column, (a, b, c) in enumerate(_NEIGHBOUR_STEPS):
        out[:, column] = padded[i + a, j + b, k + c]
    return out


@njit(cache=True, nogil=True)
def _mix(intensity, neighbours, share, log_prior, states, weight, out):
    """Posterior mean of the shares; with a ``weight``, drawn towards the neighbours' in ``share``."""
    fractions, centre, precision, constant = states.fractions, states.centre, states.precision, states.constant
    n_states = centre.shape[0]
    around, value = np.empty(3), np.empty(n_states)
    for i in range(intensity.shape[0]):
        around[:] = 0.0
        pull = 0.0
        if weight > 0:
            count = 0
            for j in range(6):
                q = neighbours[i, j]
                if q >= 0:
                    count += 1
                    for k in range(3):
                        around[k] += share[q, k]
            if count > 0:
                around /= count
                pull = weight
        largest = -np.inf
        for s in range(n_states):
            v = constant[s] - precision[s] * (intensity[i] - centre[s]) ** 2 + log_prior[i, s]
            for k in range(3):
                v -= pull * (fractions[s, k] - around[k]) ** 2
            value[s] = v
            largest = max(largest, v)
        total, first, last = 0.0, 0.0, 0.0
        for s in range(n_states):
            if value[s] > largest - 20:
                e = np.exp(value[s] - largest)
                total += e
                first += e * fractions[s, 0]
                last += e * fractions[s, 2]
        out[i, 0] = first / total
        out[i, 2] = last / total
        out[i, 1] = max(0.0, 1 - out[i, 0] - out[i, 2])
