"""Least squares in which each arm has a residual variance of its own.

The estimate is that of ordinary least squares; its variance is ``sum_i w_i^2 s_a(i)^2``, w the weights that make the
estimate out of the observations, ``s_a^2`` the unbiased estimates of the arms' variances that the arms' residual sums of
squares give: their expectations are ``sum_b (sum of M_ij^2 over i in a, j in b) s_b^2``, M the residual-forming matrix,
two equations for two arms (Rao 1970, doi 10.1080/01621459.1970.10481070). The degrees of freedom are Satterthwaite's,
of that variance as a quadratic form in the observations with the arms' variances put in (Satterthwaite 1946, Biometrics
Bull 2:110; Imbens & Kolesar 2016, doi 10.1162/REST_a_00552, with the arms' variances in the place of equal ones). Two arms without anything else give Welch's
test exactly; two lines give the two lines' own standard errors, combined as Welch does.

Permutations that keep to the arms leave each arm its variance, and the t of each order is made in the same way, so that
its reference distribution does not lean on equal variances (Janssen 1997, doi 10.1016/S0167-7152(97)00043-6; Chung &
Romano 2013, doi 10.1214/13-AOS1090).
"""

from dataclasses import dataclass

import numpy as np
from scipy import special


@dataclass(frozen=True)
class Test:
    """A coefficient with its test.

    Attributes
    ----------
    estimate, se, df, t, p, ci_low, ci_high : float
        Two-sided p and 95 % interval by the t distribution; NaN where nothing is left over.
    variances : dict
        Arm to its residual variance.
    """

    estimate: float
    se: float
    df: float
    t: float
    p: float
    ci_low: float
    ci_high: float
    variances: dict


class ArmVariances:
    """A design and a contrast, ready for any number of responses.

    Parameters
    ----------
    design : array_like of shape (n, p)
        Columns independent.
    contrast : array_like of shape (p,)
        Weights of the coefficients.
    arm : sequence of length n
        Label of each observation's arm; one arm alone gives ordinary least squares.

    Raises
    ------
    ValueError
        If the design has dependent columns, or leaves an arm less than half an observation to tell its variance from.
    """

    def __init__(self, design, contrast, arm):
        design = np.asarray(design, dtype=np.float64)
        if np.linalg.matrix_rank(design / np.linalg.norm(design, axis=0)) < design.shape[1]:
            raise ValueError("the design has dependent columns")
        hat = np.linalg.pinv(design)
        self.weights = np.asarray(contrast, dtype=np.float64) @ hat
        self.maker = np.eye(len(design)) - design @ hat
        self.labels, code = np.unique(np.asarray(arm), return_inverse=True)
        self.member = (code[:, None] == np.arange(len(self.labels))).astype(np.float64)
        left = np.diag(self.maker) @ self.member
        if left.min() < 0.5:
            raise ValueError(f"arm {self.labels[left.argmin()]} has no observations left to tell its variance")
        # Sums of squares to variances, and what of the estimate's variance each arm's variance makes.
        self.unmixed = np.linalg.inv(self.member.T @ self.maker**2 @ self.member)
        self.shares = self.weights**2 @ self.member

    def statistics(self, responses):
        """Estimates, variances of them and variances of the arms.

        Parameters
        ----------
        responses : ndarray of shape (B, n)

        Returns
        -------
        estimate, variance : ndarray of shape (B,)
        arms : ndarray of shape (B, number of arms)
        """
        residual = responses @ self.maker
        squares = residual**2 @ self.member
        # Rounding of a response that the design fits is no variation.
        squares[squares <= 1e-24 * (responses**2).sum(axis=1)[:, None]] = 0
        arms = np.maximum(squares @ self.unmixed, 0)
        return responses @ self.weights, arms @ self.shares, arms

    def t(self, responses):
        """Students' t of each response, (B,); 0 where neither effect nor variation is left, infinite without variation."""
        estimate, variance, _ = self.statistics(responses)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((variance == 0) & (np.abs(estimate) < 1e-12), 0.0, estimate / np.sqrt(variance))

    def test(self, response):
        """The contrast's :class:`Test` for one response of shape (n,)."""
        estimate, variance, arms = (each[0] for each in self.statistics(np.asarray(response, dtype=np.float64)[None]))
        variances = {str(label): float(value) for label, value in zip(self.labels, arms)}
        if not variance > 0:
            return Test(float(estimate), 0.0, np.nan, np.nan, np.nan, np.nan, np.nan, variances)
        share = self.member @ (self.unmixed @ self.shares)
        form = (self.maker * share) @ self.maker * (self.member @ arms)
        df = float(variance**2 / (form * form.T).sum())
        se = float(np.sqrt(variance))
        t = float(estimate / se)
        half = float(special.stdtrit(df, 0.975)) * se
        p = float(2 * special.stdtr(df, -abs(t)))
        return Test(float(estimate), se, df, t, p, float(estimate) - half, float(estimate) + half, variances)


def ratio(variances, treatment, control):
    """Variance of the treatment arm over that of the control arm; NaN where the latter does not vary."""
    return variances[treatment] / variances[control] if variances[control] > 0 else np.nan
