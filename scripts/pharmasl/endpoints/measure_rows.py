"""The tables of an endpoint's models and of its sensitivity: columns and rows."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from pharmasl.files.tables import Columns
from pharmasl.statistics.detectable_effects import GOAL, detectable
from pharmasl.statistics.noncentral_t import critical_t
from pharmasl.statistics.t_tests import TTest

TEST, PART, COEFFICIENT, MEAN = "test", "part", "coefficient", "adjusted_mean"
RATIO, EQUIVALENCE, OBSERVED = "ratio", "equivalence", "observed"
RISK = "risk_difference"
COMPLETE, ROBUST, MIXED = "model", "other_variance", "mixed_model"
IMPUTATION, DELTA, TIPPING = "multiple_imputation", "delta", "tipping_point"
COUNTED = "missing_counted"

_COMMON: Columns = {
    "population": "Population: all is everyone randomised to an arm, whether scanned or not",
}
_RESULT: Columns = {
    "estimate": "Estimate, in the unit of the analysed score; of a binary one a log odds ratio, but for risks and ratios",
    "se": "Standard error of the estimate",
    "df": "Degrees of freedom: residual ones, Kenward and Roger's of a mixed model, Barnard and Rubin's over imputations; of F the "
    "denominator's",
    "t": "Estimate over standard error",
    "p": "Two-sided p, of logistic regression by likelihood ratio; of equivalence the larger p of the two one-sided tests",
    "ci_low": "Lower end of the confidence interval",
    "ci_high": "Upper end of the confidence interval",
    "level": "Coverage of the interval: 1 - alpha, of equivalence 1 - 2 alpha",
    "n": "Participants in it",
}
MODEL_COLUMNS: Columns = {
    **_COMMON,
    "analysis": {
        "Description": "What the row is",
        "Levels": {
            TEST: "The tested effect, by which the endpoint is answered: a t, or an F of several differences",
            PART: "One of the differences that are tested together, uncorrected",
            RATIO: "The tested effect as a ratio of geometric means, of the logarithm of a score; as an odds ratio, of a binary one",
            RISK: "Of a binary score, the difference of the arms' standardised risks",
            EQUIVALENCE: "Two one-sided tests of the tested effect against the margin",
            MEAN: "Adjusted (estimated marginal) mean: levels of other factors count alike, numbers at their mean; of "
            "a binary score the arm's standardised risk",
            COEFFICIENT: "Coefficient of the model",
            OBSERVED: "Observed mean of the scores, unadjusted, with its standard deviation in the column sd",
        },
    },
    "term": "Difference of levels, coefficient, or mean",
    "arm": "Arm that the row is about, where it is about one",
    "session_id": "Session that the row is about, where it is about one",
    **_RESULT,
    "detectable": "Of the tested effect, the smallest true one, of either sign, that a test with this standard error and these degrees of freedom "
    f"finds at alpha with a probability of {GOAL:g}: what the design could find, not power at the estimate; n/a of an F and of a binary score",
    "detectable_low": "Lower end of its confidence interval, by the chi-square distribution of the residual variance",
    "detectable_high": "Upper end of its confidence interval",
    "df_numerator": "Numerator's degrees of freedom of an F",
    "f": "F of several differences",
    "sd": "Standard deviation of the observed scores",
    "missing": "Participants of the arm without a score at the session",
    "scores": "Scores in the model",
    "left_out": "Participants of the population without a complete row",
    "method": "Model and method, and why a value is n/a",
}
SENSITIVITY_COLUMNS: Columns = {
    **_COMMON,
    "analysis": {
        "Description": "How the tested effect was estimated",
        "Levels": {
            COMPLETE: "The declared model, over those with complete rows",
            ROBUST: "The same with another variance of least squares: one for all, one for each arm, or HC3",
            MIXED: "Mixed model of all scores: those with one score take part, missing ones taken as missing at random",
            COUNTED: "A binary score: missing ones counted as declared",
            IMPUTATION: "Missing scores imputed, taken as missing at random; Rubin's rules",
            DELTA: "The same with delta added to the scores imputed in the treatment arm after baseline",
            TIPPING: "The delta nearest to 0, to either side and within the declared ones, at which the conclusion differs from that "
            "at 0",
        },
    },
    "delta": "What was added to the imputed scores of the treatment arm after baseline, in the unit of the analysed score",
    "term": "Difference of levels",
    **_RESULT,
    "significant": "Whether p is at most alpha",
    "imputed": "Scores imputed",
    "missing_information": "Fraction of the information on the estimate that is missing",
    "method": "Method, and why a value is n/a",
}


@dataclass(frozen=True, kw_only=True)
class Result:
    """A row of either table; the fields are those of its columns, None where there is no (finite) value."""

    population: str
    analysis: str
    term: str | None = None
    arm: str | None = None
    session_id: str | None = None
    delta: float | None = None
    estimate: float | None = None
    se: float | None = None
    df: float | None = None
    t: float | None = None
    p: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    level: float | None = None
    n: int | None = None
    detectable: float | None = None
    detectable_low: float | None = None
    detectable_high: float | None = None
    df_numerator: int | None = None
    f: float | None = None
    sd: float | None = None
    missing: int | None = None
    scores: int | None = None
    left_out: str | None = None
    significant: str | None = None
    imputed: int | None = None
    missing_information: float | None = None
    method: str | None = None

    def row(self, columns: Columns) -> dict[str, Any]:
        """The values of a table's columns."""
        return {name: _finite(getattr(self, name)) for name in columns}

    def with_test(self, test: TTest, level: float) -> "Result":
        """The row with a test's estimate, standard error, t, p and interval."""
        names = [field.name for field in dataclasses.fields(TTest)]
        values = {name: getattr(test, name) for name in names}
        return dataclasses.replace(self, **values, level=level)

    def with_detectable(self, alpha: float) -> "Result":
        """The row of a two-sided t test with the smallest effect that it could have found at a level."""
        if self.se is None or self.df is None:
            return self
        critical = float(critical_t(self.df, alpha, two_sided=True))
        effect = detectable(self.se, self.df, critical, two_sided=True, level=1 - alpha)
        return dataclasses.replace(
            self, detectable=effect.value, detectable_low=effect.low, detectable_high=effect.high
        )


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
