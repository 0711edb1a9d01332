"""Repeatability of a value over sessions: within-person standard deviation, coefficient of variation, intraclass correlations, limits.

A value of person i in session j is taken as mean + person + session + residual (two-way analysis of variance without
replication). The residual's standard deviation is the within-person standard deviation of a session, freed of what all people
changed by together. All intervals have equal tails.

- Within-person standard deviation ``within_sd``: root of the residual mean square; interval by the chi-square distribution.
- Smallest detectable change of one person: 1.96 sqrt(2) times it (Bland and Altman 1996, doi 10.1136/bmj.312.7047.1654).
- Within-person coefficient of variation: sqrt(exp(s^2) - 1), s the within-person standard deviation of the values' logarithms
  (Bland and Altman 1996, doi 10.1136/bmj.313.7049.106); without a meaning where a value is not above 0.
- Intraclass correlations of a single value (Shrout and Fleiss 1979, doi 10.1037/0033-2909.86.2.420): ICC(3,1), of consistency, with the
  exact interval of F; ICC(2,1), of agreement, with a generalised confidence interval (Weerahandi 1993, doi 10.1080/01621459.1993.10476355; of
  intraclass correlations Ionan et al. 2014, doi 10.1186/1471-2288-14-121): the sessions of a trial are these ones, and what all people
  shift by is a number of theirs. An estimate below 0 is left as it is. (McGraw and Wong's interval, which R's psych and irr print, takes the
  sessions as drawn from many; of a shift as large as the within-person standard deviation it covers .96 to .997.)
- Limits of agreement of two sessions: mean difference +- 1.96 standard deviations (Bland and Altman 1999, doi
  10.1177/096228029900800204); interval of each limit exact, by the noncentral t distribution (Carkeet 2015, doi
  10.1097/OPX.0000000000000513).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special, stats

_NORMAL = 1.96
# The smallest detectable change of one person over the within-person standard deviation.
DETECTABLE = _NORMAL * np.sqrt(2)
# Of the generalised confidence interval.
_POINTS = 8192


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate and its confidence limits; arrays of one shape.

    Attributes
    ----------
    estimate, low, high : ndarray
    """

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def scaled(self, factor: float) -> "Interval":
        """The interval of the estimate times a factor above 0."""
        return Interval(estimate=self.estimate * factor, low=self.low * factor, high=self.high * factor)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How two sessions agree.

    Attributes
    ----------
    bias : Interval
        Mean of the second session minus the first.
    lower, upper : Interval
        Limits that 95 % of people's differences lie between.
    """

    bias: Interval
    lower: Interval
    upper: Interval


@dataclass(frozen=True, kw_only=True)
class Repeatability:
    """Repeatability of a value, or of one per voxel or region (arrays of their shape).

    Attributes
    ----------
    people, sessions : int
    mean : ndarray
        Over people and sessions.
    within_sd : Interval
        In the values' unit, as are the smallest detectable change and the agreement.
    detectable_change : Interval
        What one person's change exceeds by chance in 5 % of pairs of sessions.
    within_cv : Interval
        A share, not per cent; NaN where a value is not above 0.
    consistency, agreement_icc : Interval
        ICC(3,1) and ICC(2,1); NaN where all values are equal.
    agreement : Agreement or None
        Of two sessions; None of more.
    """

    people: int
    sessions: int
    mean: np.ndarray
    within_sd: Interval
    detectable_change: Interval
    within_cv: Interval
    consistency: Interval
    agreement_icc: Interval
    agreement: Agreement | None


def repeatability(values: np.ndarray, *, level: float = 0.95) -> Repeatability:
    """Repeatability of values of the same people in the same sessions.

    Parameters
    ----------
    values : ndarray, shape (n, k, ...)
        Of n people in k sessions, and any voxels or regions. A NaN makes what it is part of NaN.
    level : float
        Of the intervals.

    Returns
    -------
    Repeatability

    Raises
    ------
    ValueError
        Below three people or two sessions.
    """
    values = np.asarray(values, dtype=np.float64)
    people, sessions = values.shape[:2]
    if people < 3 or sessions < 2:
        raise ValueError(f"repeatability needs three people and two sessions, not {people} and {sessions}")
    tail = (1 - level) / 2
    squares = _mean_squares(values)
    within = deviation(squares.residual, squares.residual_df, tail)
    return Repeatability(
        people=people,
        sessions=sessions,
        mean=values.mean(axis=(0, 1)),
        within_sd=within,
        detectable_change=within.scaled(DETECTABLE),
        within_cv=_coefficient_of_variation(values, tail),
        consistency=_consistency(squares, tail),
        agreement_icc=_agreement_icc(squares, tail),
        agreement=_limits(values[:, 1] - values[:, 0], tail) if sessions == 2 else None,
    )


@dataclass(frozen=True, kw_only=True)
class MeanSquares:
    """Mean squares of the two-way analysis of variance, each of the values' further shape.

    Attributes
    ----------
    people : int or ndarray
        Of each voxel, where they differ.
    sessions : int
    between_people, between_sessions, residual : ndarray
    """

    people: int | np.ndarray
    sessions: int
    between_people: np.ndarray
    between_sessions: np.ndarray
    residual: np.ndarray

    @property
    def residual_df(self) -> int | np.ndarray:
        """Degrees of freedom of the residual mean square."""
        return (self.people - 1) * (self.sessions - 1)


def _mean_squares(values: np.ndarray) -> MeanSquares:
    people, sessions = values.shape[:2]
    mean = values.mean(axis=(0, 1))
    person, session = values.mean(axis=1) - mean, values.mean(axis=0) - mean
    residual = values - mean - person[:, np.newaxis] - session
    return MeanSquares(
        people=people,
        sessions=sessions,
        between_people=sessions * np.square(person).sum(axis=0) / (people - 1),
        between_sessions=people * np.square(session).sum(axis=0) / (sessions - 1),
        residual=np.square(residual).sum(axis=(0, 1)) / ((people - 1) * (sessions - 1)),
    )


def deviation(mean_square: np.ndarray, df: int | np.ndarray, tail: float) -> Interval:
    """The standard deviation of a mean square, with an interval that leaves ``tail`` out at each end."""
    return Interval(
        estimate=np.sqrt(mean_square),
        low=np.sqrt(mean_square * df / stats.chi2.isf(tail, df)),
        high=np.sqrt(mean_square * df / stats.chi2.ppf(tail, df)),
    )


def _coefficient_of_variation(values: np.ndarray, tail: float) -> Interval:
    positive = (values > 0).all(axis=(0, 1))
    squares = _mean_squares(np.log(np.where(positive, values, np.nan)))
    spread = deviation(squares.residual, squares.residual_df, tail)
    return Interval(
        estimate=of_logarithms(spread.estimate),
        low=of_logarithms(spread.low),
        high=of_logarithms(spread.high),
    )


def of_logarithms(spread: np.ndarray) -> np.ndarray:
    """The coefficient of variation of a log-normal variable, by the standard deviation of its logarithm."""
    return np.sqrt(np.expm1(np.square(spread)))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """A quotient; NaN at 0 / 0, such as of a voxel that is 0 in everybody."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.divide(above, below)


