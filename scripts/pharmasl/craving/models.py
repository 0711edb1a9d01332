"""Does treatment change cue-elicited craving? Descriptives, the paired tests within arms, a mixed model and an ANCOVA.

Every model codes the arm 0 for control and 1 for treatment, and the session 0 for baseline and 1 for follow-up. In
the mixed model the intercept is therefore the control arm's mean at baseline, ``arm`` the difference between the arms
at baseline, ``session`` the change in the control arm, and ``arm:session`` the difference between the arms' changes
(treatment minus control), which is the trial's question.

Mixed models are random-intercept models, so that all scores of a participant are equally correlated; with two scores
that is no restriction, with four (before and after the cues, or two cue types) it is, and the model of the differences
is then the safer one. Scores that are missing are taken as missing at random: a participant with one session takes part.
"""

import math

import numpy as np
from scipy.special import stdtr, stdtrit

from pharmasl import mixed_model, tables
from pharmasl.craving import diagnostics
from pharmasl.craving import scores as scoring
from pharmasl.group import effect_sizes

COLUMNS = {
    "analysis": {
        "Description": "Which analysis the row belongs to",
        "Levels": {
            "descriptive": "Mean and standard deviation of cue-elicited craving in an arm and session",
            "descriptive_before": "The same of the rating before the cues",
            "descriptive_after": "The same of the rating after the cues",
            "paired_t": "Change of cue-elicited craving within one arm, over participants with both sessions. A "
            "difference between the arms' p values is no test of a difference between the arms",
            "mixed_model": "Cue-elicited craving by arm, session and their interaction, with a random intercept for "
            "each participant; participants with one session take part. Standard errors and degrees of freedom by "
            "Kenward and Roger",
            "mixed_model_satterthwaite": "The interaction of that model with Satterthwaite's degrees of freedom",
            "mixed_model_ratings": "The ratings themselves by arm, session, occasion (0 before, 1 after the cues) and "
            "all interactions; random intercept, Kenward and Roger",
            "mixed_model_cues": "Cue-elicited craving by arm, session, cue (0 the further cue type, 1 the one that all "
            "analyses use) and all interactions; random intercept, Kenward and Roger",
            "effect_size": "Hedges' g of the arms' difference, free of its small-sample bias; exact interval by the "
            "noncentral t distribution, for the population's standardised difference",
            "equal_variance": "Do scores scatter alike in both arms, and at both sessions? What the mixed model assumes, "
            "asked of one observation a participant",
            "ancova": "Follow-up score by arm, adjusted for the baseline score, over participants with both sessions",
        },
    },
    "term": {
        "Description": "Arms code 0 control, 1 treatment; sessions code 0 baseline, 1 follow-up",
        "Levels": {
            "mean": "Mean (descriptive)",
            "sd": "Standard deviation, n - 1 in the denominator (descriptive)",
            "missing": "Number of participants of the arm without a score at the session (descriptive)",
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
            "g of change": "Difference of the arms' mean changes over the pooled standard deviation of the changes "
            "(effect_size); not to be compared with a g of raw scores",
            "g at follow-up": "ANCOVA's difference over its residual standard deviation (effect_size)",
            "variance of change": "Variance of the changes in the treatment arm over that in the control arm; p by "
            "Breusch and Pagan (equal_variance)",
            "variance at baseline": "The same of the scores at baseline (equal_variance)",
            "variance at follow-up": "The same of the scores at follow-up (equal_variance)",
            "variance by session": "Variance at follow-up over that at baseline, within arms; t and p by Pitman and "
            "Morgan (equal_variance)",
            "occasion": "After minus before the cues, control arm, baseline (mixed_model_ratings)",
            "arm:occasion": "Arms' difference of that at baseline (mixed_model_ratings)",
            "session:occasion": "Change of that in the control arm (mixed_model_ratings)",
            "arm:session:occasion": "Arms' difference of the change of cue-elicited craving (mixed_model_ratings)",
            "cue": "Analysed minus further cue type, control arm, baseline (mixed_model_cues)",
            "arm:cue": "Arms' difference of that at baseline (mixed_model_cues)",
            "session:cue": "Change of that in the control arm (mixed_model_cues)",
            "arm:session:cue": "Arms' difference of the change, analysed minus further cue type: is the effect of "
            "treatment one on these cues (mixed_model_cues)",
        },
    },
    "arm": "Arm that the row is about, where it is about one",
    "session_id": "Session that the row is about, where it is about one",
    "estimate": "Estimate, in points of the craving scale; dz, the slope and ratios of variances have no unit, variances "
    "are squared points",
    "se": "Standard error of the estimate",
    "df": "Degrees of freedom; Kenward and Roger's in the mixed models unless the analysis says otherwise",
    "t": "Estimate over standard error",
    "p": "Two-sided p of t, not corrected for the number of rows",
    "ci_low": "Lower end of the 95 % confidence interval",
    "ci_high": "Upper end of the 95 % confidence interval",
    "without_one_low": "Least estimate with one participant left out and the model refitted",
    "without_one_high": "Greatest estimate with one participant left out",
    "n": "Number of scores (descriptive), of pairs (paired_t, ancova, effect_size) or of scores in the model (mixed_model)",
    "method": "Method, and why a value is n/a",
}


