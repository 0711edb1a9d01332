"""Grey matter, white matter and CSF of a brain: the share of each in every voxel.

A voxel holds one tissue or two that meet in a brain, CSF with grey or grey with white matter, in one of a few shares. The
intensities of these states follow from three normal distributions (Laidlaw et al. 1998, doi 10.1109/42.668696), which
are fitted by expectation and maximisation together with what is left of the bias field and with tissue priors from the
template (Ashburner & Friston 2005, doi 10.1016/j.neuroimage.2005.02.018). The shares are the states' posterior means,
with a Markov random field over the six neighbours in its mean-field approximation (Zhang et al. 2001,
doi 10.1109/42.906424).

All sums run in one thread and one order, so that the same image gives the same bytes on any machine's cores.
"""

import logging

import numpy as np
from numba import njit

from pharmasl.errors import InputError
from pharmasl.space import fields, images, resample, transforms

LOG = logging.getLogger(__name__)

TISSUES = ("CSF", "GM", "WM")  # in the order of their T1-weighted intensities

# A prior never excludes: this much of each tissue is expected everywhere.
_PRIOR_FLOOR = 0.02
# Voxels that are enough to fit three distributions and a smooth field.
_SAMPLE = 150_000
# What keeps the fit of real images determined, where a wide grey matter can pass for mixtures and mixtures for it:
# noise is the same in all tissues, and grey matter and CSF vary at most this much more than white matter;
_WIDEST = 1.5
# each of the cortex's two surfaces, about 0.17 m2, lies in a layer of mixed voxels as thick as a voxel: this share of
# the brain (about 1.3 L) for each mm of voxel size, at most 0.3, is half of what the weight of mixtures is taken to be,
_MIXED_PER_MM, _MOST_MIXED, _EXPECTED_MIXED = 0.13, 0.3, 0.5
# and pure CSF, rare outside the ventricles, weighs at least this much of its mixtures, or only its darkest voxels stay.
_LEAST_FLUID = 0.6
_NEIGHBOUR_STEPS = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))


def segment(files, made, **settings):
    """Segment one person's T1w, and carry it and its grey matter to the template.

    Parameters
    ----------
    files : dict of str to path-like
        ``preproc``, ``mask``; ``forward``, ``inverse`` (ITK fields over the template and over the T1w image);
        ``priors_gm``, ``priors_wm``, ``priors_csf`` (template); ``reference`` (grid of the template images to write).
    made : dict of str to path-like
        Written: ``gm``, ``wm``, ``csf`` on the T1w's grid, ``template_t1w`` and ``template_gm`` on the reference's.
    **settings
        Of :func:`shares`.
    """
    head, affine = images.load(files["preproc"])
    mask = images.load(files["mask"], dtype=np.uint8)[0] > 0
    back, back_grid = transforms.read_field(files["inverse"])
    in_template = fields.sample(back, back_grid.affine, transforms.apply(affine, np.argwhere(mask).astype(np.float64)))
    priors = np.empty((len(in_template), 3), dtype=np.float32)
    for k, tissue in enumerate(TISSUES):
        prior, prior_affine = images.load(files[f"priors_{tissue.lower()}"])
        priors[:, k] = resample.resample(prior, prior_affine, in_template, fill=0)
    try:
        found, facts = shares(head, mask, affine, priors, **settings)
    except ValueError as error:
        raise InputError(
            file=files["preproc"],
            field="tissue contrast",
            found=str(error),
            expected="CSF < GM < WM",
            fix="The image must be T1-weighted: look at it.",
        ) from error
    LOG.info("segmentation: %s", facts)

    volumes = {}
    for k, tissue in enumerate(TISSUES):
        volume = np.zeros(head.shape, dtype=np.float32)
        volume[mask] = found[:, k]
        volumes[tissue] = volume
        images.save(made[tissue.lower()], volume, affine)
    reference = images.grid(files["reference"])
    field, field_grid = transforms.read_field(files["forward"])
    if field_grid.shape != reference.shape or not np.allclose(field_grid.affine, reference.affine):
        field = fields.sample(field, field_grid.affine, transforms.points(reference))
    for name, volume in (("template_t1w", head * mask), ("template_gm", volumes["GM"])):
        images.save(made[name], resample.resample(volume, affine, field, fill=0), reference.affine)


