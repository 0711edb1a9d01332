"""Contrasts: weighted sums of the states' CBF maps at one visit."""

import numpy as np

from pharmasl import images


def combine(maps, errors, covered, weights):
    """A weighted sum of maps and its standard error.

    Parameters
    ----------
    maps, errors : sequence of ndarray
        CBF of each state and its standard error, mL/100 g/min, of one shape.
    covered : sequence of ndarray of bool
        Where each map holds data.
    weights : sequence of float

    Returns
    -------
    effect, error : ndarray, float32
        NaN where any state with a weight other than 0 is not covered. The states are scanned apart, so their errors are
        independent: variances add with the squared weights.
    """
    inside = np.logical_and.reduce(list(covered))
    effect = sum(w * np.asarray(m, dtype=np.float64) for w, m in zip(weights, maps))
    variance = sum((w * np.asarray(e, dtype=np.float64)) ** 2 for w, e in zip(weights, errors))
    inside &= np.isfinite(effect)
    return tuple(np.where(inside, data, np.nan).astype(np.float32) for data in (effect, np.sqrt(variance)))


def write_contrast(maps, errors, coverages, weights, effect_path, error_path):
    """Write a contrast and its standard error from the files of its states (lists of paths, one order)."""
    affine = images.grid(maps[0]).affine
    volumes = [[images.load(path)[0] for path in paths] for paths in (maps, errors)]
    covered = [images.load(path)[0] > 0.5 for path in coverages]
    effect, error = combine(*volumes, covered, weights)
    images.save(effect_path, effect, affine)
    images.save(error_path, error, affine)