_WITHOUT = ("without_one_low", "without_one_high")


def _row(analysis, term, *, arm=None, session_id=None, n=None, method=None, test=None, **values):
    row = {"analysis": analysis, "term": term, "arm": arm, "session_id": session_id, "n": n, "method": method, **values}
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


def descriptive(scores, arms, sessions, which="cue_elicited", analysis="descriptive"):
    """Mean and standard deviation of cue-elicited craving, or of a rating, by arm and session; missing ones counted.

    Parameters
    ----------
    scores : list of dict
        Rows of the craving scores, ``which`` a number or None.
    arms, sessions : dict
        ``treatment``, ``control``; ``baseline``, ``followup``.
    which : str
        ``cue_elicited``, ``before`` or ``after``.
    analysis : str
        Name of the rows' analysis.

    Returns
    -------
    list of dict
        Rows of :data:`COLUMNS`.
    """
    rows = []
    for arm in (arms["treatment"], arms["control"]):
        for session in (sessions["baseline"], sessions["followup"]):
            values = np.array([r[which] for r in scores if (r["arm"], r["session_id"]) == (arm, session)], float)
            values = values[np.isfinite(values)]
            n = len(values)
            at = {"arm": arm, "session_id": session, "n": n}
            lost = sum((r["arm"], r["session_id"], r[which]) == (arm, session, None) for r in scores)
            rows.append(_row(analysis, "missing", **at, estimate=lost, method="count"))
            if n == 0:
                rows.append(_row(analysis, "mean", **at, method="no score"))
                rows.append(_row(analysis, "sd", **at, method="no score"))
                continue
            sd = _sd(values) if n > 1 else math.nan
            mean = float(values.mean())
            test = _t_test(mean, sd / math.sqrt(n), n - 1) if n > 1 else None
            rows.append(_row(analysis, "mean", **at, method="mean and its standard error", test=test))
            # The t against zero of a mean of scores is not asked for.
            rows[-1].update(estimate=mean, t=None, p=None)
            rows.append(_row(analysis, "sd", **at, estimate=sd, method="standard deviation"))
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
            found.setdefault((row["participant_id"], row["arm"]), {})[row["session_id"]] = row["cue_elicited"]
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
        ends = diagnostics.extremes((change.sum() - change) / (n - 1))
        rows.append(
            _row("paired_t", "change", arm=arm, n=n, method=method, test=test, **dict(zip(_WITHOUT, ends)))
        )  # fmt: skip
        if sd > 0:
            # Cumming and Finch (2001, doi 10.1177/0013164401614002).
            low, high = (float(each) / math.sqrt(n) for each in effect_sizes.noncentrality_interval(test.t, n - 1))
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


def _used(scores, arms, sessions):
    """Scores that are there: values, participants, arm and session as 0 and 1."""
    used = [row for row in scores if row["cue_elicited"] is not None]
    return (
        np.array([row["cue_elicited"] for row in used], dtype=float),
        [row["participant_id"] for row in used],
        np.array([row["arm"] == arms["treatment"] for row in used], dtype=float),
        np.array([row["session_id"] == sessions["followup"] for row in used], dtype=float),
    )


def mixed(scores, arms, sessions):
    """Random-intercept model of cue-elicited craving by arm, session and their interaction.

    Parameters and return as :func:`descriptive`. Where the between-participant variance is estimated as zero the
    method says so: the estimate then weighs the scores as independent ones.
    """
    rows, _ = _mixed(scores, arms, sessions, False)
    return rows


