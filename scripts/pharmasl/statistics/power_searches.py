"""The effect and the number of people at which a power is reached."""

import math
from collections.abc import Callable

_HALVINGS = 50
# A search for people ends here.
MOST = 100_000


def crossing(power: Callable[[float], float], goal: float, most: float = math.inf) -> float:
    """The effect above 0 at which a power that grows with it reaches a goal, by bisection.

    Parameters
    ----------
    power : callable
        The power at an effect.
    goal : float
        Above the power without an effect.
    most : float
        The largest effect that there is; the power nears 1 there, or as the effect grows without bounds.

    Returns
    -------
    float
    """
    low, high = 0.0, min(1.0, most)
    while high < most and power(high) < goal:
        low, high = high, min(2 * high, most)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle) < goal else (low, middle)
    return (low + high) / 2


def arms_needed(power: Callable[[tuple[float, float]], float], ratio: float, goal: float) -> tuple[int, int] | None:
    """The smallest arms, in a ratio of sizes, that have a wanted power.

    Parameters
    ----------
    power : callable
        The power of two arms; NaN of too few people.
    ratio : float
        Size of the second arm over that of the first.
    goal : float

    Returns
    -------
    tuple of int or None
        None where :data:`MOST` people in an arm are too few.
    """

    def sizes(first: int) -> tuple[int, int]:
        return first, max(math.ceil(first * ratio - 1e-9), 1)

    def reaches(first: int) -> bool:
        own = power(sizes(first))
        return math.isfinite(own) and own >= goal

    low, high = 0, 2
    while not reaches(high):
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return sizes(high)
