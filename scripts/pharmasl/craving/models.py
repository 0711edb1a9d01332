"""Does treatment change cue-elicited craving? Descriptives, the paired tests within arms, a mixed model and an ANCOVA.

Every model codes the arm 0 for control and 1 for treatment, and the session 0 for baseline and 1 for follow-up. In
the mixed model the intercept is therefore the control arm's mean at baseline, ``arm`` the difference between the arms
at baseline, ``session`` the change in the control arm, and ``arm:session`` the difference between the arms' changes
(treatment minus control), which is the trial's question.
"""

import math

import numpy as np
from scipy.special import gammaln, ndtr, stdtr, stdtrit, xlogy

from pharmasl import mixed_model, tables
from pharmasl.craving import scores as scoring

COLUMNS = {
    "analysis": {
        "Description": "Which analysis the row belongs to",
        "Levels": {
            "descriptive": "Mean and standard deviation of cue-elicited craving in an arm and session",
            "paired_t": "Change of cue-elicited craving within one arm, over participants with both sessions. A "
            "difference between the arms' p values is no test of a difference between the arms",
            "mixed_model": "Cue-elicited craving by arm, session and their interaction, with a random intercept for "
            "each participant; participants with one session take part",
            "ancova": "Follow-up score by arm, adjusted for the baseline score, over participants with both sessions",
        },
    },
    "term": {
        "Description": "Arms code 0 control, 1 treatment; sessions code 0 baseline, 1 follow-up",
        "Levels": {
            "mean": "Mean (descriptive)",
            "sd": "Standard deviation, n - 1 in the denominator (descriptive)",
            "change": "Mean of follow-up minus baseline (paired_t)",
            "dz": "Mean change over the standard deviation of the changes (paired_t); interval by the noncentral t",
            "intercept": "mixed_model: mean of the control arm at baseline; ancova: mean follow-up score of the "
            "control arm at the average baseline score",
            "arm": "mixed_model: treatment minus control at baseline; ancova: treatment minus control at follow-up, "
            "at equal baseline scores",
            "session": "Follow-up minus baseline in the control arm (mixed_model)",
            "arm:session": "Change in the treatment arm minus change in the control arm (mixed_model)",
            "session in treatment": "Follow-up minus baseline in the treatment arm (mixed_model)",
            "variance between participants": "Variance of the random intercept (mixed_model)",
            "variance within participants": "Residual variance (mixed_model)",
            "baseline": "Slope of the follow-up score on the baseline score, common to both arms (ancova)",
        },
    },
    "arm": "Arm that the row is about, where it is about one",
    "session": "Session that the row is about, where it is about one",
    "estimate": "Estimate, in points of the craving scale; dz and the slope have no unit, variances are squared points",
    "se": "Standard error of the estimate",
    "df": "Degrees of freedom; Satterthwaite's in the mixed model",
    "t": "Estimate over standard error",
    "p": "Two-sided p of t, not corrected for the number of rows",
    "ci_low": "Lower end of the 95 % confidence interval",
    "ci_high": "Upper end of the 95 % confidence interval",
    "n": "Number of scores (descriptive), of pairs (paired_t, ancova) or of scores in the model (mixed_model)",
    "method": "Method, and why a value is n/a",
}


def noncentral_t_cdf(t, df, noncentrality):
    """Distribution function of the noncentral t, by integration over the scale's chi distribution.

    Used in place of the incomplete-beta series, which fails far in the tails.

    Parameters
    ----------
    t, df, noncentrality : float

    Returns
    -------
    float
    """
    half_width = 10 / math.sqrt(2 * df)
    scale, step = np.linspace(max(1 - half_width, 0), 1 + half_width, 2001, retstep=True)
    constant = math.log(2) + df / 2 * math.log(df / 2) - gammaln(df / 2)
    density = np.exp(constant + xlogy(df - 1, scale) - df / 2 * scale**2)
    weights = np.ones_like(scale)
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    return float((density * ndtr(t * scale - noncentrality) * weights).sum() * step / 3)


def effect_size_interval(t, n, level=0.95):
    """Confidence interval of dz, the mean difference of pairs over its standard deviation.

    The ends are those noncentralities, divided by the root of n, at which the observed t lies on a tail of the
    noncentral t distribution (Cumming & Finch 2001, doi 10.1177/0013164401614002).

    Parameters
    ----------
    t : float
        The paired t statistic.
    n : int
        Number of pairs.
    level : float

    Returns
    -------
    low, high : float
    """
    ends = []
    for probability in ((1 + level) / 2, (1 - level) / 2):
        reach = 10 + 10 * abs(t) / math.sqrt(n - 1)
        low, high = t - reach, t + reach
        for _ in range(50):
            middle = (low + high) / 2
            # The probability of a smaller t falls as the noncentrality grows.
            if noncentral_t_cdf(t, n - 1, middle) > probability:
                low = middle
            else:
                high = middle
        ends.append((low + high) / 2 / math.sqrt(n))
    return tuple(ends)


