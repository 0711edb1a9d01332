"""The joint test of a specification curve: all answers to one question, under many defensible choices, tested together.

Each specification is a least-squares model of its own participants (:mod:`pharmasl.sensitivity.specification_fit`). The
answers to one question are far from independent, since they come from the same people. So they are tested together by relabelling
(Simonsohn, Simmons & Nelson 2020, Nat Hum Behav 4:1208, doi 10.1038/s41562-020-0912-z): *one* relabelling of the
participants is applied to every specification, which leaves what they share as it is, and three statistics of the whole
curve are compared with their own distribution: the median estimate, the share of specifications that are significant in
the median's direction, and the mean z.

Within a specification the residuals of the reduced model are relabelled (Freedman & Lane 1983; Winkler et al. 2014,
NeuroImage 92:381). Specifications may differ in their participants, since a scan that one rule of quality excludes is
kept by another. Participants then change places only with those who are in the same specifications: each relabelling
applies to all specifications at once, and preserves their dependence. (One permutation of everybody, followed in each
specification until it lands on one of its own participants, is uniform in each but weakens their dependence: at 5 %
it rejects 6 to 8 % of true null hypotheses, see ``benchmarks/specification_curve.py``.) A specification's own p exchanges all
its participants.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import stdtrit

from pharmasl.sensitivity.specification_fit import ALPHA, Fit, z_of_t

# Relabellings made and computed at a time: bounds the memory.
_ROWS = 1000
_RELATIVE = 1e-9


def permutations(number: int, blocks: Sequence[Hashable], seed: int) -> Iterator[np.ndarray]:
    """Random orders of participants within blocks, the observed order first, some rows at a time.

    Parameters
    ----------
    number : int
        Total number of orders, the observed one included.
    blocks : sequence of length n
        Exchangeability block of each participant.
    seed : int

    Yields
    ------
    ndarray of int, shape (rows, n)
        Participant i receives the values of participant ``order[i]``.
    """
    first: dict[Hashable, int] = {}
    numbers = np.array([first.setdefault(block, len(first)) for block in blocks])
    members = [np.flatnonzero(numbers == k) for k in range(len(first))]
    rng = np.random.default_rng(seed)
    for start in range(0, number, _ROWS):
        keys = rng.random((min(_ROWS, number - start), len(numbers)))
        orders = np.empty(keys.shape, dtype=np.intp)
        for block in members:
            orders[:, block] = block[np.argsort(keys[:, block], axis=1, kind="stable")]
        if start == 0:
            orders[0] = np.arange(len(numbers))
        yield orders


def flips(number: int, n: int, seed: int) -> Iterator[np.ndarray]:
    """Random signs of participants, all positive first, some rows at a time.

    Parameters
    ----------
    number : int
        Total number of sets of signs, the observed one included.
    n : int
        Participants.
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