def shares(
    head,
    mask,
    affine,
    priors=None,
    *,
    prior_weight=0.5,
    neighbour_weight=4.0,
    bias_degree=4,
    levels=6,
    iterations=60,
    sweeps=5,
):
    """Tissue shares of the voxels of a mask.

    Parameters
    ----------
    head : ndarray of shape (X, Y, Z)
        T1-weighted intensities, most of the bias removed.
    mask : ndarray of bool, shape (X, Y, Z)
        N voxels.
    affine : ndarray of shape (4, 4)
    priors : ndarray of shape (N, 3), optional
        Probability of CSF, grey and white matter in the mask's voxels (C order); equal unless given.
    prior_weight : float
        Exponent of the priors: at 1 they count in full, at 0 not at all.
    neighbour_weight : float
        Weight of the squared distance between a voxel's shares and its neighbours' mean.
    bias_degree : int
        Degree of the polynomial that models the rest of the bias field; 0 for none.
    levels : int
        Number of mixtures of two tissues, both pure ones included: 6 are shares of 0, 0.2 ... 1.
    iterations : int
        Of expectation and maximisation, at most.
    sweeps : int
        Passes of the random field.

    Returns
    -------
    shares : ndarray of shape (N, 3), float32
        CSF, grey and white matter; they add up to 1.
    facts : dict
        ``means`` and ``deviations`` of the three tissues (intensity units of ``head``, bias removed), ``weights`` of
        the five kinds of voxel (CSF, GM, WM, CSF with GM, GM with WM), ``iterations`` used.

    Raises
    ------
    ValueError
        If the three tissues can't be told apart.
    """
    voxels = np.argwhere(mask)
    intensity = head[mask].astype(np.float64)
    scale = float(np.median(intensity))
    if not scale > 0:
        raise ValueError(f"the median intensity in the brain mask is {scale:g}")
    # A voxel of exactly 0 has no logarithm; a thousandth of the median is as dark.
    intensity = np.maximum(intensity / scale, 1e-3)
    fractions, kinds = _mixtures(levels)
    log_prior = np.zeros((len(intensity), len(fractions)), dtype=np.float32)
    if priors is not None:
        for s, fraction in enumerate(fractions):
            # The chance that a point of such a voxel is of the tissue that the template expects there.
            log_prior[:, s] = prior_weight * np.log(priors @ fraction.astype(np.float32) + _PRIOR_FLOOR)
    mixed = min(_MOST_MIXED, _MIXED_PER_MM * abs(np.linalg.det(affine[:3, :3])) ** (1 / 3))
    model, used = _fit(intensity, log_prior, _centred(voxels, affine), fractions, kinds, mixed, bias_degree, iterations)
    corrected = intensity.astype(np.float32)  # _fit has divided the bias out in place
    states = _states(*model, fractions, kinds)
    neighbours = _neighbours(mask, voxels)
    found = np.empty((len(intensity), 3), dtype=np.float32)
    other = np.empty_like(found)
    for sweep in range(sweeps + 1):
        _mix(corrected, neighbours, other, log_prior, *states, neighbour_weight if sweep else 0.0, found)
        found, other = other, found
    mean, deviation, weight = model
    facts = {
        "means": (mean * scale).round(3).tolist(),
        "deviations": (deviation * scale).round(3).tolist(),
        "weights": weight.round(4).tolist(),
        "iterations": used,
    }
    return other, facts


def _mixtures(levels):
    """Shares (S, 3) of the tissues in each kind of voxel, and the kinds (S,): 0 to 2 pure, 3 CSF with GM, 4 GM with WM."""
    inner = np.linspace(0, 1, levels)[1:-1]
    none = np.zeros_like(inner)
    fractions = np.concatenate(
        [np.eye(3), np.stack([1 - inner, inner, none], axis=1), np.stack([none, 1 - inner, inner], axis=1)]
    )
    return fractions, np.array([0, 1, 2] + [3] * len(inner) + [4] * len(inner))


def _states(mean, deviation, weight, fractions, kinds):
    """Of each state: shares, mean intensity, half the precision, and log density at the mean times weight."""
    centre = (fractions * mean).sum(axis=1)
    variance = (fractions * deviation**2).sum(axis=1)
    count = np.bincount(kinds, minlength=5)
    constant = np.log(np.maximum(weight, 1e-12) / count)[kinds] - 0.5 * np.log(variance)
    return fractions, centre, 0.5 / variance, constant


def _centred(voxels, affine):
    """Positions of voxels along the image's axes, scaled so that the brain spans about -1 to 1 on its longest."""
    size = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    low, high = voxels.min(axis=0), voxels.max(axis=0)
    return ((voxels - (low + high) / 2) * size / (((high - low + 1) * size).max() / 2)).astype(np.float32)


