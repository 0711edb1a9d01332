"""Fits of an endpoint's model: least squares with one residual variance or HC3, and the mixed model with Kenward and Roger's tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import fdtrc
from statsmodels.regression.linear_model import OLS

from pharmasl.endpoints.measure_data import BY_ARM, EndpointModel
from pharmasl.statistics import mixed_f_tests, mixed_model
from pharmasl.statistics.arm_variances import ArmVariances
from pharmasl.statistics.t_tests import TTest, TTests, t_test, t_tests

EQUAL, ROBUST = "equal", "robust"
VARIANCES = (EQUAL, BY_ARM, ROBUST)
_WORDS = {
    EQUAL: "least squares, one residual variance",
    BY_ARM: "least squares, a residual variance for each arm",
    ROBUST: "least squares, standard errors by HC3 (MacKinnon and White 1985)",
}


@dataclass(frozen=True)
class FTest:
    """A joint test: F, its degrees of freedom and its p."""

    f: float
    df1: int
    df2: float
    p: float


class Fit(Protocol):
    """A fitted model."""

    @property
    def words(self) -> str:
        """The method."""

    def contrast(self, weights: np.ndarray, level: float) -> TTest:
        """The t test of a weighted sum of coefficients."""

    def joint(self, weights: np.ndarray) -> FTest:
        """The test that several weighted sums are all 0; ``weights`` have shape (q, terms)."""


class LeastSquares:
    """Ordinary least squares.

    Parameters
    ----------
    design : ndarray of shape (n, terms)
    response : ndarray of shape (n,)
    variance : {"equal", "robust"}
    """

    def __init__(self, design: np.ndarray, response: np.ndarray, variance: str) -> None:
        fit = OLS(response, design).fit()
        # Rounding errors of a response that the design fits are no variation.
        self._varies = fit.ssr > 1e-24 * float(response @ response)
        self._fit = fit.get_robustcov_results("HC3", use_t=True) if variance == ROBUST else fit
        self._df, self._variance = float(fit.df_resid), variance

    @property
    def words(self) -> str:
        """The method."""
        return _WORDS[self._variance] if self._varies else "no residual variation"

    def contrast(self, weights: np.ndarray, level: float) -> TTest:
        """The t test of a weighted sum of coefficients; without p where nothing varies."""
        estimate = float(weights @ self._fit.params)
        variance = float(weights @ self._fit.cov_params() @ weights) if self._varies else 0.0
        return t_test(estimate, float(np.sqrt(variance)) if variance > 0 else 0.0, self._df, level)

    def joint(self, weights: np.ndarray) -> FTest:
        """Wald's F test of several weighted sums."""
        if not self._varies:
            return FTest(np.nan, len(weights), self._df, np.nan)
        effects = weights @ self._fit.params
        f = float(effects @ np.linalg.solve(weights @ self._fit.cov_params() @ weights.T, effects)) / len(weights)
        return FTest(f, len(weights), self._df, float(fdtrc(len(weights), self._df, f)))


class ByArm:
    """Ordinary least squares with a residual variance for each arm (:mod:`pharmasl.statistics.arm_variances`).

    Parameters
    ----------
    design : ndarray of shape (n, terms)
    response : ndarray of shape (n,)
    arms : sequence of str
        Of each row.
    """

    def __init__(self, design: np.ndarray, response: np.ndarray, arms: Sequence[str]) -> None:
        self._design, self._response, self._arms = design, response, arms

    @property
    def words(self) -> str:
        """The method."""
        try:
            ArmVariances(self._design, np.eye(self._design.shape[1])[0], self._arms)
        except ValueError as error:
            return f"{_WORDS[BY_ARM]}: no test, {error}"
        return _WORDS[BY_ARM]

    def contrast(self, weights: np.ndarray, level: float) -> TTest:
        """The t test of a weighted sum of coefficients; NaN where an arm has too few rows for a variance."""
        try:
            test = ArmVariances(self._design, weights, self._arms).test(self._response)
        except ValueError:
            return TTest(*[np.nan] * 7)
        return t_test(test.estimate, test.se, test.df, level)

    def joint(self, weights: np.ndarray) -> FTest:
        """None: with several variances F has no known distribution."""
        return FTest(np.nan, len(weights), np.nan, np.nan)


class Mixed:
    """The model with a random intercept of each participant, by restricted maximum likelihood.

    Parameters
    ----------
    design : ndarray of shape (n, terms)
    response : ndarray of shape (n,)
    participants : sequence of str
    """

    def __init__(self, design: np.ndarray, response: np.ndarray, participants: Sequence[str]) -> None:
        self._design, self._participants = design, participants
        self._fit = mixed_model.fit(design, response, participants)

    @property
    def words(self) -> str:
        """The method."""
        words = "mixed model with a random intercept per participant, REML, Kenward-Roger"
        if self._fit.degenerate[0]:
            return f"{words}: no residual variation"
        return words + "; variance between participants estimated as 0" * bool(self._fit.boundary[0])

    def contrast(self, weights: np.ndarray, level: float) -> TTest:
        """Kenward and Roger's t test of a weighted sum of coefficients."""
        return mixed_model.kenward_roger(self._fit, self._design, self._participants, weights, level).single()

    def joint(self, weights: np.ndarray) -> FTest:
        """Kenward and Roger's F test of several weighted sums."""
        test = mixed_f_tests.kenward_roger(self._fit, self._design, self._participants, weights)
        return FTest(float(test.f[0]), test.df1, float(test.df2[0]), float(test.p[0]))


def fit(model: EndpointModel, variance: str) -> Fit:
    """Fit an endpoint's model; ``variance`` is that of least squares."""
    if model.is_mixed:
        return Mixed(model.design.matrix, model.rows.response, model.rows.participants)
    if variance == BY_ARM:
        return ByArm(model.design.matrix, model.rows.response, model.rows.arms)
    return LeastSquares(model.design.matrix, model.rows.response, variance)


def contrasts(
    design: np.ndarray,
    responses: np.ndarray,
    weights: np.ndarray,
    *,
    participants: Sequence[str] | None,
    variance: str = EQUAL,
    arms: Sequence[str] = (),
) -> TTests:
    """The t test of one weighted sum of coefficients for many responses of one design.

    Parameters
    ----------
    design : ndarray of shape (n, terms)
    responses : ndarray of shape (n, V)
    weights : ndarray of shape (terms,)
    participants : sequence of str or None
        Of each row of a mixed model; None for least squares.
    variance : {"equal", "by_arm", "robust"}
        Of least squares.
    arms : sequence of str
        Of each row, for a variance by arm.

    Returns
    -------
    TTests
        Of shape (V,).
    """
    if participants is not None:
        fitted = mixed_model.fit(design, responses, participants)
        return mixed_model.kenward_roger(fitted, design, participants, weights)
    if variance == BY_ARM:
        prepared = ArmVariances(design, weights, arms)
        tests = [prepared.test(response) for response in responses.T]
        estimates, errors, freedoms = (
            np.array([getattr(own, name) for own in tests]) for name in ("estimate", "se", "df")
        )
        return t_tests(estimates, errors, freedoms)
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ (design.T @ responses)
    df = np.full(responses.shape[1], float(len(design) - design.shape[1]))
    squares = (responses - design @ coefficients) ** 2
    if variance == ROBUST:
        leverage = np.einsum("ni,ij,nj->n", design, inverse, design)
        se = np.sqrt((design @ (inverse @ weights) / (1 - leverage)) ** 2 @ squares)
    else:
        se = np.sqrt(squares.sum(axis=0) / df * (weights @ inverse @ weights))
    return t_tests(weights @ coefficients, se, df)
