"""The random-intercept model of any fixed effects at every voxel: estimates, and t or F with small-sample degrees of freedom.

A scan may lack a voxel (NaN): voxels with one pattern of available scans are fitted together, with the scans that are there. A
voxel is tested where enough of the scans have it and the model can be estimated from these alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.group.engine import glm, height_tables
from pharmasl.statistics import mixed_f_tests, mixed_model

# The least share of the scans that must have a voxel.
LEAST_SHARE = 0.75
# Voxels fitted at a time: bounds the memory.
_TILE = 4096


@dataclass(frozen=True, kw_only=True)
class Estimates:
    """The tested effects at every voxel.

    Attributes
    ----------
    effects : ndarray of shape (q, V)
        The maps' unit.
    statistic : ndarray of shape (V,)
        t of one effect, F of several.
    df, p, z : ndarray of shape (V,)
        Degrees of freedom (of F the denominator's), p (two-sided of t), and z of the same tail; NaN where no residual variation is
        left.
    boundary : ndarray of bool, shape (V,)
        Where the variance between participants is estimated as zero.
    participant_variance, residual_variance : ndarray of shape (V,)
    """

    effects: np.ndarray
    statistic: np.ndarray
    df: np.ndarray
    p: np.ndarray
    z: np.ndarray
    boundary: np.ndarray
    participant_variance: np.ndarray
    residual_variance: np.ndarray


@dataclass(frozen=True)
class Patterns:
    """Which scans have which voxels.

    Attributes
    ----------
    kinds : ndarray of bool, shape (K, n)
        The patterns that occur.
    number : ndarray of int, shape (V,)
        Which of them a voxel has.
    """

    kinds: np.ndarray
    number: np.ndarray

    @classmethod
    def from_maps(cls, values: np.ndarray) -> "Patterns":
        """The patterns of maps (n, V) with NaN where a scan lacks a voxel."""
        n, voxels = values.shape
        packed = np.empty((voxels, (n + 7) // 8), dtype=np.uint8)
        for start in range(0, voxels, _TILE):
            packed[start : start + _TILE] = np.packbits(np.isfinite(values[:, start : start + _TILE]).T, axis=1)
        kinds, number = np.unique(packed, axis=0, return_inverse=True)
        return cls(np.unpackbits(kinds, axis=1, count=n).astype(bool), number.ravel())

    @property
    def complete(self) -> bool:
        """Whether every scan has every voxel."""
        return bool(self.kinds.all())

    def usable(self, design: np.ndarray, participant: np.ndarray) -> np.ndarray:
        """The patterns that can be tested, ndarray of bool, shape (K,)."""
        return np.array([_usable(design[kind], participant[kind], len(design)) for kind in self.kinds])

    def within(self, keep: np.ndarray) -> "Patterns":
        """Those of fewer voxels, ndarray of bool, shape (V,)."""
        used, number = np.unique(self.number[keep], return_inverse=True)
        return Patterns(self.kinds[used], number.ravel())


def _usable(design: np.ndarray, participant: np.ndarray, scans: int) -> bool:
    rows, terms = design.shape
    if rows < LEAST_SHARE * scans or rows <= terms or len(set(participant.tolist())) == rows:
        return False
    return bool(np.linalg.matrix_rank(design) == terms)


def fit(
    values: np.ndarray,
    design: np.ndarray,
    weights: np.ndarray,
    participant: Sequence[str] | np.ndarray,
    *,
    method: str,
    patterns: Patterns | None = None,
) -> Estimates:
    """Fit by restricted maximum likelihood, and test.

    Parameters
    ----------
    values : ndarray of shape (n, V)
        A row per scan; NaN where a scan lacks the voxel.
    design : ndarray of shape (n, terms)
    weights : ndarray of shape (q, terms)
        One row is tested by t, several by F.
    participant : sequence of length n
    method : {"satterthwaite", "kenward-roger"}
    patterns : Patterns, optional
        Of the values, each of them usable; found where None.

    Returns
    -------
    Estimates

    Raises
    ------
    ValueError
        For a method of another name, or a model that cannot be estimated.
    """
    if method not in ("satterthwaite", "kenward-roger"):
        raise ValueError(f"{method!r} is neither 'satterthwaite' nor 'kenward-roger'")
    patterns = patterns or Patterns.from_maps(values)
    people = np.unique(np.asarray(participant), return_inverse=True)[1].ravel()
    voxels, q = values.shape[1], len(weights)
    out = {name: np.empty(voxels) for name in Estimates.__dataclass_fields__ if name not in ("effects", "boundary")}
    effects, boundary = np.empty((q, voxels)), np.empty(voxels, dtype=bool)
    for start in range(0, voxels, _TILE):
        tile = np.asarray(values[:, start : start + _TILE], dtype=np.float64)
        number = patterns.number[start : start + _TILE]
        for kind in np.unique(number):
            own, rows = number == kind, patterns.kinds[kind]
            fitted = _fit(tile[np.ix_(rows, own)], design[rows], weights, people[rows], method)
            places = start + np.flatnonzero(own)
            effects[:, places], boundary[places] = fitted.effects, fitted.boundary
            for name, array in out.items():
                array[places] = getattr(fitted, name)
    return Estimates(effects=effects, boundary=boundary, **out)


def _fit(data: np.ndarray, design: np.ndarray, weights: np.ndarray, participant: np.ndarray, method: str) -> Estimates:
    fitted = mixed_model.fit(design, data, participant)
    if len(weights) == 1:
        if method == "satterthwaite":
            t = mixed_model.contrast(fitted, weights[0])
        else:
            t = mixed_model.kenward_roger(fitted, design, participant, weights[0])
        statistic, df, p, effects, z = t.t, t.df, t.p, t.estimate[None], glm.t_to_z(t.t, t.df)
    else:
        if method == "satterthwaite":
            f = mixed_f_tests.satterthwaite(fitted, weights)
        else:
            f = mixed_f_tests.kenward_roger(fitted, design, participant, weights)
        statistic, df, p, effects = f.f, f.df2, f.p, f.estimates
        z = height_tables.z_of_f(f.f, f.df1, f.df2)
    return Estimates(
        effects=effects,
        statistic=statistic,
        df=df,
        p=p,
        z=z,
        boundary=fitted.boundary,
        participant_variance=fitted.subject_variance,
        residual_variance=fitted.residual_variance,
    )
