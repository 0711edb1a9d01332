"""A share of independent trials with its exact interval."""

from dataclasses import dataclass

from scipy import special


@dataclass(frozen=True)
class Share:
    """So many of so many, with an interval of the probability.

    Attributes
    ----------
    count, number : int
    low, high : float or None
        None of no trials.
    """

    count: int
    number: int
    low: float | None
    high: float | None


def share(count: int, number: int, level: float = 0.95) -> Share:
    """A count of independent trials with the interval of Clopper and Pearson (Biometrika 1934, doi 10.1093/biomet/26.4.404).

    Parameters
    ----------
    count, number : int
        Successes and trials.
    level : float
        Confidence level; the interval holds the probability at least so often.

    Returns
    -------
    Share
        Its ends are quantiles of beta distributions; 0 and 1 where no trial, or each, succeeded.
    """
    if not 0 <= count <= number:
        raise ValueError(f"{count} of {number}")
    if number == 0:
        return Share(0, 0, None, None)
    tail = (1 - level) / 2
    low = float(special.betaincinv(count, number - count + 1, tail)) if count else 0.0
    high = float(special.betaincinv(count + 1, number - count, 1 - tail)) if count < number else 1.0
    return Share(count, number, low, high)
