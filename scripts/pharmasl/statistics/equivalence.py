"""Equivalence by two one-sided tests (Schuirmann 1987, doi 10.1007/BF01068419)."""

from dataclasses import dataclass

from scipy.special import stdtr, stdtrit


@dataclass(frozen=True, kw_only=True)
class Equivalence:
    """Whether a difference lies within a margin.

    Attributes
    ----------
    p : float
        The larger p of the two one-sided tests: that the difference is not above ``-margin``, and not below ``margin``.
    ci_low, ci_high : float
        Interval that covers 1 - 2 alpha; it lies within the margin where ``p`` is below alpha.
    """

    p: float
    ci_low: float
    ci_high: float


def two_one_sided(estimate: float, se: float, df: float, *, margin: float, alpha: float) -> Equivalence:
    """Test that a difference lies between ``-margin`` and ``margin``.

    Parameters
    ----------
    estimate, se : float
        The difference and its standard error, above 0.
    df : float
        Degrees of freedom of ``se``.
    margin : float
        Largest difference that does not matter, in the unit of ``estimate``.
    alpha : float
        Level of each one-sided test.

    Returns
    -------
    Equivalence
    """
    above = float(stdtr(df, -(estimate + margin) / se))
    below = float(stdtr(df, (estimate - margin) / se))
    half = float(stdtrit(df, 1 - alpha)) * se
    return Equivalence(p=max(above, below), ci_low=estimate - half, ci_high=estimate + half)
