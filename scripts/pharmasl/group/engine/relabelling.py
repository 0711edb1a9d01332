"""Relabellings: what is exchangeable when the tested effect is absent.

A question about *arms* or about a *slope* permutes: whole differences of participants meet other rows of the design,
within exchangeability blocks such as sites where these are given. A question about a *mean* (does an arm change at
all?) has nothing to permute; it flips the signs of whole differences, which needs errors that are symmetric about 0
(Winkler et al. 2014, NeuroImage 92:381). Which of the two a design wants is decided by the hypothesis and never by the
columns it happens to have: a design of arms that names its intercept is still permuted.
"""

import itertools
import math

import numpy as np

# Random relabellings made at a time: bounds the temporary memory, and does not change them.
_ROWS = 256


def _kinds(rows):
    """Number the distinct rows of a design, in order of their first appearance."""
    rows = np.asarray(rows, dtype=np.float64)
    # A column's unit is nobody's business: each is measured by its own range. Rounded, as a row that came out of a
    # decomposition equals its twin to 15 digits only; a range within that rounding is none.
    least, spread = rows.min(axis=0), np.ptp(rows, axis=0)
    spread = np.where(spread > 1e-13 * np.abs(rows).max(axis=0), spread, np.inf)
    keys = [tuple(row) for row in np.round((rows - least) / spread, 9) + 0.0]
    first = {}
    return np.array([first.setdefault(key, len(first)) for key in keys])


def _members(blocks, n):
    """Positions of each block's participants, blocks in order of their first appearance; one block if None."""
    if blocks is None:
        return [np.arange(n)]
    blocks = list(blocks)
    if len(blocks) != n:
        raise ValueError(f"{len(blocks)} blocks for {n} participants")
    first = {}
    numbers = np.array([first.setdefault(block, len(first)) for block in blocks])
    return [np.flatnonzero(numbers == k) for k in range(len(first))]


def log10_distinct(rows, blocks=None):
    """Decimal logarithm of the number of distinct orders of a design's rows: n! / (m1! m2! ...) for m equal rows.

    Parameters
    ----------
    rows : array_like of shape (n, terms)
    blocks : sequence of length n, optional
        Exchangeability block of each participant; the orders within them multiply.

    Returns
    -------
    float
    """
    kinds = _kinds(rows)
    total = 0.0
    for members in _members(blocks, len(kinds)):
        counts = np.bincount(kinds[members])
        total += math.lgamma(len(members) + 1) - sum(math.lgamma(m + 1) for m in counts)
    return total / math.log(10)


def _arrangements(free, groups):
    """Every way to deal the positions ``free`` to groups of given members; members keep their order."""
    if not groups:
        yield {}
        return
    members, *others = groups
    for places in itertools.combinations(free, len(members)):
        rest = [place for place in free if place not in places]
        for remainder in _arrangements(rest, others):
            yield {**dict(zip(places, members)), **remainder}


def relabellings(rows, number, seed, blocks=None):
    """The permutations of an analysis, the identity first.

    All distinct ones where there are no more than ``number`` (for two arms without covariates: n! / (n1! n2!)),
    otherwise the identity and ``number - 1`` random ones.

    Parameters
    ----------
    rows : array_like of shape (n, terms)
        The design. Equal rows are interchangeable.
    number : int
    seed : int
    blocks : sequence of length n, optional
        Exchangeability block of each participant, such as the site: rows are permuted within blocks only.

    Returns
    -------
    permutations : ndarray of shape (B, n), int32
        Participant i's data meet row ``permutations[b, i]`` of the design.
    exhaustive : bool

    Raises
    ------
    ValueError
        If ``blocks`` has another length.
    """
    kinds = _kinds(rows)
    n = len(kinds)
    every_block = _members(blocks, n)
    if log10_distinct(rows, blocks) <= math.log10(number) + 1e-9:
        dealt = []
        for members in every_block:
            groups = [members[kinds[members] == kind].tolist() for kind in range(kinds.max() + 1)]
            dealt.append(list(_arrangements(members.tolist(), [group for group in groups if group])))
        every = np.empty((math.prod(len(deals) for deals in dealt), n), dtype=np.int32)
        for b, deals in enumerate(itertools.product(*dealt)):
            for deal in deals:
                every[b, list(deal)] = list(deal.values())
        observed = int(np.flatnonzero((every == np.arange(n)).all(axis=1))[0])
        return np.concatenate([every[observed : observed + 1], np.delete(every, observed, axis=0)]), True
    rng = np.random.default_rng(seed)
    permutations = np.empty((number, n), dtype=np.int32)
    for start in range(0, number, _ROWS):
        keys = rng.random((min(_ROWS, number - start), n))
        for members in every_block:
            order = np.argsort(keys[:, members], axis=1, kind="stable")
            permutations[start : start + len(keys), members] = members[order]
    permutations[0] = np.arange(n)
    return permutations, False


def flips(rows, number, seed):
    """The sign flips of an analysis of a mean, no flip first.

    All distinct ones where there are no more than ``number`` (2^n for n participants who count), otherwise no flip and
    ``number - 1`` random ones.

    Parameters
    ----------
    rows : array_like of shape (n, terms)
        The design. A participant whose row is 0 throughout is never flipped: it would change nothing.
    number : int
    seed : int

    Returns
    -------
    signs : ndarray of shape (B, n), int8
        1 or -1 for each participant's whole difference.
    exhaustive : bool
    """
    rows = np.asarray(rows, dtype=np.float64)
    # Measured column by column: a column in a small unit counts as any other.
    size = np.abs(rows)
    free = np.flatnonzero((size > 1e-9 * size.max(axis=0)).any(axis=1))
    n, m = len(rows), len(free)
    if m * math.log10(2) <= math.log10(number) + 1e-9:
        signs = np.ones((2**m, n), dtype=np.int8)
        signs[:, free] -= 2 * ((np.arange(2**m)[:, None] >> np.arange(m)) & 1).astype(np.int8)
        return signs, True
    rng = np.random.default_rng(seed)
    signs = np.ones((number, n), dtype=np.int8)
    signs[:, free] -= 2 * rng.integers(0, 2, (number, m), dtype=np.int8)
    signs[0] = 1
    return signs, False


def smallest_p(model, permutations=None, two_sided=True, signs=None):
    """The smallest p these relabellings can give, whatever the data.

    Relabellings that give the observed |t| in any data (equal arms swapped, a random one met twice) count with it.

    Parameters
    ----------
    model : glm.Model
    permutations : ndarray of shape (B, n), optional
    two_sided : bool
    signs : ndarray of shape (B, n), optional
        Instead of permutations, or together with them.

    Returns
    -------
    float
    """
    number = len(signs if permutations is None else permutations)
    hits = 0
    for b in range(number):
        order = slice(None) if permutations is None else permutations[b]
        flip = np.ones(len(model.x)) if signs is None else signs[b].astype(np.float64)
        cosine = (flip * model.x[order]) @ model.x
        if (abs(cosine) if two_sided else cosine) > 1 - 1e-9:
            overlap = np.linalg.norm((flip[:, None] * model.basis[order]).T @ model.basis) ** 2
            hits += overlap > model.basis.shape[1] - 1e-9
    return float(hits / number)