def _neighbours(mask, voxels):
    """Indices (N, 6) of each voxel's neighbours among the mask's voxels, -1 where there is none."""
    padded = np.full(tuple(n + 2 for n in mask.shape), -1, dtype=np.int32)
    i, j, k = (voxels + 1).T
    padded[i, j, k] = np.arange(len(voxels), dtype=np.int32)
    out = np.empty((len(voxels), 6), dtype=np.int32)
    for column, (a, b, c) in enumerate(_NEIGHBOUR_STEPS):
        out[:, column] = padded[i + a, j + b, k + c]
    return out


def _exponents(degree):
    """Exponents (a, b, c) of the polynomial's terms x^a y^b z^c, the constant left out: it belongs to the means."""
    terms = [
        (a, b, c)
        for a in range(degree + 1)
        for b in range(degree + 1 - a)
        for c in range(degree + 1 - a - b)
        if a + b + c > 0
    ]
    return np.array(terms, dtype=np.int64).reshape(-1, 3)


def _fit(intensity, log_prior, position, fractions, kinds, mixed, degree, iterations):
    """Fit the distributions and the bias on a sample; divide the bias out of all ``intensity``, in place.

    Returns the model (mean (3,), deviation (3,), weight (5,)) and the number of iterations.
    """
    # Every n-th of the voxels in memory order would be a lattice; a seeded draw has no direction.
    chosen = np.arange(len(intensity))
    if len(chosen) > _SAMPLE:
        chosen = np.sort(np.random.default_rng(0).choice(len(intensity), _SAMPLE, replace=False))
    observed, prior, where = intensity[chosen], log_prior[chosen], position[chosen]
    sample = observed.copy()
    exponents = _exponents(degree)
    bias = np.zeros(len(exponents))
    mean, deviation, weight = _start(sample)
    pure = np.empty((len(sample), 3), dtype=np.float32)
    used = 0
    for used in range(1, iterations + 1):
        states = _states(mean, deviation, weight, fractions, kinds)
        sums = _expect(sample, prior, *states, kinds, mean, pure)
        before = mean
        mean, deviation, weight = _maximise(*sums, mixed)
        if len(exponents) and used > 2:
            matrix, vector = _bias_equations(np.log(observed), where, pure, mean, deviation, exponents)
            # A tiny ridge keeps terms that the mask barely tells apart from growing against each other.
            matrix[np.diag_indices_from(matrix)] += 1e-6 * np.trace(matrix) / len(matrix)
            # The last row is the constant: it is solved for, so that terms aren't bent by it, and left to the means.
            bias = np.linalg.solve(matrix, vector)[:-1]
            _divide(observed, where, exponents, bias, sample)
        if np.abs(mean - before).max() < 2e-4 and used > 8:
            break
    if not mean[0] < mean[1] < mean[2]:
        raise ValueError(f"mean intensities of CSF, GM and WM over the brain's median are {mean.round(3).tolist()}")
    if len(exponents):
        _divide(intensity.copy(), position, exponents, bias, intensity)
    return (mean, deviation, weight), used


def _start(sample):
    """Means, deviations and weights of three classes by one-dimensional k-means from fixed percentiles."""
    mean = np.percentile(sample, [12, 45, 85])
    for _ in range(50):
        nearest = np.searchsorted((mean[1:] + mean[:-1]) / 2, sample)
        count = np.bincount(nearest, minlength=3)
        if (count == 0).any():
            raise ValueError("fewer than three groups of intensities in the brain mask")
        before, mean = mean, np.bincount(nearest, sample, minlength=3) / count
        if np.abs(mean - before).max() < 1e-4:
            break
    square = np.bincount(nearest, (sample - mean[nearest]) ** 2, minlength=3) / count
    # Half of each class's voxels are taken for mixtures at first, and its spread for half as wide.
    pure = count / (2 * count.sum())
    return mean, np.sqrt(np.maximum(square / 4, 1e-6)), np.concatenate([pure, [0.25, 0.25]])


def _maximise(matrix, vector, count, square, mixed):
    """Mean, deviation and weight from the sums of :func:`_expect` and the expected weight of each kind of mixture."""
    if (count[:3] < 1).any():
        raise ValueError("a tissue has no voxels left")
    # Below a thousandth of the median intensity there is no noise left to model, only a division by 0.
    deviation = np.sqrt(np.maximum(square / count[:3], 1e-6))
    deviation[:2] = np.minimum(deviation[:2], _WIDEST * deviation[2])
    weight = count / count.sum()
    weight[3:] += _EXPECTED_MIXED * (mixed - weight[3:])
    weight[0] = max(weight[0], _LEAST_FLUID * weight[3])
    weight /= weight.sum()
    return np.linalg.solve(matrix, vector), deviation, weight


