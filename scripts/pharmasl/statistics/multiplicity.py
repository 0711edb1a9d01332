"""Multiplicity beside the whole-brain family-wise p: false discovery rate, conjunctions, several analyses.

- q values by Benjamini and Hochberg (1995, JRSS B 57:289), valid where the voxels' statistics are independent or
  positively dependent, as smooth maps are taken to be (Genovese et al. 2002, NeuroImage 15:870), and by Benjamini and
  Yekutieli (2001, Ann Stat 29:1165), valid under any dependence at a price of about ln V + 0.58. A share of the voxels
  declared is allowed to be false: nothing is said about a single voxel, nor about a cluster.
- A conjunction asks for an effect in *each* of several analyses: the minimum statistic against the conjunction null
  (Nichols et al. 2005, NeuroImage 25:653), so that the p is the largest of the single p.
- Several analyses of one question, such as all pairs of arms, share a family: Holm's step-down p; a sequence fixed in
  advance, each test at the full level while all before it are shown; or, where one list of relabellings serves them all,
  the step-down p of the least p (Westfall and Young 1993), which takes their dependence from the relabellings.

A p that could not be computed is NaN. Its test was asked all the same: it stays in the family, where it counts as one
that shows nothing (p = 1), and its own corrected p is NaN. What was not asked, such as a voxel outside the mask, is left
out before. The corrections are written out here, and tested against statsmodels and scipy.stats: importing either costs
every job half a second.
"""

import numpy as np


def q_values(p, method="bh"):
    """The smallest false discovery rate at which each test is declared.

    Parameters
    ----------
    p : array_like
        Uncorrected p, any shape: of one test each, two-sided for tests of both signs. NaN: asked and not answered.
    method : {"bh", "by"}
        Benjamini-Hochberg or Benjamini-Yekutieli.

    Returns
    -------
    ndarray, float64
        q, in the shape of ``p``, at most 1.

    Raises
    ------
    ValueError
        For an unknown method or p outside 0 to 1.
    """
    if method not in ("bh", "by"):
        raise ValueError(f"{method!r} is neither 'bh' nor 'by'")
    p = np.asarray(p, dtype=np.float64)
    values = _answered(p).ravel()
    if not len(values):
        return np.full(p.shape, np.nan)
    order = np.argsort(values, kind="stable")
    rank = np.arange(1, len(values) + 1)
    penalty = 1.0 if method == "bh" else float(np.sum(1 / rank))
    q = np.empty(len(values))
    q[order] = np.minimum.accumulate((values[order] * (len(values) * penalty / rank))[::-1])[::-1]
    return np.where(np.isnan(p), np.nan, np.minimum(q, 1).reshape(p.shape))


def _answered(p):
    """P with 1 where a test could not be answered; ValueError for what is no p."""
    if ((p < 0) | (p > 1)).any():
        raise ValueError("p must lie between 0 and 1")
    return np.where(np.isnan(p), 1.0, p)


def critical_p(p, level=0.05, method="bh"):
    """The largest uncorrected p that is declared at a false discovery rate; NaN if none is.

    Parameters
    ----------
    p : array_like
    level : float
    method : {"bh", "by"}

    Returns
    -------
    float
    """
    p = np.asarray(p, dtype=np.float64)
    declared = p[q_values(p, method) <= level * (1 + 1e-12)]
    return float(declared.max()) if declared.size else float("nan")


def holm(p):
    """Family-wise p of a few tests of any dependence, such as all pairs of arms (Holm 1979, Scand J Stat 6:65).

    Parameters
    ----------
    p : array_like of shape (K,) or (K, ...)
        One test a row; for maps, family-wise p of each test's own search volume. NaN: asked and not answered.

    Returns
    -------
    ndarray
        Shape of ``p``, at most 1; NaN where p is.

    Raises
    ------
    ValueError
        For p outside 0 to 1.
    """
    p = np.asarray(p, dtype=np.float64)
    values = _answered(p)
    order = np.argsort(values, axis=0, kind="stable")
    left = (len(p) - np.arange(len(p))).reshape(-1, *([1] * (p.ndim - 1)))
    stepped = np.maximum.accumulate(np.take_along_axis(values, order, axis=0) * left, axis=0)
    out = np.empty(p.shape)
    np.put_along_axis(out, order, np.minimum(stepped, 1), axis=0)
    return np.where(np.isnan(p), np.nan, out)


