"""Specification curve: one question answered under many defensible choices, and one test of all answers together.

Each specification is a least-squares model ``response ~ tested + nuisance`` of its own participants. The answers of one
question are far from independent, since they come from the same people. So all of them are tested together by relabelling
(Simonsohn, Simmons & Nelson 2020, Nat Hum Behav 4:1208, doi 10.1038/s41562-020-0912-z): *one* relabelling of the
participants is applied to every specification, which leaves what they share as it is, and three statistics of the whole
curve are compared with their own distribution: the median estimate, the share of specifications that are significant in
the median's direction, and the mean z.

Within a specification the residuals of the reduced model are relabelled (Freedman & Lane 1983; Winkler et al. 2014,
NeuroImage 92:381). Specifications may differ in their participants, since a scan that one rule of quality excludes is
kept by another. Participants then change places only with those who are in the same specifications: each relabelling is
one of all specifications at once, and leaves their dependence as it is. (One permutation of everybody, followed in each
specification until it lands on one of its own participants, is uniform in each but loosens what they share: at 5 % it
finds 6 to 8 % where nothing is, see ``benchmarks/specification_curve.py``.) A specification's own p exchanges all
its participants.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit

from pharmasl.statistics import effect_sizes
from pharmasl.statistics.correlation_intervals import fisher_interval

ALPHA = 0.05
# Relabellings made and computed at a time: bounds the memory.
_ROWS = 1000
# z of a perfect fit: the largest that a double's tail probability gives.
_LARGEST_Z = 38.0
_RELATIVE = 1e-9


class NotEstimableError(ValueError):
    """A specification whose model has no answer; the message says why, in words."""


@dataclass(frozen=True)
class Fit:
    """One specification's answer, and what relabelling it needs.

    Attributes
    ----------
    participants : tuple of str
    kind : {"effect", "correlation"}
    estimate, se, t, p : float
        Coefficient of the tested variable, or partial correlation; ``t = estimate / se``; p two-sided.
    ci_low, ci_high : float
        95 %: by Student's t, of a correlation by Fisher's z.
    df : int
        Participants minus the rank of the model.
    partial_r, partial_r_low, partial_r_high : float
        Partial correlation of response and tested variable, ``t / sqrt(t^2 + df)``, free of units; the interval inverts
        the noncentral t distribution and so excludes 0 exactly where p < 0.05; of a correlation it is the estimate's.
    residual : ndarray of shape (n,)
        What the nuisance leaves of the response.
    directions : ndarray of shape (n, 1 + k)
        Orthonormal: what the nuisance leaves of the tested variable, and the nuisance.
    """

    participants: tuple
    kind: str
    estimate: float
    se: float
    t: float
    p: float
    ci_low: float
    ci_high: float
    df: int
    partial_r: float
    partial_r_low: float
    partial_r_high: float
    residual: np.ndarray
    directions: np.ndarray


def _basis(columns):
    """Orthonormal basis of the columns' span, (n, k) to (n, rank)."""
    size = np.linalg.norm(columns, axis=0)
    columns = columns[:, size > 0] / size[size > 0]
    if columns.shape[1] == 0:
        return columns
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, values > _RELATIVE * values[0]]


def _partial_r_interval(t, df):
    """Ends of the 95 % interval of ``t / sqrt(t^2 + df)``, from the noncentralities that put t at 97.5 and 2.5 %."""
    if not math.isfinite(t):
        return (math.copysign(1.0, t),) * 2
    ends = effect_sizes.noncentrality_interval(t, df, 1 - ALPHA)
    return tuple(float(end) / math.sqrt(float(end) ** 2 + df) for end in ends)


