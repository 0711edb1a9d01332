"""Endpoints of two values, such as abstinent or not: logistic regression, and risks standardised over the participants.

The tested effect is a log odds ratio; its p is that of the likelihood ratio, which Wald's z misses where an odds ratio is large (Hauck and
Donner 1977, doi 10.1080/01621459.1977.10479969). The risk of an arm is the mean of all participants' predicted risks had they all
been in it, and the difference of two risks has its standard error by the delta method (Ge et al. 2011, doi
10.1177/009286151104500409): it does not depend on which covariates the odds ratio is adjusted for.
"""

import warnings
from collections.abc import Iterator

import numpy as np
from scipy.linalg import null_space
from scipy.special import chdtrc, expit
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

from pharmasl.endpoints import measure_data
from pharmasl.endpoints.measure_data import ARM, EndpointModel
from pharmasl.endpoints.measure_fits import FTest
from pharmasl.endpoints.measure_scores import Measured
from pharmasl.errors import FilePath
from pharmasl.statistics import formula_designs
from pharmasl.statistics.t_tests import TTest, t_test

# On the logit's scale, a coefficient of which no data of a trial tells the size.
_INFINITE = 12.0


class Logistic:
    """Logistic regression by maximum likelihood.

    Parameters
    ----------
    design : ndarray of shape (n, terms)
    response : ndarray of shape (n,)
        0 and 1.
    """

    def __init__(self, design: np.ndarray, response: np.ndarray) -> None:
        self._design, self._response = design, response
        self._coefficients, self._covariance, self._likelihood = self._fit(design)
        logits = design @ self._coefficients
        self._separated = bool(np.abs(logits).max() > _INFINITE) or len(np.unique(response)) < 2

    def _fit(self, design: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Said by the method, in words of the trial.
            warnings.simplefilter("ignore", PerfectSeparationWarning)
            fit = GLM(self._response, design, family=Binomial()).fit(maxiter=100)
        return np.asarray(fit.params), np.asarray(fit.cov_params()), float(fit.llf)

    @property
    def words(self) -> str:
        """The method."""
        words = "logistic regression, p by likelihood ratio"
        return f"{words}: not estimated, the terms separate the outcomes" if self._separated else words

    def contrast(self, weights: np.ndarray, level: float) -> TTest:
        """Estimate and Wald interval of a weighted sum of coefficients, with the p of its likelihood ratio."""
        if self._separated:
            return TTest(*[np.nan] * 7)
        estimate, se = float(weights @ self._coefficients), float(np.sqrt(weights @ self._covariance @ weights))
        test = t_test(estimate, se, np.inf, level)
        return TTest(**{**vars(test), "p": self.joint(weights[None]).p})

    def joint(self, weights: np.ndarray) -> FTest:
        """The likelihood ratio test of several weighted sums; F is its chi-squared over their number."""
        if self._separated:
            return FTest(np.nan, len(weights), np.nan, np.nan)
        free = null_space(weights)
        without = self._fit(self._design @ free)[2] if free.shape[1] else float(len(self._response) * np.log(0.5))
        ratio = max(2 * (self._likelihood - without), 0.0)
        return FTest(ratio / len(weights), len(weights), np.inf, float(chdtrc(len(weights), ratio)))

    def risk(self, designs: dict[str, np.ndarray], weights: dict[str, float], level: float) -> TTest:
        """A weighted sum of arms' standardised risks.

        Parameters
        ----------
        designs : dict of str to ndarray of shape (n, terms)
            Arm to everyone's row, had they been in it.
        weights : dict of str to float
            Arm to its weight.
        level : float

        Returns
        -------
        TTest
            By the normal distribution; NaN where the outcomes are separated.
        """
        if self._separated:
            return TTest(*[np.nan] * 7)
        estimate, gradient = 0.0, np.zeros(self._design.shape[1])
        for arm, weight in weights.items():
            risks = expit(designs[arm] @ self._coefficients)
            estimate += weight * float(risks.mean())
            gradient += weight * ((risks * (1 - risks)) @ designs[arm]) / len(risks)
        return t_test(estimate, float(np.sqrt(gradient @ self._covariance @ gradient)), np.inf, level)


def standardised(model: EndpointModel, measured: Measured, file: FilePath) -> dict[str, np.ndarray]:
    """Everyone's row of the design had they been in each arm; empty where the arm is no term.

    Parameters
    ----------
    model : EndpointModel
    measured : Measured
    file : path-like
        Of the scores, for messages.

    Returns
    -------
    dict of str to ndarray of shape (n, terms)
    """
    own = model.rows.columns
    if ARM not in own:
        return {}
    arms = [arm for arm in measure_data.table(model.rows, measured, file).levels[ARM] if arm in set(own[ARM])]
    rows = model.rows
    # All arms in one table: what is centred has the same mean as in the model, and every level is there.
    stacked = measure_data.ModelRows(
        response=np.tile(rows.response, len(arms)),
        columns={
            name: [arm for arm in arms for _ in values] if name == ARM else [*values] * len(arms)
            for name, values in own.items()
        },
        participants=rows.participants * len(arms),
        sessions=rows.sessions * len(arms),
        arms=rows.arms * len(arms),
        left_out=(),
    )
    matrix = formula_designs.design(model.formula, measure_data.table(stacked, measured, file)).matrix
    return dict(zip(arms, np.split(matrix, len(arms))))


def risks(
    fitted: Logistic, designs: dict[str, np.ndarray], control: str, level: float
) -> Iterator[tuple[str, str | None, TTest]]:
    """The differences of the arms' risks from the control arm's, and each arm's risk.

    Yields
    ------
    term : str
        ``"high - placebo"``, or ``"mean"``.
    arm : str or None
        Of a mean.
    test : TTest
    """
    for arm in designs:
        if arm != control and control in designs:
            yield f"{arm} - {control}", None, fitted.risk(designs, {arm: 1.0, control: -1.0}, level)
    for arm in designs:
        test = fitted.risk(designs, {arm: 1.0}, level)
        yield "mean", arm, TTest(**{**vars(test), "t": np.nan, "p": np.nan})