def _row(analysis, term, *, arm=None, session=None, n=None, method=None, test=None, **values):
    row = {"analysis": analysis, "term": term, "arm": arm, "session": session, "n": n, "method": method, **values}
    if test is not None:
        row.update({name: getattr(test, name) for name in ("estimate", "se", "df", "t", "p", "ci_low", "ci_high")})
    # An infinite t (no variation) is no number that a reader can use.
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}


def _sd(values):
    """Return the standard deviation with n - 1, exactly 0 for values that differ by rounding only."""
    sd = float(values.std(ddof=1))
    return sd if sd > 1e-12 * float(np.abs(values).max()) else 0.0


def _t_test(estimate, se, df):
    """T test and 95 % interval of an estimate; without variation (``se`` 0) there is no t, p or interval."""
    if not se > 0:
        return mixed_model.Test(estimate, se, df, math.nan, math.nan, math.nan, math.nan)
    t = estimate / se
    half = float(stdtrit(df, 0.975)) * se
    return mixed_model.Test(estimate, se, df, t, float(2 * stdtr(df, -abs(t))), estimate - half, estimate + half)


def descriptive(scores, arms, sessions):
    """Mean and standard deviation of cue-elicited craving, by arm and session.

    Parameters
    ----------
    scores : list of dict
        Rows of the craving scores, ``cue_elicited`` a number or None.
    arms, sessions : dict
        ``treatment``, ``control``; ``baseline``, ``followup``.

    Returns
    -------
    list of dict
        Rows of :data:`COLUMNS`.
    """
    rows = []
    for arm in (arms["treatment"], arms["control"]):
        for session in (sessions["baseline"], sessions["followup"]):
            values = np.array([r["cue_elicited"] for r in scores if (r["arm"], r["session"]) == (arm, session)], float)
            values = values[np.isfinite(values)]
            n = len(values)
            at = {"arm": arm, "session": session, "n": n}
            if n == 0:
                rows.append(_row("descriptive", "mean", **at, method="no score"))
                rows.append(_row("descriptive", "sd", **at, method="no score"))
                continue
            sd = _sd(values) if n > 1 else math.nan
            mean = float(values.mean())
            test = _t_test(mean, sd / math.sqrt(n), n - 1) if n > 1 else None
            rows.append(_row("descriptive", "mean", **at, method="mean and its standard error", test=test))
            # The t against zero of a mean of scores is not asked for.
            rows[-1].update(estimate=mean, t=None, p=None)
            rows.append(_row("descriptive", "sd", **at, estimate=sd, method="standard deviation"))
    return rows


def pairs(scores, sessions):
    """Participants with a score at both sessions.

    Returns
    -------
    list of (participant_id, arm, baseline, followup)
    """
    found = {}
    for row in scores:
        if row["cue_elicited"] is not None:
            found.setdefault((row["participant_id"], row["arm"]), {})[row["session"]] = row["cue_elicited"]
    return [
        (participant, arm, by_session[sessions["baseline"]], by_session[sessions["followup"]])
        for (participant, arm), by_session in found.items()
        if {sessions["baseline"], sessions["followup"]} <= set(by_session)
    ]


def paired_t(scores, arms, sessions):
    """Paired t test of the change of cue-elicited craving within each arm, with dz.

    Parameters and return as :func:`descriptive`.
    """
    rows = []
    for arm in (arms["treatment"], arms["control"]):
        change = np.array([after - before for _, each, before, after in pairs(scores, sessions) if each == arm])
        n = len(change)
        if n < 2:
            why = f"fewer than 2 pairs in {arm}"
            rows += [_row("paired_t", term, arm=arm, n=n, method=why) for term in ("change", "dz")]
            continue
        mean, sd = float(change.mean()), _sd(change)
        test = _t_test(mean, sd / math.sqrt(n), n - 1)
        method = "paired t test, follow-up minus baseline" if sd > 0 else "no variation of the changes"
        rows.append(_row("paired_t", "change", arm=arm, n=n, method=method, test=test))
        if sd > 0:
            low, high = effect_size_interval(test.t, n)
            method = "mean change over its standard deviation; interval by the noncentral t"
            rows.append(
                _row("paired_t", "dz", arm=arm, n=n, method=method, estimate=mean / sd, ci_low=low, ci_high=high)
            )
        else:
            rows.append(_row("paired_t", "dz", arm=arm, n=n, method=method))
    return rows


