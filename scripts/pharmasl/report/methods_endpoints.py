"""The methods text of the clinical endpoints, from their settings alone."""

from pharmasl.report.words import count, listed, plain, short
from pharmasl.study.endpoint_checks import EVERYONE
from pharmasl.study.endpoint_formulas import BINARY
from pharmasl.study.settings import Endpoint, Settings

_NUMBERS = {
    "equal": "least squares with one residual variance",
    "by_arm": "least squares with a residual variance for each arm",
    "robust": "least squares with HC3 standard errors (MacKinnon and White 1985)",
}
_MIXED = (
    "a linear mixed model with a random intercept per participant (restricted maximum likelihood; degrees of freedom of Kenward and "
    "Roger 1997)"
)


def endpoints(settings: Settings) -> str | None:
    """How every endpoint was scored, modelled and tested; None without one."""
    return " ".join(_endpoint(own) for own in settings.endpoints.values()) or None


def _endpoint(endpoint: Endpoint) -> str:
    name = plain(endpoint.name)
    fitted = _NUMBERS[endpoint.variance]
    if endpoint.kind == BINARY:
        fitted = "logistic regression, with likelihood-ratio tests and risks standardised over the participants"
    elif endpoint.formula.split("~")[0].strip() == "score":
        fitted = _MIXED
    populations = [
        "everyone randomised, scanned or not" if own == EVERYONE else plain(own) for own in endpoint.populations
    ]
    sentences = [
        f"The endpoint {name} ({endpoint.unit}) was {_score(endpoint)}. It was modelled as {endpoint.formula} by {fitted}, in "
        f"{listed(populations)}; confidence intervals are at {short(100 * (1 - endpoint.alpha))}\u00a0%."
    ]
    if endpoint.equivalence:
        sentences.append(
            f"Equivalence within \u00b1{short(endpoint.equivalence.margin)} was tested by two one-sided tests (Schuirmann 1987)."
        )
    if endpoint.kind != BINARY:
        sentences.append(_missing(endpoint))
    return " ".join(sentences)


def _score(endpoint: Endpoint) -> str:
    """How a table became scores."""
    if not endpoint.items:
        words = "read from one column" if isinstance(endpoint.score, str) else "read from one column per session"
    else:
        words = f"the sum of {count(len(endpoint.items), 'item')}"
        if endpoint.reverse:
            words += f", {listed(endpoint.reverse)} reversed"
        if endpoint.prorate:
            words += f", prorated where at least {endpoint.prorate.least} were answered"
    return words + " and analysed as its natural logarithm" * (endpoint.transform == "log")


def _missing(endpoint: Endpoint) -> str:
    """How missing scores were treated in the sensitivity analysis."""
    text = (
        f"In a sensitivity analysis, missing scores were multiply imputed ({endpoint.missing.imputations} imputations) as missing at random "
        "given arm, the model's columns and the other sessions, and pooled by Rubin's rules (Barnard and Rubin 1999)"
    )
    return text + (
        "; a tipping-point analysis then added increasing amounts to the scores imputed in the treatment arm until the conclusion changed."
        if endpoint.missing.deltas
        else "."
    )