@njit(cache=True, nogil=True)
def _expect(intensity, log_prior, fractions, centre, precision, constant, kinds, mean, pure):
    """Posterior of the states of each voxel on its own.

    ``pure`` is filled with the posteriors of the three pure states. Returns the normal equations of the means (3, 3) and
    (3,), the sum of posteriors of each kind of voxel (5,), and the pure ones' squared distance from their mean (3,).
    """
    matrix, vector, count, square = np.zeros((3, 3)), np.zeros(3), np.zeros(5), np.zeros(3)
    states = centre.shape[0]
    value = np.empty(states)
    for i in range(intensity.shape[0]):
        y = intensity[i]
        largest = -np.inf
        for s in range(states):
            value[s] = constant[s] - precision[s] * (y - centre[s]) ** 2 + log_prior[i, s]
            largest = max(largest, value[s])
        total = 0.0
        for s in range(states):
            value[s] = np.exp(value[s] - largest)
            total += value[s]
        for s in range(states):
            p = value[s] / total
            count[kinds[s]] += p
            if s < 3:
                pure[i, s] = p
                square[s] += p * (y - mean[s]) ** 2
            p *= precision[s]
            for a in range(3):
                vector[a] += p * fractions[s, a] * y
                for b in range(3):
                    matrix[a, b] += p * fractions[s, a] * fractions[s, b]
    return matrix, vector, count, square


@njit(cache=True, nogil=True)
def _terms(position, exponents, out):
    for t in range(exponents.shape[0]):
        value = 1.0
        for axis in range(3):
            for _ in range(exponents[t, axis]):
                value *= position[axis]
        out[t] = value


@njit(cache=True, nogil=True)
def _bias_equations(log_intensity, position, posterior, mean, deviation, exponents):
    """Normal equations of the polynomial (and, last, a constant) that explains log intensity over log tissue mean."""
    n = exponents.shape[0] + 1
    matrix, vector, term = np.zeros((n, n)), np.zeros(n), np.ones(n)
    for i in range(log_intensity.shape[0]):
        # Fluid's logarithm is noise: grey and white matter alone tell the field.
        grey = posterior[i, 1] * (mean[1] / deviation[1]) ** 2
        white = posterior[i, 2] * (mean[2] / deviation[2]) ** 2
        weight = grey + white
        if posterior[i, 0] > 0.1 or weight <= 0:
            continue
        rest = log_intensity[i] - (grey * np.log(mean[1]) + white * np.log(mean[2])) / weight
        _terms(position[i], exponents, term)
        for a in range(n):
            vector[a] += weight * term[a] * rest
            for b in range(a + 1):
                matrix[a, b] += weight * term[a] * term[b]
    for a in range(n):
        for b in range(a):
            matrix[b, a] = matrix[a, b]
    return matrix, vector


@njit(cache=True, nogil=True)
def _divide(intensity, position, exponents, bias, out):
    """Intensity over the exponential of the polynomial."""
    term = np.empty(exponents.shape[0])
    for i in range(intensity.shape[0]):
        _terms(position[i], exponents, term)
        total = 0.0
        for t in range(len(bias)):
            total += bias[t] * term[t]
        out[i] = intensity[i] * np.exp(-total)


@njit(cache=True, nogil=True)
def _mix(intensity, neighbours, share, log_prior, fractions, centre, precision, constant, weight, out):
    """Posterior mean of the shares; with a ``weight``, close to the neighbours' in ``share``."""
    states = centre.shape[0]
    around, value = np.empty(3), np.empty(states)
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
        for s in range(states):
            v = constant[s] - precision[s] * (intensity[i] - centre[s]) ** 2 + log_prior[i, s]
            for k in range(3):
                v -= pull * (fractions[s, k] - around[k]) ** 2
            value[s] = v
            largest = max(largest, v)
        total, first, last = 0.0, 0.0, 0.0
        for s in range(states):
            if value[s] > largest - 20:
                e = np.exp(value[s] - largest)
                total += e
                first += e * fractions[s, 0]
                last += e * fractions[s, 2]
        out[i, 0] = first / total
        out[i, 2] = last / total
        out[i, 1] = max(0.0, 1 - out[i, 0] - out[i, 2])