def fit(participants, response, tested, nuisance, kind="effect"):
    """Answer one specification by least squares.

    Parameters
    ----------
    participants : sequence of str, length n
    response, tested : array_like of shape (n,)
    nuisance : array_like of shape (n, k)
        All else in the model, its intercept included; k may be 0. A correlation is of what an intercept leaves too,
        named or not.
    kind : {"effect", "correlation"}

    Returns
    -------
    Fit

    Raises
    ------
    NotEstimableError
        If no degree of freedom is left, the nuisance explains the tested variable, or nothing of the response is left.
    """
    response, tested = np.asarray(response, dtype=np.float64), np.asarray(tested, dtype=np.float64)
    n = len(response)
    nuisance = np.asarray(nuisance, dtype=np.float64).reshape(n, -1)
    if kind == "correlation":
        nuisance = np.column_stack([np.ones(n), nuisance])
    basis = _basis(nuisance)
    df = n - basis.shape[1] - 1
    if df < 1:
        raise NotEstimableError(f"{n} participants for a model of {basis.shape[1] + 1} terms")

    def without(values):
        # Twice: a second projection takes away what rounding left of the first.
        for _ in range(2):
            values = values - basis @ (basis.T @ values)
        return values

    left, residual = without(tested), without(response)
    length, size = float(np.linalg.norm(left)), float(np.linalg.norm(residual))
    if length <= _RELATIVE * np.linalg.norm(tested) or length == 0:
        raise NotEstimableError("the tested variable does not vary beyond what the model adjusts for")
    if size <= _RELATIVE * np.linalg.norm(response) or size == 0:
        raise NotEstimableError("the response does not vary beyond what the model adjusts for")
    direction = left / length
    r = float(np.clip(direction @ residual / size, -1, 1))
    unexplained = 1 - r * r
    perfect = unexplained < 1e-14
    t = math.copysign(math.inf, r) if perfect else r * math.sqrt(df / unexplained)
    scale = size / length if kind == "effect" else 1.0
    estimate, se = r * scale, 0.0 if perfect else scale * math.sqrt(unexplained / df)
    if kind == "correlation":
        # Fisher's n counts what is regressed out beside the intercept.
        low, high = fisher_interval(r, n, n - 2 - df)
        r_low, r_high = low, high
    else:
        half = float(stdtrit(df, 1 - ALPHA / 2)) * se
        low, high = estimate - half, estimate + half
        r_low, r_high = _partial_r_interval(t, df)
    return Fit(
        tuple(participants),
        kind,
        estimate,
        se,
        t,
        float(2 * stdtr(df, -abs(t))),
        low,
        high,
        df,
        r,
        r_low,
        r_high,
        residual,
        np.column_stack([direction, basis]),
    )


def z_of_t(t, df):
    """Normal deviate with the tail probability of t, its sign kept.

    Parameters
    ----------
    t : ndarray
    df : int or ndarray

    Returns
    -------
    ndarray
    """
    return np.sign(t) * np.minimum(-ndtri(stdtr(df, -np.abs(t))), _LARGEST_Z)


def permutations(number, blocks, seed):
    """Random orders of participants within blocks, the observed order first, some rows at a time.

    Parameters
    ----------
    number : int
        Orders in all, the observed one counted.
    blocks : sequence of length n
        Exchangeability block of each participant.
    seed : int

    Yields
    ------
    ndarray of int, shape (rows, n)
        Participant i is given what belongs to participant ``order[i]``.
    """
    first = {}
    numbers = np.array([first.setdefault(block, len(first)) for block in blocks])
    members = [np.flatnonzero(numbers == k) for k in range(len(first))]
    rng = np.random.default_rng(seed)
    for start in range(0, number, _ROWS):
        keys = rng.random((min(_ROWS, number - start), len(numbers)))
        orders = np.empty(keys.shape, dtype=np.intp)
        for each in members:
            orders[:, each] = each[np.argsort(keys[:, each], axis=1, kind="stable")]
        if start == 0:
            orders[0] = np.arange(len(numbers))
        yield orders


