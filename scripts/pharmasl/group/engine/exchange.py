"""What is exchanged in a model of scans: the labels of whole participants, or the signs of their residuals.

Under the null of a randomised trial, that the treatment does nothing to anybody, a participant's scans would have been the same under
another label (an arm, or a sequence of a crossover), whichever sessions are there. So labels are dealt anew to the participants,
within strata, while data, sessions and covariates stay; the design's rows are those that the new labels give, and terms of the null model
that depend on the labels are fitted again with each. The arms' difference at baseline, before any treatment, is such a term, and null:
nothing is taken off the data for it, and the test is exact for any covariance and any pattern of missing scans that the labels do not
decide. Effects of the treatment that are not tested (the arm's main effect beside its moderation by a genotype, another visit's effect) may
be there under the null: their fit is taken off the data first, as Freedman and Lane (1983, J Bus Econ Stat 1:292) do, and the test is
approximate.

A tested term that no label carries (the sessions within one arm, a genotype) was not randomised. There the signs of whole
participants' whitened residuals of the null model are flipped (a wild bootstrap over participants: Guillaume et al. 2014, NeuroImage 94:287;
Winkler et al. 2014, NeuroImage 92:381), which is right for many participants and approximate for few.

Either way the relabelled columns are, for every participant, one of a few fixed blocks of rows times a weight, so that all that a relabelling
needs is one row of weights.
"""

from dataclasses import dataclass

import numpy as np

