"""Bootstrap intervals of statistics of participants, who are drawn with replacement within strata such as the arms.

Draws and intervals are those of :func:`scipy.stats.bootstrap`; each stratum is one of its samples. The acceleration of the BCa
interval (Efron 1987, doi 10.1080/01621459.1987.10478410) therefore comes from the deviations of each stratum's jackknife values
from their own mean, as the draws within strata ask for.
"""

import dataclasses
import warnings
from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy import stats

# Samples are drawn and computed in batches of this many, to bound memory.
BATCH = 10_000
# An interval exists if the statistic does in at least this share of the samples.
LEAST_DEFINED = 0.95


class Bootstrap:
    """Several statistics of one sample of participants, and their bootstrap distributions from the same draws.

    Parameters
    ----------
    statistics : callable
        Takes the indices of participants, an ndarray of int of shape (..., m), and returns the statistics of those samples,
        shape (K, ...), NaN where one is undefined.
    strata : ndarray of shape (n,)
        Participants are drawn within these.
    resamples : int
        Number of bootstrap samples, B.
    rng : numpy.random.Generator

    Attributes
    ----------
    estimates : ndarray of shape (K,)
    jackknife : ndarray of shape (K, n)
        With each participant left out in turn.
    distributions : ndarray of shape (K, B)
    """

    def __init__(
        self,
        statistics: Callable[[np.ndarray], np.ndarray],
        strata: np.ndarray,
        resamples: int,
        rng: np.random.Generator,
    ) -> None:
        n = len(strata)
        members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
        self._statistics = statistics
        # scipy refuses samples of one observation; drawn again and again it is itself.
        self._samples = [own for own in members if len(own) > 1]
        self._fixed = np.array([own[0] for own in members if len(own) == 1], dtype=np.intp)
        self._order = np.argsort(np.concatenate([*self._samples, self._fixed]))
        self.estimates = statistics(np.arange(n))
        self.jackknife = statistics(np.array([np.delete(np.arange(n), i) for i in range(n)]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            self._drawn = stats.bootstrap(
                self._samples,
                self._of_samples,
                n_resamples=resamples,
                batch=BATCH,
                vectorized=True,
                method="percentile",
                rng=rng,
            )
        self.distributions: np.ndarray = self._drawn.bootstrap_distribution

    def _of_samples(self, *samples: np.ndarray, axis: int = -1) -> np.ndarray:
        fixed = np.broadcast_to(self._fixed, (*samples[0].shape[:-1], len(self._fixed)))
        index = np.concatenate([*samples, fixed], axis=axis)
        # Whole samples keep the participants' order, so that sums are rounded as those of the sample itself.
        return self._statistics(index[..., self._order] if index.shape[-1] == len(self._order) else index)

    def intervals(self, method: Literal["BCa", "percentile"] = "BCa", level: float = 0.95) -> np.ndarray:
        """The confidence intervals of the statistics.

        Parameters
        ----------
        method : {"BCa", "percentile"}
        level : float

        Returns
        -------
        ndarray of shape (K, 2)
            NaN where the statistic is undefined in more than 5 % of the bootstrap samples; for BCa also where it is undefined
            without some participant, does not vary, or lies outside all bootstrap values.
        """
        ends = np.full((len(self.estimates), 2), np.nan)
        defined = np.isfinite(self.distributions)
        usable = defined.mean(axis=1) >= LEAST_DEFINED
        if method == "BCa":
            usable &= np.isfinite(self.jackknife).all(axis=1) & (np.ptp(self.jackknife, axis=1) > 0)
            with np.errstate(invalid="ignore"):
                low, high = np.fmin.reduce(self.distributions, axis=1), np.fmax.reduce(self.distributions, axis=1)
                usable &= (low <= self.estimates) & (self.estimates <= high)
        # Statistics that are defined in all samples are treated together, the others one by one in the samples that have them.
        complete = usable & defined.all(axis=1)
        if complete.any():
            ends[complete] = self._interval(complete, self.distributions[complete], method, level)
        for k in np.flatnonzero(usable & ~complete):
            ends[k] = self._interval(np.array([k]), self.distributions[[k]][:, defined[k]], method, level)[0]
        return ends

    def _interval(
        self, chosen: np.ndarray, distributions: np.ndarray, method: Literal["BCa", "percentile"], level: float
    ) -> np.ndarray:
        """Ends, (chosen, 2), of the intervals of some statistics by their bootstrap distributions."""
        with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            result = stats.bootstrap(
                self._samples,
                lambda *samples, axis=-1: self._of_samples(*samples, axis=axis)[chosen],
                n_resamples=0,
                vectorized=True,
                confidence_level=level,
                method=method,
                bootstrap_result=dataclasses.replace(self._drawn, bootstrap_distribution=distributions),
            )
        return np.stack(result.confidence_interval, axis=-1)