def relabelled(
    fitted: Fit, orders: np.ndarray | None = None, signs: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
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
    data = fitted.residual[orders] if orders is not None else fitted.residual * signs
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
        Of the estimates, or of the partial correlations if ``unit_free``.
    direction : int
        1 or -1: sign of the median; of the mean z where the median is 0.
    significant : int
        Specifications with p < 0.05 in that direction.
    mean_z : float
    p_median, p_significant, p_mean_z : float
        Share of relabellings, the observed one included, whose statistic is at least as far from 0; of ``significant``,
        counted in each relabelling in the direction of its own median.
    participants, exchanged : int
        Participants in any of the specifications, and how many of these can change places (signs) with others.
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


def statistics(
    values: np.ndarray, t: np.ndarray, df: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
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


def _reaches(null: np.ndarray, observed: float) -> np.ndarray:
    """Whether statistics are at least as far from 0 as the observed one; equal ones count despite rounding."""
    return np.abs(null) >= np.abs(observed) * (1 - _RELATIVE)


def _exchangeable(
    everyone: Sequence[str], members: Sequence[tuple[int, ...]], blocks: Mapping[str, Hashable]
) -> list[Hashable]:
    """A key for each participant; those with the same key are in the same block and in the same specifications."""
    sets = [set(own) for own in dict.fromkeys(members)]
    return [(blocks.get(name), *(i in own for own in sets)) for i, name in enumerate(everyone)]


@dataclass(frozen=True, kw_only=True)
class Relabelling:
    """How participants are relabelled.

    Attributes
    ----------
    exchange : {"permute", "flip"}
        Whether participants' residuals change places, or signs.
    number : int
        Relabellings, the observed one included.
    seed : int
    blocks : mapping
        Participant to exchangeability block; those without one are exchanged with each other.
    """

    exchange: str
    number: int
    seed: int
    blocks: Mapping[str, Hashable] = field(default_factory=dict)

    def draws(self, keys: Sequence[Hashable]) -> Iterator[np.ndarray]:
        """Orders or signs of participants, some rows at a time, within the groups that ``keys`` name."""
        if self.exchange == "flip":
            return flips(self.number, len(keys), self.seed)
        return permutations(self.number, keys, self.seed)

    def of_members(self, draw: np.ndarray, members: Sequence[int]) -> np.ndarray:
        """Orders or signs of some of the participants of a draw, numbered among themselves."""
        index = np.array(members)
        if self.exchange == "flip":
            return draw[:, index]
        place = np.empty(draw.shape[1], dtype=np.intp)
        place[index] = np.arange(len(index))
        return place[draw[:, index]]

    def answers(self, fitted: Fit, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A specification's answers under orders or signs of its participants, see :func:`relabelled`."""
        return relabelled(fitted, signs=drawn) if self.exchange == "flip" else relabelled(fitted, orders=drawn)


def own_p(fitted: Fit, relabelling: Relabelling) -> float:
    """Two-sided permutation p of one specification alone, by t, the observed labelling included.

    Parameters
    ----------
    fitted : Fit
    relabelling : Relabelling

    Returns
    -------
    float
    """
    keys, reached = [relabelling.blocks.get(name) for name in fitted.participants], 0
    for draw in relabelling.draws(keys):
        null, _ = relabelling.answers(fitted, relabelling.of_members(draw, range(len(keys))))
        reached += int(_reaches(null, fitted.t).sum())
    return reached / relabelling.number


def joint(fits: Sequence[Fit], relabelling: Relabelling, *, unit_free: bool = False) -> Joint:
    """Test all specifications of one question together.

    Parameters
    ----------
    fits : sequence of Fit, length S
        At least one.
    relabelling : Relabelling
    unit_free : bool
        Take the median over partial correlations: for specifications whose estimates differ in unit.

    Returns
    -------
    Joint
    """
    # Sorted, so that the order of the files does not matter.
    everyone = sorted({participant for fitted in fits for participant in fitted.participants})
    position = {participant: i for i, participant in enumerate(everyone)}
    members = [tuple(position[participant] for participant in fitted.participants) for fitted in fits]
    keys = _exchangeable(everyone, members, relabelling.blocks)
    df, se = np.array([fitted.df for fitted in fits]), np.array([fitted.se for fitted in fits])
    t = np.array([[fitted.t for fitted in fits]])
    on_r = unit_free or fits[0].kind == "correlation"
    estimates = np.array([[fitted.partial_r if on_r else fitted.estimate for fitted in fits]])
    median, direction, significant, mean_z = (values[0] for values in statistics(estimates, t, df))
    reached = np.zeros(3, dtype=int)
    for draw in relabelling.draws(keys):
        null, r = np.empty((len(draw), len(fits))), np.empty((len(draw), len(fits)))
        drawn: dict[tuple[int, ...], np.ndarray] = {}
        for k, (fitted, own) in enumerate(zip(fits, members)):
            if own not in drawn:
                drawn[own] = relabelling.of_members(draw, own)
            null[:, k], r[:, k] = relabelling.answers(fitted, drawn[own])
        # t in units of the observed standard error: residuals vary less than errors, so a relabelled coefficient would.
        with np.errstate(invalid="ignore"):
            values = r if on_r else np.where(se > 0, null * se, r)
        medians, _, counts, zs = statistics(values, null, df)
        reached += [_reaches(medians, median).sum(), (counts >= significant).sum(), _reaches(zs, mean_z).sum()]
    p_median, p_significant, p_mean_z = (float(share) for share in reached / relabelling.number)
    movable = sum(keys.count(key) > 1 for key in keys) if relabelling.exchange == "permute" else len(everyone)
    return Joint(
        median=float(median),
        direction=int(direction),
        significant=int(significant),
        mean_z=float(mean_z),
        p_median=p_median,
        p_significant=p_significant,
        p_mean_z=p_mean_z,
        participants=len(everyone),
        exchanged=movable,
    )
