"""Correction for several tests, beside the whole-brain family-wise p: false discovery rate, and families of analyses.

- q values by Benjamini and Hochberg (1995, JRSS B 57:289), valid where the voxels' statistics are independent or
  positively dependent, as smooth maps are taken to be (Genovese et al. 2002, NeuroImage 15:870), and by Benjamini and
  Yekutieli (2001, Ann Stat 29:1165), valid under any dependence at the price of a factor of about ln V + 0.58. A share of the
  declared voxels may be false: no single voxel, and no cluster, is shown to have an effect.
- Several analyses of one question, such as all pairs of arms, form a family. Their p is corrected by Holm's step-down
  method; by a sequence fixed in advance, in which each test has the full level as long as all before it are significant; or,
  where the tests share their relabellings, by the step-down minimum p (Westfall and Young 1993), which takes the dependence of
  the tests from the relabellings.

A p that could not be computed is NaN. Its test was part of the family all the same: it counts as one without any evidence
(p = 1), and its own corrected p is NaN. What was never tested, such as a voxel outside the mask, has to be left out before.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


def _with_unanswered(p: np.ndarray) -> np.ndarray:
    """The p values, 1 in place of NaN.

    Raises
    ------
    ValueError
        For a value outside 0 to 1.
    """
    if ((p < 0) | (p > 1)).any():
        raise ValueError("p must lie between 0 and 1")
    return np.where(np.isnan(p), 1.0, p)


def q_values(p: ArrayLike, method: str = "bh") -> np.ndarray:
    """The smallest false discovery rate at which each test is declared significant.

    Parameters
    ----------
    p : array_like
        Uncorrected p values in any shape, two-sided where tests of both signs are meant. NaN: could not be computed.
    method : {"bh", "by"}
        Benjamini-Hochberg or Benjamini-Yekutieli.

    Returns
    -------
    ndarray, float64
        q in the shape of ``p``, at most 1; NaN where ``p`` is.

    Raises
    ------
    ValueError
        For an unknown method, or p outside 0 to 1.
    """
    if method not in ("bh", "by"):
        raise ValueError(f"{method!r} is neither 'bh' nor 'by'")
    values = np.asarray(p, dtype=np.float64)
    if not values.size:
        return values
    q = stats.false_discovery_control(
        _with_unanswered(values), axis=None, method="by" if method == "by" else "bh"
    ).reshape(values.shape)
    return np.where(np.isnan(values), np.nan, q)


def critical_p(p: ArrayLike, level: float = 0.05, method: str = "bh") -> float:
    """The largest uncorrected p that is declared significant at a false discovery rate; NaN if none is.

    Parameters
    ----------
    p : array_like
    level : float
        The false discovery rate.
    method : {"bh", "by"}

    Returns
    -------
    float
    """
    values = np.asarray(p, dtype=np.float64)
    declared = values[q_values(values, method) <= level * (1 + 1e-12)]
    return float(declared.max()) if declared.size else float("nan")


def holm(p: ArrayLike) -> np.ndarray:
    """Family-wise p of a few tests of any dependence, such as all pairs of arms (Holm 1979, Scand J Stat 6:65).

    Parameters
    ----------
    p : array_like of shape (K,) or (K, ...)
        One row per test; for maps, the family-wise p over the test's own search volume. NaN: could not be computed.

    Returns
    -------
    ndarray
        Shape of ``p``, at most 1; NaN where ``p`` is.

    Raises
    ------
    ValueError
        For p outside 0 to 1.
    """
    values = np.asarray(p, dtype=np.float64)
    answered = _with_unanswered(values)
    order = np.argsort(answered, axis=0, kind="stable")
    # The smallest of K is multiplied by K, the next by K - 1, and none is smaller than the one before it. Written out, for
    # statsmodels' multipletests takes one family at a time and collects all garbage in each call: 50 ms.
    left = (len(values) - np.arange(len(values))).reshape(-1, *([1] * (values.ndim - 1)))
    stepped = np.maximum.accumulate(np.take_along_axis(answered, order, axis=0) * left, axis=0)
    corrected = np.empty(values.shape)
    np.put_along_axis(corrected, order, np.minimum(stepped, 1), axis=0)
    return np.where(np.isnan(values), np.nan, corrected)


def fixed_sequence(p: ArrayLike) -> np.ndarray:
    """Family-wise p of tests in an order fixed in advance: the largest p so far (Maurer, Hothorn and Lehmacher 1995).

    Each test has the full level as long as all tests before it are significant, so that a test after one that is not
    significant cannot be significant.

    Parameters
    ----------
    p : array_like of shape (K,)
        NaN: could not be computed; it ends the sequence.

    Returns
    -------
    ndarray of shape (K,)
        NaN where ``p`` is.

    Raises
    ------
    ValueError
        For p outside 0 to 1.
    """
    values = np.asarray(p, dtype=np.float64)
    return np.where(np.isnan(values), np.nan, np.maximum.accumulate(_with_unanswered(values)))


def joint(p: ArrayLike) -> np.ndarray:
    """Family-wise p of tests that share their relabellings: step-down min-p (Westfall and Young 1993, section 2.6).

    In each relabelling the smallest p of the remaining tests is taken; the corrected p of the smallest observed p is the share
    of relabellings whose smallest p is no larger. That test is then removed, and the next one has no smaller corrected p than
    it. Exact where each test is: each relabelling is as likely as the observed labelling under the null of every subset.

    Parameters
    ----------
    p : array_like of shape (B, K)
        Uncorrected p of each test in each relabelling, the observed labelling in row 0. A test that could not be computed
        is NaN in all rows.

    Returns
    -------
    ndarray of shape (K,)
        Multiples of 1/B; NaN where the observed p is.

    Raises
    ------
    ValueError
        For p outside 0 to 1.
    """
    observed_first = np.asarray(p, dtype=np.float64)
    values, corrected = _with_unanswered(observed_first), np.full(observed_first.shape[1], np.nan)
    order, least = np.argsort(values[0], kind="stable"), 0.0
    for step, test in enumerate(order):
        smallest = values[:, order[step:]].min(axis=1)
        least = max(least, float((smallest <= values[0, test] * (1 + 1e-12)).mean()))
        corrected[test] = least
    return np.where(np.isnan(observed_first[0]), np.nan, corrected)
