"""How a planned study will compare its arms in a clinical score, and relate a region to one, from its own configuration."""

from collections.abc import Callable

from pharmasl.errors import InputError
from pharmasl.statistics.trial_assumptions import ANCOVA, CHANGE, FOLLOWUP, PlannedCorrelation, PlannedTest
from pharmasl.study import endpoint_formulas, primary
from pharmasl.study.endpoint_formulas import ARM, BASELINE, BINARY, SCORE, SESSION
from pharmasl.study.settings import Craving, Endpoint, RegionCorrelations, Settings

BY_ARM, ROBUST = "by_arm", "robust"
_CRAVING_WORDS, _CRAVING_UNIT = "cue-elicited craving", "points"
_PRODUCTS = ("arm:session", "session:arm")
_MODELS = {"change": CHANGE, "followup": FOLLOWUP}
# Corrections whose first step shares the error rate among all answers.
_SHARED = ("holm", "joint")

Refusal = Callable[[str, str, str], InputError]


def names(study: Settings) -> list[str]:
    """The answers of a study that are no analyses: scores, and regions' correlations with them."""
    return [name for name in primary.known(study) if name not in study.analyses]


def is_relation(name: str, study: Settings) -> bool:
    """Whether an answer is a region's correlation with a score."""
    return name not in study.endpoints and name != primary.CRAVING


def error_rate(name: str, study: Settings) -> float:
    """Of the trial's own answers together, where this is one; else of the score alone."""
    if study.primary is not None and name in study.primary.answers:
        return study.primary.alpha
    return study.endpoints[name].alpha if name in study.endpoints else study.inference.alpha


def together(name: str, study: Settings, refuse: Refusal) -> int:
    """The results that are corrected together: the trial's own answers, where this is one; else the regions that are related to a score.

    Raises
    ------
    InputError
        For a family of every correlation, whose number has no closed form.
    """
    declared = study.primary
    if declared is not None and name in declared.answers:
        return len(declared.answers) if declared.correction in _SHARED else 1
    if not is_relation(name, study):
        return 1
    score, _ = _related(name, study)
    relations = _relations(score, study)
    if relations.family == "all":
        raise refuse(
            f"{name}, of a family of all correlations and comparisons",
            "a family of the declared test alone",
            "Set tests: by how many the error rate is divided.",
        )
    return len(relations.rois)


def score_words(name: str, study: Settings) -> tuple[str, str]:
    """What a score is, and its unit as it is analysed."""
    if name == primary.CRAVING:
        return _CRAVING_WORDS, _CRAVING_UNIT
    endpoint = study.endpoints[name]
    unit = f"log {endpoint.unit}" if endpoint.transform == "log" else endpoint.unit
    return f"the score {name}", unit


def comparison(name: str, study: Settings, *, alpha: float, covariates: int | None, refuse: Refusal) -> PlannedTest:
    """The comparison of the arms in a score.

    Parameters
    ----------
    name : str
        ``craving`` or an endpoint.
    study : Settings
    alpha : float
        Its correction for others included.
    covariates : int or None
        Columns beside arm and baseline; None for those of the model, one for each term.
    refuse : callable
        Makes the error from what was found, what was expected and the fix.

    Raises
    ------
    InputError
        For a model, a variance or a score whose power has no closed form.
    """
    if name == primary.CRAVING:
        # Welch's test of the changes decides.
        return PlannedTest(method=CHANGE, covariates=0, alpha=alpha, two_sided=True, by_arm=True)
    endpoint = study.endpoints[name]
    method, columns = _model(endpoint, study, refuse)
    if endpoint.variance == ROBUST:
        raise refuse(
            f"{name}, with variance: {ROBUST}",
            "a residual variance for all or for each arm: the power by HC3 has no closed form",
            f"Plan it with variance: {BY_ARM} in a copy of the configuration, whose power is close.",
        )
    is_mixed = endpoint_formulas.read(endpoint).outcome == SCORE
    return PlannedTest(
        method=method,
        covariates=columns if covariates is None else covariates,
        alpha=alpha,
        two_sided=True,
        by_arm=endpoint.variance == BY_ARM and not is_mixed,
    )


def _model(endpoint: Endpoint, study: Settings, refuse: Refusal) -> tuple[str, int]:
    """The closed form of an endpoint's model, and its columns beside arm and baseline."""
    formula = endpoint_formulas.read(endpoint)
    stated = f"{endpoint.name}: {formula.text}, test {endpoint.test}"
    refusal = refuse(
        stated,
        "a number as score, compared between two arms by change or at follow-up: followup ~ arm + baseline, or score ~ arm * session + "
        "(1 | participant) with test arm:session",
        "Name another endpoint of the configuration.",
    )
    if endpoint.kind == BINARY or study.arms is None or len(study.arms.labels) > 2:
        raise refusal
    terms = [term for term in formula.terms if term]
    if formula.outcome == SCORE:
        # With two sessions and complete data, the mixed model's interaction is the t test of the changes: what participants differ by drops out.
        products = [set(term) for term in terms if SESSION in term]
        sessions = endpoint.sessions or study.sessions
        is_pair = sessions is not None and len(sessions.labels) == 2
        is_plain = all(product in ({SESSION}, {ARM, SESSION}) for product in products) and (BASELINE,) not in terms
        if endpoint.test not in _PRODUCTS or not (is_pair and is_plain and {ARM, SESSION} in products):
            raise refusal
        return CHANGE, 0
    if formula.outcome not in _MODELS or endpoint.test != ARM or (ARM,) not in terms:
        raise refusal
    others = [term for term in terms if term not in ((ARM,), (BASELINE,))]
    if any(ARM in term or BASELINE in term for term in others):
        raise refusal
    return ANCOVA if (BASELINE,) in terms else _MODELS[formula.outcome], len(others)


def relation(
    name: str, study: Settings, *, alpha: float, covariates: int | None, refuse: Refusal
) -> PlannedCorrelation:
    """The declared correlation of a region with a score; parameters as :func:`comparison`.

    Raises
    ------
    InputError
        For a declared test whose power has no closed form.
    """
    score, _ = _related(name, study)
    own = _relations(score, study)
    test = own.test
    if test.method != "pearson":
        raise refuse(
            f"{name}, by {test.method}",
            "Pearson's r: the power of other methods has no closed form",
            "Plan it with method: pearson in a copy of the configuration.",
        )
    return PlannedCorrelation(
        timing=test.timing,
        group=test.group,
        covariates=len(own.covariates) if covariates is None else covariates,
        alpha=alpha,
        two_sided=True,
    )


def relation_words(name: str, study: Settings) -> str:
    """What is correlated."""
    score, roi = _related(name, study)
    own = _relations(score, study)
    when = {"change": "change in", "baseline": "baseline's", "followup": "follow-up's"}[own.test.timing]
    words, _ = score_words(name.rpartition(".")[0], study)
    return f"the correlation of the {when} {study.quantity.measure} in the region {roi} ({own.contrast}) with the {when} {words}"


def _related(name: str, study: Settings) -> tuple[Endpoint | None, str]:
    """The endpoint of a correlation, None for craving, and the region."""
    score, _, roi = name.rpartition(".")
    return (None if score == primary.CRAVING else study.endpoints[score]), roi


def _relations(endpoint: Endpoint | None, study: Settings) -> Craving | RegionCorrelations:
    """What is asked of regions and a score; of craving without an endpoint."""
    own = study.craving if endpoint is None else endpoint.relations
    assert own is not None
    return own