def _consistency(squares: MeanSquares, tail: float) -> Interval:
    """ICC(3,1) and its exact interval."""
    first, second = squares.people - 1, squares.residual_df
    quotient = _ratio(squares.between_people, squares.residual)
    return Interval(
        estimate=_correlation(quotient, squares.sessions),
        low=_correlation(quotient / stats.f.isf(tail, first, second), squares.sessions),
        high=_correlation(quotient * stats.f.isf(tail, second, first), squares.sessions),
    )


def _correlation(f: np.ndarray, sessions: int) -> np.ndarray:
    # 1 where f is infinite: nothing is left within people.
    return 1 - _ratio(np.array(sessions), f + sessions - 1)


def consistency(squares: MeanSquares) -> np.ndarray:
    """ICC(3,1) of mean squares, without its interval; NaN where nothing differs."""
    return _correlation(_ratio(squares.between_people, squares.residual), squares.sessions)


def _agreement_icc(squares: MeanSquares, tail: float) -> Interval:
    """ICC(2,1) and its generalised confidence interval.

    Each of the model's parts is written as what was observed and a variable of a known distribution: the residual variance by that of its
    sum of squares, the variance between people by that of theirs, and the length of the vector of the sessions' shifts by a normal variable
    along it and a chi-square one across. The interval's ends are quantiles of the correlation of such parts.
    """
    n, k = squares.people, squares.sessions
    rows, columns, error = squares.between_people, squares.between_sessions, squares.residual
    parts = [np.ravel(part) for part in np.broadcast_arrays(n, rows, columns, error)]
    ends = [_agreement_ends(*part, people=int(people), sessions=k, tail=tail) for people, *part in zip(*parts)]
    low, high = np.array(ends, dtype=np.float64).reshape(-1, 2).T
    return Interval(
        estimate=_ratio(rows - error, rows + (k - 1) * error + k * (columns - error) / n),
        low=low.reshape(np.shape(rows)),
        high=high.reshape(np.shape(rows)),
    )


