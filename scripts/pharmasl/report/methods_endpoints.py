"""The methods text of the clinical endpoints, from their settings alone."""

from pharmasl.report.words import count, listed, plain, short
from pharmasl.study.endpoint_checks import EVERYONE
from pharmasl.study.endpoint_formulas import BINARY
from pharmasl.study.settings import Endpoint, Settings

_NUMBERS = {
    "equal": "least squares with one residual variance",
    "by_arm": "least squares with a residual variance for each arm",
    "robust": "least squares with standard errors by HC3 (MacKinnon and White 1985)",
}
_MIXED = (
    "a mixed model with a random intercept per participant by restricted maximum likelihood, with Kenward and Roger's (1997) degrees "
    "of freedom"
)


def endpoints(settings: Settings) -> str | None:
    """How every endpoint was scored, modelled and tested; None without one."""
    return " ".join(_endpoint(own) for own in settings.endpoints.values()) or None


def _endpoint(endpoint: Endpoint) -> str:
    name = plain(endpoint.name)
    fitted = _NUMBERS[endpoint.variance]
    if endpoint.kind == BINARY:
        fitted = "logistic regression, with the p of the likelihood ratio and risks standardised over the participants"
    elif endpoint.formula.split("~")[0].strip() == "score":
        fitted = _MIXED
    populations = [
        "everyone randomised, scanned or not" if own == EVERYONE else plain(own) for own in endpoint.populations
    ]
    sentences = [
        f"The endpoint {name} ({endpoint.unit}) was {_score(endpoint)}. It was modelled as {endpoint.formula} by {fitted}, in "
        f"{listed(populations)}; intervals cover {short(100 * (1 - endpoint.alpha))} %."
    ]
    if endpoint.equivalence:
        sentences.append(
            f"Equivalence within {short(endpoint.equivalence.margin)} was tested by two one-sided tests (Schuirmann 1987)."
        )
    if endpoint.kind != BINARY:
        sentences.append(_missing(endpoint))
    return " ".join(sentences)


def _score(endpoint: Endpoint) -> str:
    """How a table became scores."""
    if not endpoint.items:
        words = "read from one column" if isinstance(endpoint.score, str) else "read from a column per session"
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
        f"Beside it, missing scores were imputed {endpoint.missing.imputations} times, at random given arm, the model's columns and the "
        "other sessions, and pooled by Rubin's rules (Barnard and Rubin 1999)"
    )
    return text + (
        ", and again with declared amounts added to those imputed in the treatment arm, until the conclusion changed."
        if endpoint.missing.deltas
        else "."
    )