def _mixed(scores, arms, sessions, influence):
    """The rows of :func:`mixed`, and its ``diagnostics.Influence`` or None where it isn't asked for or nothing fits."""
    response, participants, arm, session = _used(scores, arms, sessions)
    n = len(response)
    design = np.column_stack([np.ones(n), arm, session, arm * session])
    terms = [*MIXED_TERMS, "variance between participants", "variance within participants"]

    def nothing(why):
        rows = [_row("mixed_model", term, n=n, method=why) for term in terms]
        return [*rows, _row("mixed_model_satterthwaite", "arm:session", n=n, method=why)], None

    try:
        model = mixed_model.fit(design, response, participants)
    except ValueError as error:
        return nothing(f"not fitted: {error}")
    method = "random-intercept model, REML"
    if model.degenerate[0]:
        return nothing(f"{method}: no residual variation")
    boundary = ""
    if model.boundary[0]:
        boundary = "; boundary: variance between participants estimated as 0, so the scores count as independent"
    found = None
    if influence:
        found = diagnostics.of_mixed_model(model, design, response, participants, MIXED_TERMS["arm:session"])
    rows = []
    for term, weights in MIXED_TERMS.items():
        test = mixed_model.kenward_roger(model, design, participants, weights)
        named = f"{method}, Kenward-Roger{boundary}"
        rows.append(_row("mixed_model", term, n=n, method=named, test=test))
    variances = (float(model.subject_variance[0]), float(model.residual_variance[0]))
    rows += [
        _row("mixed_model", term, n=n, method=f"{method}{boundary}", estimate=variance)
        for term, variance in zip(terms[-2:], variances)
    ]
    test = mixed_model.contrast(model, MIXED_TERMS["arm:session"])
    named = f"{method}, Satterthwaite degrees of freedom{boundary}"
    return [*rows, _row("mixed_model_satterthwaite", "arm:session", n=n, method=named, test=test)], found


def _three_way(analysis, third, long, arms, sessions):
    """Random-intercept model by arm, session and a third factor; ``long`` is (participant, arm, session, 0/1, value)."""
    names = ["arm", "session", third]
    members = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    terms = ["intercept", *(":".join(names[k] for k in each) for each in members)]
    all_terms = [*terms, "variance between participants", "variance within participants"]
    long = [row for row in long if row[4] is not None]
    n = len(long)
    factors = np.array(
        [[a == arms["treatment"], s == sessions["followup"], c] for _, a, s, c, _ in long], dtype=float
    ).reshape(n, 3)  # fmt: skip
    design = np.column_stack([np.ones(n), *(factors[:, list(each)].prod(axis=1) for each in members)])
    participants = [row[0] for row in long]
    try:
        model = mixed_model.fit(design, np.array([row[4] for row in long], dtype=float), participants)
    except ValueError as error:
        return [_row(analysis, term, n=n, method=f"not fitted: {error}") for term in all_terms]
    method = "random-intercept model, REML, Kenward-Roger; a participant's scores equally correlated"
    if model.degenerate[0]:
        return [_row(analysis, term, n=n, method=f"{method}: no residual variation") for term in all_terms]
    if model.boundary[0]:
        method += "; boundary: variance between participants estimated as 0, so the scores count as independent"
    weights = np.eye(len(terms))
    rows = [
        _row(analysis, t, n=n, method=method, test=mixed_model.kenward_roger(model, design, participants, w))
        for t, w in zip(terms, weights)
    ]
    variances = (float(model.subject_variance[0]), float(model.residual_variance[0]))
    return rows + [_row(analysis, t, n=n, method=method, estimate=v) for t, v in zip(all_terms[-2:], variances)]


def ratings(scores, arms, sessions):
    """The ratings before and after the cues by arm, session and occasion; nothing where the scores hold no ratings.

    Parameters and return as :func:`descriptive`. Ratings without their partner take part.
    """
    if not all("before" in row and "after" in row for row in scores):
        return []
    long = [
        (row["participant_id"], row["arm"], row["session_id"], occasion, row[which])
        for row in scores
        for occasion, which in enumerate(("before", "after"))
    ]
    return _three_way("mixed_model_ratings", "occasion", long, arms, sessions)