def _agreement_ends(
    rows: float, columns: float, error: float, *, people: int, sessions: int, tail: float
) -> tuple[float, float]:
    """Ends of the generalised confidence interval of one value's mean squares; NaN where nothing differs."""
    own, of_people, along, across = _pivots(people, sessions)
    residual = (people - 1) * (sessions - 1) * error / own
    between = ((people - 1) * rows / of_people - residual) / sessions
    length = np.sqrt((sessions - 1) * columns / people)
    spread = np.sqrt(residual / people)
    shift = (np.square(length - along * spread) + np.square(spread) * across) / (sessions - 1)
    values = _ratio(between, between + residual + shift)
    low, high = np.quantile(values, (tail, 1 - tail))
    return float(low), float(high)


@lru_cache(maxsize=64)
def _pivots(people: int, sessions: int) -> tuple[np.ndarray, ...]:
    """Chi-square variables of residuals and people, a normal one, and a chi-square one of the shifts' further directions.

    They are no random numbers: the points of Roberts' additive recurrence fill the unit cube evenly.
    """
    # The root of x^5 = x + 1, for four dimensions.
    golden = 1.1673039782614187
    places = np.arange(1, _POINTS + 1)[:, np.newaxis] * golden ** -np.arange(1.0, 5.0) % 1
    own, of_people, along, across = places.T
    return (
        stats.chi2.ppf(own, (people - 1) * (sessions - 1)),
        stats.chi2.ppf(of_people, people - 1),
        special.ndtri(along),
        stats.chi2.ppf(across, sessions - 2) if sessions > 2 else np.zeros(_POINTS),
    )


def _limits(differences: np.ndarray, tail: float) -> Agreement:
    """Bias and limits of agreement of differences, shape (n, ...)."""
    n = len(differences)
    bias, error = differences.mean(axis=0), differences.std(axis=0, ddof=1) / np.sqrt(n)
    # A limit, mean + 1.96 standard deviations, in standard errors of the mean: sqrt(n) times 1.96, as a noncentral t.
    noncentrality = _NORMAL * np.sqrt(n)
    half = float(special.stdtrit(n - 1, 1 - tail))
    inner, outer = (special.nctdtrit(n - 1, noncentrality, probability) for probability in (tail, 1 - tail))
    return Agreement(
        bias=Interval(estimate=bias, low=bias - half * error, high=bias + half * error),
        lower=Interval(estimate=bias - noncentrality * error, low=bias - outer * error, high=bias - inner * error),
        upper=Interval(estimate=bias + noncentrality * error, low=bias + inner * error, high=bias + outer * error),
    )