def fixed_sequence(p: np.ndarray) -> np.ndarray:
    """Family-wise p of tests in an order fixed in advance: the largest p so far (Maurer, Hothorn and Lehmacher 1995).

    Each is tested at the full level as long as all before it are shown, so that a test behind one that is not shown
    cannot be shown.

    Parameters
    ----------
    p : array_like of shape (K,)
        NaN: asked and not answered; it stops the sequence.

    Returns
    -------
    ndarray of shape (K,)
        NaN where ``p`` is.

    Raises
    ------
    ValueError
        For p outside 0 to 1.
    """
    p = np.asarray(p, dtype=np.float64)
    return np.where(np.isnan(p), np.nan, np.maximum.accumulate(_answered(p)))


def joint(p: np.ndarray) -> np.ndarray:
    """Family-wise p of tests that share their relabellings: step-down min-p (Westfall and Young 1993, section 2.6).

    In each relabelling the least p of the tests that are left is taken; the corrected p of the least observed p is the
    share of relabellings whose least p is no larger. That test is then taken out, and the next has no smaller p than it.
    Exact where each test is: each relabelling is as likely as the observed labelling under the null of every subset.

    Parameters
    ----------
    p : array_like of shape (B, K)
        Uncorrected p of each test in each relabelling, the observed labelling in row 0. A test that could not be answered
        is NaN in all rows.

    Returns
    -------
    ndarray of shape (K,)
        Multiples of 1/B; NaN for what could not be answered.

    Raises
    ------
    ValueError
        For p outside 0 to 1.
    """
    p = np.asarray(p, dtype=np.float64)
    values, out = _answered(p), np.full(p.shape[1], np.nan)
    order, least = np.argsort(values[0], kind="stable"), 0.0
    for step, test in enumerate(order):
        smallest = values[:, order[step:]].min(axis=1)
        least = max(least, float((smallest <= values[0, test] * (1 + 1e-12)).mean()))
        out[test] = least
    return np.where(np.isnan(p[0]), np.nan, out)


def conjunction(statistics):
    """The minimum statistic of several analyses, sign kept.

    Parameters
    ----------
    statistics : array_like of shape (K, ...)
        One map an analysis, on one scale: t of equal degrees of freedom, or z.

    Returns
    -------
    ndarray of shape (...)
        The statistic nearest to 0 where all have one sign, 0 where they differ, NaN where one is NaN.
    """
    statistics = np.asarray(statistics, dtype=np.float64)
    least = np.abs(statistics).min(axis=0)
    same = (statistics > 0).all(axis=0) | (statistics < 0).all(axis=0)
    return np.where(np.isnan(least), np.nan, np.where(same, np.sign(statistics[0]) * least, 0.0))


def conjunction_p(p, statistics=None):
    """P of "an effect in every analysis": the largest of the single p.

    An intersection-union test (Berger 1982): its level holds whatever the dependence of the analyses, be the p
    uncorrected or family-wise for voxels. It does not hold for p of clusters: two clusters that overlap need not share
    an effect in any one voxel.

    Parameters
    ----------
    p : array_like of shape (K, ...)
        Of one kind: all one-sided, or all two-sided; all uncorrected, or all family-wise over one search volume.
    statistics : array_like of shape (K, ...), optional
        The signed statistics behind two-sided p: where their signs differ there is no common effect, and p is 1.

    Returns
    -------
    ndarray of shape (...)
    """
    p = np.asarray(p, dtype=np.float64)
    largest = p.max(axis=0)
    if statistics is None:
        return largest
    statistics = np.asarray(statistics, dtype=np.float64)
    if statistics.shape != p.shape:
        raise ValueError(f"p of shape {p.shape} and statistics of shape {statistics.shape}")
    same = (statistics > 0).all(axis=0) | (statistics < 0).all(axis=0)
    return np.where(same | np.isnan(largest), largest, 1.0)
