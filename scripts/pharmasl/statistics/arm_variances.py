"""Least squares with a separate residual variance in each arm.

The estimate is that of ordinary least squares; its variance is ``sum_i w_i^2 s_a(i)^2``, where w are the weights of the
observations in the estimate and ``s_a^2`` unbiased estimates of the arms' variances. These come from the arms' residual sums of
squares, whose expectations are ``sum_b (sum of M_ij^2 over i in a, j in b) s_b^2``, M the residual-forming matrix: two
equations for two arms (Rao 1970, doi 10.1080/01621459.1970.10481070). The degrees of freedom are Satterthwaite's, of that
variance as a quadratic form in the observations with the arms' variances put in (Satterthwaite 1946, Biometrics Bull 2:110;
Imbens & Kolesar 2016, doi 10.1162/REST_a_00552, with the arms' variances in place of equal ones). For two arms and no further
columns this is exactly Welch's test; for two regression lines it gives each line's own standard error, combined as Welch
does. statsmodels' robust covariances (HC0 to HC3) estimate a variance per observation instead, and have no such degrees of
freedom.

Permutations within arms leave each arm its variance, and the t of each order is computed in the same way, so that its
reference distribution does not rest on equal variances (Janssen 1997, doi 10.1016/S0167-7152(97)00043-6; Chung & Romano 2013,
doi 10.1214/13-AOS1090).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pharmasl.statistics.t_tests import TTest, t_test


@dataclass(frozen=True)
class ArmsTest(TTest):
    """The test of a coefficient, with the residual variances behind it.

    Attributes
    ----------
    variances : mapping of str to float
        Residual variance by arm.
    """

    variances: Mapping[str, float]


class ArmVariances:
    """A design and a contrast, prepared for any number of responses.

    ``weights`` are those of the observations in the estimate, shape (n,); ``labels`` the arms, in alphabetical order.

    Parameters
    ----------
    design : array_like of shape (n, p)
        Columns independent.
    contrast : array_like of shape (p,)
        Weights of the coefficients.
    arm : sequence of length n
        Label of each observation's arm; a single arm gives ordinary least squares.

    Raises
    ------
    ValueError
        If the design has dependent columns, or leaves an arm less than half a degree of freedom for its variance.
    """

    def __init__(self, design: ArrayLike, contrast: ArrayLike, arm: Sequence[str] | np.ndarray) -> None:
        matrix = np.asarray(design, dtype=np.float64)
        if np.linalg.matrix_rank(matrix / np.linalg.norm(matrix, axis=0)) < matrix.shape[1]:
            raise ValueError("the design has dependent columns")
        hat = np.linalg.pinv(matrix)
        self.weights = np.asarray(contrast, dtype=np.float64) @ hat
        self._residual_maker = np.eye(len(matrix)) - matrix @ hat
        self.labels, code = np.unique(np.asarray(arm), return_inverse=True)
        self._member = (code[:, None] == np.arange(len(self.labels))).astype(np.float64)
        left = np.diag(self._residual_maker) @ self._member
        if left.min() < 0.5:
            raise ValueError(f"arm {self.labels[left.argmin()]} has too few observations to estimate its variance")
        # From the arms' sums of squares to their variances, and from these to the variance of the estimate.
        self._to_variances = np.linalg.inv(self._member.T @ self._residual_maker**2 @ self._member)
        self._shares = self.weights**2 @ self._member

    def estimates(self, responses: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Estimates of the contrast, their variances, and the variances of the arms.

        Parameters
        ----------
        responses : ndarray of shape (B, n)

        Returns
        -------
        estimate, variance : ndarray of shape (B,)
        variances : ndarray of shape (B, number of arms)
        """
        residual = responses @ self._residual_maker
        squares = residual**2 @ self._member
        # Rounding errors of a response that the design fits are no variation.
        squares[squares <= 1e-24 * (responses**2).sum(axis=1)[:, None]] = 0
        variances = np.maximum(squares @ self._to_variances, 0)
        return responses @ self.weights, variances @ self._shares, variances

    def t(self, responses: np.ndarray) -> np.ndarray:
        """Student's t of each response.

        Parameters
        ----------
        responses : ndarray of shape (B, n)

        Returns
        -------
        ndarray of shape (B,)
            0 where there is neither an effect nor variation, infinite for an effect without variation.
        """
        estimate, variance, _ = self.estimates(responses)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((variance == 0) & (np.abs(estimate) < 1e-12), 0.0, estimate / np.sqrt(variance))

    def test(self, response: ArrayLike) -> ArmsTest:
        """The test of the contrast for one response.

        Parameters
        ----------
        response : array_like of shape (n,)

        Returns
        -------
        ArmsTest
            With a 95 % interval. Without variation ``se`` is 0, and df, t, p and the interval are NaN.
        """
        rows = self.estimates(np.asarray(response, dtype=np.float64)[None])
        estimate, variance, arms = (values[0] for values in rows)
        variances = {str(label): float(value) for label, value in zip(self.labels, arms)}
        if not variance > 0:
            return ArmsTest(**vars(t_test(float(estimate), se=0.0, df=np.nan)), variances=variances)
        share = self._member @ (self._to_variances @ self._shares)
        form = (self._residual_maker * share) @ self._residual_maker * (self._member @ arms)
        df = float(variance**2 / (form * form.T).sum())
        return ArmsTest(**vars(t_test(float(estimate), se=float(np.sqrt(variance)), df=df)), variances=variances)


def ratio(variances: Mapping[str, float], treatment: str, control: str) -> float:
    """Variance of the treatment arm over that of the control arm; NaN where the latter does not vary."""
    return variances[treatment] / variances[control] if variances[control] > 0 else np.nan
