"""Multiple imputation of missing numbers under a normal model, and the pooling of the completed analyses.

Each variable with missing values is drawn from its Bayesian linear regression on predictors that are complete and on the other
variables (Rubin 1987, Multiple Imputation for Nonresponse in Surveys, p. 167): the residual variance from its posterior, the
coefficients given it, the missing values given both. Where what is missing is monotone (whoever lacks a variable lacks all
later ones), each is regressed on the earlier ones and one pass is exact; otherwise the regressions on all others are repeated
in turn (van Buuren 2007, doi 10.1177/0962280206074463). Values are missing at random given predictors and variables.
"""

import math
from dataclasses import dataclass

import numpy as np

from pharmasl.statistics.t_tests import TTest, t_test

# Passes over the variables of a pattern that is not monotone.
CYCLES = 20


@dataclass(frozen=True)
class Pooled(TTest):
    """An estimate pooled over imputations.

    Attributes
    ----------
    missing_information : float
        Fraction of the information on the estimate that is missing.
    """

    missing_information: float


def rubin(estimates: np.ndarray, variances: np.ndarray, df_complete: float, level: float = 0.95) -> Pooled:
    """Pool the estimates of completed data sets by Rubin's rules.

    The variance is the mean variance plus (1 + 1/m) times that of the estimates. The degrees of freedom are those of Barnard and
    Rubin (1999, doi 10.1093/biomet/86.4.948), which never exceed those of the complete data.

    Parameters
    ----------
    estimates, variances : ndarray of shape (m,)
        Of each completed data set: the estimate, and its squared standard error.
    df_complete : float
        Degrees of freedom that complete data would have.
    level : float
        Coverage of the interval.

    Returns
    -------
    Pooled
    """
    m = len(estimates)
    estimate, within = float(np.mean(estimates)), float(np.mean(variances))
    between = (1 + 1 / m) * float(np.var(estimates, ddof=1))
    total = within + between
    share = between / total if total > 0 else math.nan
    own = (df_complete + 1) / (df_complete + 3) * df_complete * (1 - share)
    df = own
    if between > 0:
        many = (m - 1) / share**2
        df = many * own / (many + own)
    test = t_test(estimate, math.sqrt(total), df, level)
    ratio = between / within if within > 0 else math.nan
    information = (ratio + 2 / (df + 3)) / (ratio + 1) if between > 0 else 0.0
    return Pooled(**vars(test), missing_information=information)


def is_monotone(missing: np.ndarray) -> bool:
    """Whether whoever lacks a variable lacks all later ones; ``missing`` has shape (n, variables)."""
    return bool((missing[:, 1:] | ~missing[:, :-1]).all())


def impute(values: np.ndarray, predictors: np.ndarray, generator: np.random.Generator, imputations: int) -> np.ndarray:
    """Draw the missing values several times.

    Parameters
    ----------
    values : ndarray of shape (n, variables)
        NaN where missing.
    predictors : ndarray of shape (n, p)
        Complete, the intercept among them.
    generator : numpy.random.Generator
    imputations : int

    Returns
    -------
    ndarray of shape (imputations, n, variables)
        Observed values as they are.

    Raises
    ------
    ValueError
        If a variable with missing values has too few observed ones for its regression, or regressors are combinations of others
        where it is observed.
    """
    missing = np.isnan(values)
    incomplete = [int(k) for k in np.flatnonzero(missing.any(axis=0))]
    monotone = is_monotone(missing)
    for k in incomplete:
        others = k if monotone else values.shape[1] - 1
        if (~missing[:, k]).sum() < predictors.shape[1] + others + 3:
            raise ValueError(f"{(~missing[:, k]).sum()} observed values are too few to impute the others")
    completed = np.empty((imputations, *values.shape))
    for draw in completed:
        draw[:] = values
        for k in incomplete:
            # Of earlier variables alone, which are complete by now: exact where the pattern is monotone, a start elsewhere.
            _draw_variable(draw, missing[:, k], k, np.column_stack([predictors, draw[:, :k]]), generator)
        for _ in range(0 if monotone else CYCLES):
            for k in incomplete:
                others = np.delete(draw, k, axis=1)
                _draw_variable(draw, missing[:, k], k, np.column_stack([predictors, others]), generator)
    return completed


def _draw_variable(
    draw: np.ndarray, missing: np.ndarray, k: int, regressors: np.ndarray, generator: np.random.Generator
) -> None:
    """Replace the missing values of one variable by a draw of its regression, in place."""
    seen = ~missing
    x, y = regressors[seen], draw[seen, k]
    q, triangle = np.linalg.qr(x)
    size = np.abs(np.diag(triangle))
    if size.min() <= 1e-10 * np.linalg.norm(x, axis=0).max():
        raise ValueError("the terms cannot be told apart where the score is known")
    coefficients = np.linalg.solve(triangle, q.T @ y)
    df = len(y) - x.shape[1]
    squares = float(((y - x @ coefficients) ** 2).sum())
    sd = math.sqrt(squares / generator.chisquare(df))
    coefficients = coefficients + sd * np.linalg.solve(triangle, generator.standard_normal(x.shape[1]))
    draw[missing, k] = regressors[missing] @ coefficients + sd * generator.standard_normal(int(missing.sum()))
