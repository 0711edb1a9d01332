"""What an uncertain assumption may be: values that are equally likely, at the middles of equal shares of its distribution.

The planning value is the distribution's median, and the ends of its range are the 2.5th and 97.5th percentile. On either side of the
median it is normal, with a standard deviation of that side: of the number itself, of a standard deviation's logarithm, of a
correlation's Fisher z. A number that is taken as known is one value.
"""

import math

import numpy as np
from scipy import special

from pharmasl.statistics.trial_assumptions import Uncertain

# Values of an uncertain assumption.
_NODES = 32
_NORMAL_95 = 1.959963984540054


def of_number(known: Uncertain) -> np.ndarray:
    """Values of a difference or another number without bounds."""
    return _quantiles(known.value, known.low, known.high)


def of_share(known: Uncertain) -> np.ndarray:
    """Values of a share of people: normal as a number, those above 1 being 1."""
    return np.clip(of_number(known), 0.0, 1.0)


def of_logarithm(known: Uncertain) -> np.ndarray:
    """Values of a number above 0."""
    return np.exp(_quantiles(math.log(known.value), math.log(known.low), math.log(known.high)))


def of_correlation(known: Uncertain) -> np.ndarray:
    """Values of a correlation."""
    return np.tanh(_quantiles(math.atanh(known.value), math.atanh(known.low), math.atanh(known.high)))


def _quantiles(middle: float, low: float, high: float) -> np.ndarray:
    """Quantiles of a normal with another standard deviation on either side of its median; the median alone where both ends are there."""
    if low == high:
        return np.array([middle])
    normal = special.ndtri((np.arange(_NODES) + 0.5) / _NODES)
    side = np.where(normal < 0, middle - low, high - middle)
    return middle + normal / _NORMAL_95 * side