def flips(number, n, seed):
    """Random signs of participants, all positive first, some rows at a time.

    Parameters
    ----------
    number : int
        Sets of signs in all, the observed one counted.
    n : int
    seed : int

    Yields
    ------
    ndarray of float, shape (rows, n)
        1 or -1.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, number, _ROWS):
        signs = 1.0 - 2.0 * rng.integers(0, 2, (min(_ROWS, number - start), n))
        if start == 0:
            signs[0] = 1
        yield signs


def relabelled(fitted, orders=None, signs=None):
    """A specification's answers under relabellings.

    Parameters
    ----------
    fitted : Fit
    orders : ndarray of int, shape (B, n), optional
    signs : ndarray of shape (B, n), optional
        Instead of orders.

    Returns
    -------
    t, partial_r : ndarray of shape (B,)
    """
    data = fitted.residual[orders] if signs is None else fitted.residual * signs
    # Neither an order nor signs change the sum of squares.
    along = data @ fitted.directions
    left = fitted.residual @ fitted.residual - (along[:, 1:] ** 2).sum(axis=1)
    size = np.sqrt(np.maximum(left, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.clip(np.where(size > 0, along[:, 0] / size, 0), -1, 1)
        unexplained = 1 - r * r
        t = np.where(
            unexplained < 1e-14, np.copysign(np.inf, r), r * np.sqrt(fitted.df / np.maximum(unexplained, 1e-300))
        )
    return t, r


@dataclass(frozen=True)
class Joint:
    """The three statistics of a curve with their permutation p values.

    Attributes
    ----------
    median : float
        Of the estimates, or of the partial correlations where asked.
    direction : int
        1 or -1: sign of the median; of the mean z where the median is 0.
    significant : int
        Specifications with p < 0.05 in that direction.
    mean_z : float
    p_median, p_significant, p_mean_z : float
        Share of relabellings, the observed one counted, whose statistic is as far from 0; of ``significant``, counted in
        each relabelling in the direction of its own median.
    participants, exchanged : int
        In any of the specifications, and how many of these can change places (signs) with others.
    """

    median: float
    direction: int
    significant: int
    mean_z: float
    p_median: float
    p_significant: float
    p_mean_z: float
    participants: int
    exchanged: int


def statistics(values, t, df):
    """Median, its direction, number significant in that direction, and mean z of curves.

    Parameters
    ----------
    values, t : ndarray of shape (B, S)
    df : ndarray of shape (S,)

    Returns
    -------
    median, direction, significant, mean_z : ndarray of shape (B,)
    """
    median, mean_z = np.median(values, axis=1), z_of_t(t, df).mean(axis=1)
    direction = np.where(median != 0, np.sign(median), np.sign(mean_z))
    critical = stdtrit(df, 1 - ALPHA / 2)
    return median, direction, (t * direction[:, None] > critical).sum(axis=1), mean_z


def _reaches(null, observed):
    """Whether statistics reach the observed one; equal ones count despite rounding."""
    return np.abs(null) >= np.abs(observed) * (1 - _RELATIVE)


def _exchangeable(everyone, members, blocks):
    """A key for each participant; those with the same key are in the same block and in the same specifications."""
    sets = [set(each) for each in dict.fromkeys(members)]
    return [(blocks.get(name), *(i in each for each in sets)) for i, name in enumerate(everyone)]


def _draws(exchange, keys, number, seed):
    if exchange == "flip":
        return flips(number, len(keys), seed)
    return permutations(number, keys, seed)


def _of_members(draw, members, exchange):
    """A draw's columns of some participants, as ``relabelled`` takes them."""
    index = np.array(members)
    if exchange == "flip":
        return {"signs": draw[:, index]}
    place = np.empty(draw.shape[1], dtype=np.intp)
    place[index] = np.arange(len(index))
    return {"orders": place[draw[:, index]]}


def own_p(fitted, exchange, blocks, number, seed):
    """Two-sided permutation p of one specification alone, by t, the observed labelling counted.

    Parameters
    ----------
    fitted : Fit
    exchange, blocks, number, seed
        As :func:`joint`.

    Returns
    -------
    float
    """
    keys, reached = [blocks.get(name) for name in fitted.participants], 0
    for draw in _draws(exchange, keys, number, seed):
        null, _ = relabelled(fitted, **_of_members(draw, range(len(keys)), exchange))
        reached += int(_reaches(null, fitted.t).sum())
    return reached / number


def joint(fits, exchange, blocks, number, seed, unit_free=False):
    """Test all specifications of one question together.

    Parameters
    ----------
    fits : sequence of Fit, length S
        At least one.
    exchange : {"permute", "flip"}
        Whether participants' residuals change places, or signs.
    blocks : dict
        Participant to exchangeability block; those without one are exchanged with each other.
    number : int
        Relabellings, the observed one counted.
    seed : int
    unit_free : bool
        Take the median over partial correlations: for specifications whose estimates differ in unit.

    Returns
    -------
    Joint
    """
    # Sorted, so that the order of the files does not matter.
    everyone = sorted({participant for each in fits for participant in each.participants})
    position = {participant: i for i, participant in enumerate(everyone)}
    members = [tuple(position[participant] for participant in each.participants) for each in fits]
    keys = _exchangeable(everyone, members, blocks)
    df, se = np.array([each.df for each in fits]), np.array([each.se for each in fits])
    t = np.array([[each.t for each in fits]])
    on_r = unit_free or fits[0].kind == "correlation"
    own = np.array([[each.partial_r if on_r else each.estimate for each in fits]])
    median, direction, significant, mean_z = (each[0] for each in statistics(own, t, df))
    reached = np.zeros(3, dtype=int)
    for draw in _draws(exchange, keys, number, seed):
        null, r = np.empty((len(draw), len(fits))), np.empty((len(draw), len(fits)))
        of = {}
        for k, (fitted, who) in enumerate(zip(fits, members)):
            if who not in of:
                of[who] = _of_members(draw, who, exchange)
            null[:, k], r[:, k] = relabelled(fitted, **of[who])
        # t in units of the observed standard error: residuals vary less than errors, so a relabelled coefficient would.
        with np.errstate(invalid="ignore"):
            values = r if on_r else np.where(se > 0, null * se, r)
        medians, _, counts, zs = statistics(values, null, df)
        reached += [_reaches(medians, median).sum(), (counts >= significant).sum(), _reaches(zs, mean_z).sum()]
    return Joint(
        float(median),
        int(direction),
        int(significant),
        float(mean_z),
        *(float(each) for each in reached / number),
        len(everyone),
        sum(keys.count(key) > 1 for key in keys) if exchange == "permute" else len(everyone),
    )