MIXED_TERMS = {
    "intercept": (1, 0, 0, 0),
    "arm": (0, 1, 0, 0),
    "session": (0, 0, 1, 0),
    "arm:session": (0, 0, 0, 1),
    "session in treatment": (0, 0, 1, 1),
}


def mixed(scores, arms, sessions):
    """Random-intercept model of cue-elicited craving by arm, session and their interaction.

    Parameters and return as :func:`descriptive`. Where the between-participant variance is estimated as zero the
    method says so: the test is then not the paired one.
    """
    used = [row for row in scores if row["cue_elicited"] is not None]
    n = len(used)
    arm = np.array([row["arm"] == arms["treatment"] for row in used], dtype=float)
    session = np.array([row["session"] == sessions["followup"] for row in used], dtype=float)
    design = np.column_stack([np.ones(n), arm, session, arm * session])
    terms = [*MIXED_TERMS, "variance between participants", "variance within participants"]
    try:
        model = mixed_model.fit(
            design, np.array([row["cue_elicited"] for row in used]), [row["participant_id"] for row in used]
        )
    except ValueError as error:
        return [_row("mixed_model", term, n=n, method=f"not fitted: {error}") for term in terms]
    method = "random-intercept model, REML, Satterthwaite degrees of freedom"
    if model.degenerate[0]:
        return [_row("mixed_model", term, n=n, method=f"{method}: no residual variation") for term in terms]
    if model.boundary[0]:
        method += "; boundary: variance between participants estimated as 0, so the scores count as independent"
    rows = [
        _row("mixed_model", term, n=n, method=method, test=mixed_model.contrast(model, weights))
        for term, weights in MIXED_TERMS.items()
    ]
    variances = (float(model.subject_variance[0]), float(model.residual_variance[0]))
    return rows + [
        _row("mixed_model", term, n=n, method=method, estimate=variance)
        for term, variance in zip(terms[-2:], variances)
    ]


def ancova(scores, arms, sessions):
    """Follow-up score by arm and the (centred) baseline score, ordinary least squares.

    Parameters and return as :func:`descriptive`.
    """
    found = pairs(scores, sessions)
    n = len(found)
    baseline = np.array([before for _, _, before, _ in found], dtype=float)
    followup = np.array([after for _, _, _, after in found], dtype=float)
    arm = np.array([each == arms["treatment"] for _, each, _, _ in found], dtype=float)
    terms = ("intercept", "arm", "baseline")
    if n < 4:
        return [_row("ancova", term, n=n, method="fewer than 4 participants with both sessions") for term in terms]
    design = np.column_stack([np.ones(n), arm, baseline - baseline.mean()])
    if np.linalg.matrix_rank(design) < 3:
        why = "arm and baseline score cannot be told apart"
        return [_row("ancova", term, n=n, method=why) for term in terms]
    inverse = np.linalg.inv(design.T @ design)
    coefficients, *_ = np.linalg.lstsq(design, followup, rcond=None)
    residual = followup - design @ coefficients
    variance = float(residual @ residual) / (n - 3)
    if variance <= 1e-24 * float(followup @ followup):
        variance = 0.0
    method = "ordinary least squares, baseline score centred on its mean"
    return [
        _row("ancova", term, n=n, method=method, test=_t_test(float(b), math.sqrt(variance * v), n - 3))
        for term, b, v in zip(terms, coefficients, np.diag(inverse))
    ]


def analyse(scores, arms, sessions):
    """All craving models of :data:`COLUMNS`, as rows of one long table; parameters as :func:`descriptive`.

    Participants without an arm take no part.
    """
    sessions = {name: str(label).removeprefix("ses-") for name, label in sessions.items()}
    scores = [row for row in scores if row["arm"] in (arms["treatment"], arms["control"])]
    return [row for model in (descriptive, paired_t, mixed, ancova) for row in model(scores, arms, sessions)]


def write_models(scores_path, table_path, arms, sessions):
    """Read the craving scores and write the table of their models.

    Parameters
    ----------
    scores_path : path-like
        As ``craving_scores`` writes it.
    table_path : path-like
    arms, sessions : dict
    """
    tables.write_table(table_path, analyse(scoring.read_written(scores_path), arms, sessions), COLUMNS)