def cues(scores, arms, sessions):
    """Cue-elicited craving by arm, session and cue type, against each further cue type; nothing without one.

    Parameters and return as :func:`descriptive`.
    """
    rows = []
    for condition in scoring.further_conditions(scores[0]) if scores else []:
        long = [
            (row["participant_id"], row["arm"], row["session_id"], k, row[name])
            for row in scores
            for k, name in enumerate((scoring.column("cue_elicited", condition), "cue_elicited"))
        ]
        for row in _three_way("mixed_model_cues", "cue", long, arms, sessions):
            rows.append({**row, "method": f"against {condition}: {row['method']}"})
    return rows


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
    rows = [
        _row("ancova", term, n=n, method=method, test=_t_test(float(b), math.sqrt(variance * v), n - 3))
        for term, b, v in zip(terms, coefficients, np.diag(inverse))
    ]
    ends = diagnostics.extremes(diagnostics.least_squares_without(design, followup, (0, 1, 0)))
    rows[1].update((name, None if math.isnan(end) else end) for name, end in zip(_WITHOUT, ends))
    return rows


def equal_variance(scores, arms, sessions):
    """Whether scores and changes scatter alike in both arms, and scores at both sessions.

    Parameters and return as :func:`descriptive`.
    """
    found = pairs(scores, sessions)
    treated = np.array([arm == arms["treatment"] for _, arm, _, _ in found], dtype=bool)
    before, after = (np.array([row[k] for row in found], dtype=float) for k in (2, 3))
    n, rows = len(found), []
    groups = {"variance of change": (after - before, treated)}
    for which, term in (("baseline", "variance at baseline"), ("followup", "variance at follow-up")):
        own = [row for row in scores if row["session_id"] == sessions[which] and row["cue_elicited"] is not None]
        arm = np.array([row["arm"] == arms["treatment"] for row in own], dtype=bool)
        groups[term] = np.array([row["cue_elicited"] for row in own], dtype=float), arm
    for term, (values, arm) in groups.items():
        if min(arm.sum(), (~arm).sum()) < 3:
            rows.append(_row("equal_variance", term, n=len(arm), method="fewer than 3 participants in an arm"))
            continue
        _, p = diagnostics.breusch_pagan(
            values - np.where(arm, values[arm].mean(), values[~arm].mean()), arm[:, None].astype(float)
        )
        spread = _sd(values[arm]), _sd(values[~arm])
        ratio = (spread[0] / spread[1]) ** 2 if spread[1] else math.nan
        method = "ratio of variances; Breusch-Pagan test in Koenker's form" if math.isfinite(p) else "no variation"
        rows.append(_row("equal_variance", term, n=len(arm), method=method, estimate=ratio, p=p))
    arm = treated.astype(float)
    if min(treated.sum(), n - treated.sum()) < 2:
        why = "fewer than 2 participants with both sessions in an arm"
        return [*rows, _row("equal_variance", "variance by session", n=n, method=why)]
    ratio, t, p = diagnostics.pitman_morgan(before, after, np.column_stack([np.ones(n), arm]))
    method = "ratio of variances; Pitman-Morgan test, adjusted for arm" if math.isfinite(p) else "no variation"
    row = _row("equal_variance", "variance by session", n=n, method=method, estimate=ratio, t=t, p=p, df=n - 3)
    return [*rows, row]


def effect_size(scores, arms, sessions):
    """Hedges' g of the arms' difference in change, and of the baseline-adjusted difference at follow-up.

    Parameters and return as :func:`descriptive`.
    """
    found = pairs(scores, sessions)
    change = np.array([after - before for _, _, before, after in found], dtype=float)
    treated = np.array([arm == arms["treatment"] for _, arm, _, _ in found], dtype=bool)
    n = len(found)
    rows = []
    if (
        min(treated.sum(), n - treated.sum()) < 2
        or _sd(change - np.where(treated, change[treated].mean(), change[~treated].mean())) == 0
    ):
        rows.append(_row("effect_size", "g of change", n=n, method="fewer than 2 pairs in an arm, or no variation"))
    else:
        size = effect_sizes.two_groups(change[treated], change[~treated])
        method = "Hedges' g, pooled standard deviation of the changes; interval by the noncentral t"
        rows.append(_size_row("g of change", size, n, method))
    adjusted = next(row for row in ancova(scores, arms, sessions) if row["term"] == "arm")
    if adjusted.get("t") is None:
        rows.append(_row("effect_size", "g at follow-up", n=n, method=adjusted["method"]))
    elif n - 3 < 2:
        # The bias factor exists from two degrees of freedom.
        rows.append(_row("effect_size", "g at follow-up", n=n, method="fewer than 5 participants with both sessions"))
    else:
        # Estimate over residual standard deviation is t over this scale: se = sd / scale.
        before = np.array([b for _, _, b, _ in found], dtype=float)
        other = np.column_stack([np.ones(n), before - before.mean()])
        left = treated - other @ np.linalg.lstsq(other, treated.astype(float))[0]
        size = effect_sizes.hedges_g(adjusted["t"], math.sqrt(float(left @ left)), n - 3)
        method = "Hedges' g, ANCOVA's residual standard deviation; interval by the noncentral t"
        rows.append(_size_row("g at follow-up", size, n, method))
    return rows


