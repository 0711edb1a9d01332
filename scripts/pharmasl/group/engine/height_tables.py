"""z of t, or of F, from tables: for the millions of values of relabellings whose degrees of freedom differ from voxel to voxel."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from pharmasl.group.engine import glm

# Nodes in a unit of the root of q F, and the largest of it.
_PER_UNIT, _LARGEST = 64, 64


@dataclass(frozen=True)
class HeightTables:
    """Tables of z.

    Attributes
    ----------
    nodes : ndarray of shape (tables, nodes)
        z at even steps of abs(t), or of the root of q F, below 0 too; between them it is linear, to 1e-5.
    per_unit : float
        Nodes in a unit.
    df : ndarray of shape (tables,)
    """

    nodes: np.ndarray
    per_unit: float
    df: np.ndarray


def z_of_f(f: np.ndarray, q: int, df: float | np.ndarray) -> np.ndarray:
    """The standard normal quantile with the upper tail probability of F, 0 where F is below its median.

    Parameters
    ----------
    f : ndarray
    q : int
        Numerator degrees of freedom.
    df : float or ndarray
        Denominator degrees of freedom.
    """
    return np.where(np.isnan(f), np.nan, np.maximum(_quantile(f, q, df), 0.0))


def _quantile(f: np.ndarray, q: int, df: float | np.ndarray) -> np.ndarray:
    tail = np.clip(special.fdtrc(q, df, f), np.finfo(np.float64).tiny, 1 - 1e-9)
    return -special.ndtri(tail)


def make(q: int, df: np.ndarray) -> HeightTables:
    """Tables for one or several tested columns.

    Parameters
    ----------
    q : int
        1: z has the tail of t; more: of F.
    df : ndarray of shape (tables,)
        Residual degrees of freedom, above 0.
    """
    roots = np.arange(_LARGEST * _PER_UNIT + 1) / _PER_UNIT
    rows = [glm.t_to_z(roots, own) if q == 1 else _quantile(roots**2 / q, q, own) for own in df]
    return HeightTables(np.array(rows).reshape(-1, len(roots)), float(_PER_UNIT), np.asarray(df, dtype=np.float64))