ALLOCATION, SIGNS = "allocation", "signs"
# Columns of a design that differ by less, of their size, are the same.
_SAME = 1e-9


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A model's columns in the order of the test, under every label, and the relabellings.

    Attributes
    ----------
    kind : {"allocation", "signs"}
    participant : ndarray of int, shape (n,)
        Number of each row's participant, 0 to P - 1.
    fixed : ndarray of shape (n, c)
        The columns of the null model that no relabelling changes.
    columns : ndarray of shape (K, n, d)
        The others under each label, the tested ones last; one "label" where signs are flipped.
    tested : int
        How many of these columns are tested, q.
    null : ndarray of shape (n, columns)
        The model whose residuals are relabelled: the fixed columns, and the observed ones of effects that may be there.
    labels : ndarray of int8, shape (B, P)
        Each participant's label, or its sign, in each relabelling; the observed ones first.
    exhaustive : bool
        Whether these are all that there are.
    log10_distinct : float
        Decimal logarithm of the number of distinct ones.
    """

    kind: str
    participant: np.ndarray
    fixed: np.ndarray
    columns: np.ndarray
    tested: int
    null: np.ndarray
    labels: np.ndarray
    exhaustive: bool
    log10_distinct: float

    @property
    def number(self) -> int:
        """Relabellings, the observed one among them."""
        return len(self.labels)

    @property
    def participants(self) -> int:
        """P."""
        return self.labels.shape[1]

    @property
    def terms(self) -> int:
        """Columns of the whole design."""
        return self.fixed.shape[1] + self.columns.shape[2]

    @property
    def is_exact(self) -> bool:
        """Whether nothing that depends on the labels is taken off the data."""
        return self.kind == ALLOCATION and self.null.shape[1] == self.fixed.shape[1]

    @property
    def tests_all(self) -> bool:
        """Whether all terms that depend on the labels are tested."""
        return self.kind == ALLOCATION and self.columns.shape[2] == self.tested

    @property
    def steps(self) -> np.ndarray:
        """What a weight of 1 adds to each row, shape (K - 1, n, d); of signs the columns themselves."""
        return self.columns if self.kind == SIGNS else self.columns[1:] - self.columns[0]

    @property
    def base(self) -> np.ndarray:
        """The columns of weight 0 throughout, shape (n, d)."""
        return np.zeros_like(self.columns[0]) if self.kind == SIGNS else self.columns[0]

    def weights(self, start: int, stop: int) -> np.ndarray:
        """The weights of relabellings, float64, shape (relabellings, steps * P): 0 and 1, or -1 and 1."""
        labels = self.labels[start:stop]
        if self.kind == SIGNS:
            return labels.astype(np.float64)
        others = np.arange(1, len(self.columns))
        return (labels[:, None, :] == others[:, None]).reshape(len(labels), -1).astype(np.float64)

    def smallest_p(self, two_sided: bool) -> float:
        """The smallest p that the relabellings allow, whatever the data."""
        observed = self.labels[0]
        same = (self.labels == observed).all(axis=1)
        both_ways = two_sided or self.tested > 1
        if both_ways and self.kind == SIGNS:
            same |= (self.labels == -observed).all(axis=1)
        elif both_ways and self.tests_all:
            # Arms that swap their names span the same model.
            same |= np.array([_one_to_one(row, observed) for row in self.labels])
        return float(same.mean())


def _one_to_one(labels: np.ndarray, observed: np.ndarray) -> bool:
    pairs = set(zip(labels.tolist(), observed.tolist()))
    return len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)


def _null_space(rows: np.ndarray, size: float = 0.0) -> np.ndarray:
    """Orthonormal basis, (p, k), of what all rows (m, p) map to 0, or to nothing beside ``size``."""
    if not len(rows):
        return np.eye(rows.shape[1])
    _, singular, right = np.linalg.svd(rows, full_matrices=True)
    rank = int((singular > _SAME * max(singular[0], size, 1e-300)).sum())
    return right[rank:].T


def _effects(designs: np.ndarray, nuisance: np.ndarray, direction: np.ndarray, participant: np.ndarray) -> np.ndarray:
    """The directions of coefficients (p, k) among the nuisance ones that are effects of the treatment.

    What the labels change by the same at all of a participant's scans is there at baseline already, so it is no effect, unless what is
    tested is such a difference itself.
    """
    change = designs[1:] - designs[0]
    member = (participant[:, None] == np.arange(participant.max() + 1)).astype(np.float64)
    within = change - member @ (member.T @ change / member.sum(axis=0)[:, None])
    moves = np.abs(within @ direction).max(initial=0.0) > _SAME * np.abs(change @ direction).max(initial=1e-300)
    if not moves or not nuisance.shape[1]:
        return nuisance
    constant = _null_space(np.concatenate(within @ nuisance), size=float(np.linalg.norm(change @ nuisance)))
    return nuisance @ np.linalg.svd(constant.T, full_matrices=True)[2][constant.shape[1] :].T


def _lengths(designs: np.ndarray) -> np.ndarray:
    length = np.sqrt((designs**2).sum(axis=(0, 1)))
    return np.where(length > 0, length, 1.0)


def tests_labels(designs: np.ndarray, weights: np.ndarray) -> bool:
    """Whether the tested effects vanish in every model in which the labels do not matter: then labels may be dealt anew.

    Parameters
    ----------
    designs : ndarray of shape (K, n, p)
        The design as if all participants had label 0, 1, ...
    weights : ndarray of shape (q, p)
        The tested effects.
    """
    length = _lengths(designs)
    invariant = _null_space(np.concatenate(designs[1:] - designs[0]) / length)
    scaled = weights / length
    return bool(np.abs(scaled @ invariant).max(initial=0.0) < 1e-7 * np.abs(scaled).max())


def allocation(
    designs: np.ndarray,
    weights: np.ndarray,
    participant: np.ndarray,
    labels: np.ndarray,
    *,
    exhaustive: bool,
    log10_distinct: float,
) -> Exchange:
    """Labels dealt anew to whole participants.

    Parameters
    ----------
    designs : ndarray of shape (K, n, p)
        The design as if all participants had label 0, 1, ...
    weights : ndarray of shape (q, p)
        The tested effects, for which :func:`tests_labels` holds.
    participant : ndarray of int, shape (n,)
    labels : ndarray of int, shape (B, P)
        The observed ones first.
    exhaustive, log10_distinct
        As :class:`Exchange` has them.
    """
    length = _lengths(designs)
    scaled, tested = designs / length, weights / length
    invariant = _null_space(np.concatenate(scaled[1:] - scaled[0]))
    nuisance = _null_space(np.concatenate([tested, invariant.T]))
    direction = np.linalg.pinv(tested)
    # Beside the invariant and the nuisance columns the rest of the null model has a part in the tested directions.
    direction -= invariant @ (invariant.T @ direction)
    columns = scaled @ np.column_stack([nuisance, direction])
    fixed = scaled[0] @ invariant
    present = scaled @ _effects(scaled, nuisance, direction, participant)
    observed = present[labels[0][participant], np.arange(len(participant))]
    return Exchange(
        kind=ALLOCATION,
        participant=participant,
        fixed=fixed,
        columns=columns,
        tested=len(weights),
        null=np.column_stack([fixed, observed]),
        labels=labels.astype(np.int8),
        exhaustive=exhaustive,
        log10_distinct=log10_distinct,
    )


def signs(
    design: np.ndarray,
    weights: np.ndarray,
    participant: np.ndarray,
    drawn: np.ndarray,
    *,
    exhaustive: bool,
    log10_distinct: float,
) -> Exchange:
    """Signs of whole participants' residuals flipped; parameters as of :func:`allocation`, ``drawn`` (B, P) of 1 and -1."""
    length = _lengths(design[None])
    scaled, tested = design / length, weights / length
    others = _null_space(tested)
    columns = scaled @ np.column_stack([others, np.linalg.pinv(tested)])
    return Exchange(
        kind=SIGNS,
        participant=participant,
        fixed=np.empty((len(design), 0)),
        columns=columns[None],
        tested=len(weights),
        null=columns[:, : others.shape[1]],
        labels=drawn.astype(np.int8),
        exhaustive=exhaustive,
        log10_distinct=log10_distinct,
    )