def _size_row(term, size, n, method):
    return _row(
        "effect_size",
        term,
        n=n,
        method=method,
        estimate=float(size.g),
        ci_low=float(size.low),
        ci_high=float(size.high),
    )


def _prepared(scores, arms, sessions):
    """Sessions without their prefix, and the scores of participants with an arm."""
    sessions = {name: str(label).removeprefix("ses-") for name, label in sessions.items()}
    return sessions, [row for row in scores if row["arm"] in (arms["treatment"], arms["control"])]


def analyse(scores, arms, sessions):
    """All craving models of :data:`COLUMNS`, as rows of one long table; parameters as :func:`descriptive`.

    Participants without an arm take no part.
    """
    sessions, scores = _prepared(scores, arms, sessions)
    return _analyse(scores, arms, sessions)[0]


def _analyse(scores, arms, sessions):
    """Rows of the models, and the influence in the mixed model."""
    rows = descriptive(scores, arms, sessions)
    for which in ("before", "after"):
        if all(which in row for row in scores):
            rows += descriptive(scores, arms, sessions, which, f"descriptive_{which}")
    rows += paired_t(scores, arms, sessions)
    mixed_rows, influence = _mixed(scores, arms, sessions, True)
    if influence is not None:
        for row in mixed_rows:
            if (row["analysis"], row["term"]) == ("mixed_model", "arm:session"):
                ends = diagnostics.extremes(influence.estimates)
                row.update((name, None if math.isnan(end) else end) for name, end in zip(_WITHOUT, ends))
    rows += mixed_rows
    rows += [
        row for model in (ancova, effect_size, equal_variance, ratings, cues) for row in model(scores, arms, sessions)
    ]
    return rows, influence


def influence_rows(scores, influence):
    """Residuals and influence in the mixed model, one row a participant and session, missing scores included.

    Parameters
    ----------
    scores : list of dict
        Of the participants with an arm.
    influence : diagnostics.Influence or None

    Returns
    -------
    list of dict
        Rows of ``diagnostics.COLUMNS``.
    """
    out, k = [], 0
    for row in scores:
        own = {name: row[name] for name in ("participant_id", "arm", "session_id", "cue_elicited")}
        if row["cue_elicited"] is None:
            out.append({**own, "note": "no score"})
        elif influence is None:
            out.append({**own, "note": "no model was fitted"})
        else:
            i = influence.participants.index(row["participant_id"])
            own |= {
                "fitted": influence.fitted[k],
                "residual": influence.residual[k],
                "residual_standardised": influence.standardised[k],
                "random_intercept": influence.intercepts[i],
                "cooks_distance": influence.cooks_distance[i],
                "estimate_without": influence.estimates[i],
                "p_without": influence.p[i],
            }
            out.append(own)
            k += 1
    return out


def write_models(scores_path, table_path, influence_path, arms, sessions):
    """Read the craving scores and write the tables of their models and of the participants' influence.

    Parameters
    ----------
    scores_path : path-like
        As ``craving_scores`` writes it.
    table_path, influence_path : path-like
        Columns as :data:`COLUMNS` and ``diagnostics.COLUMNS``.
    arms, sessions : dict
    """
    sessions, scores = _prepared(scoring.read_written(scores_path), arms, sessions)
    rows, influence = _analyse(scores, arms, sessions)
    tables.write_table(table_path, rows, COLUMNS)
    tables.write_table(influence_path, influence_rows(scores, influence), diagnostics.COLUMNS)
