"""Does treatment change cue-elicited craving? Descriptives, paired tests within arms, the arms' comparison, an ANCOVA.

Every model codes the arm 0 for control and 1 for treatment, and the session 0 for baseline and 1 for follow-up. In
the mixed model the intercept is therefore the control arm's mean at baseline, ``arm`` the difference between the arms
at baseline, ``session`` the change in the control arm, and ``arm:session`` the difference between the arms' changes
(treatment minus control), which is the trial's question.

The trial's question is decided by Welch's test of the changes (:mod:`pharmasl.endpoints.comparisons`): the mixed model takes
the arms' variances to be equal, and its p is far off where they are not and the arms differ in size. It stands beside, for
those who came once: they take part in it, their missing scores taken as missing at random.
"""

import math

import numpy as np

from pharmasl.endpoints import comparisons
from pharmasl.endpoints import scores as scoring
from pharmasl.endpoints.model_table import COLUMNS, INFLUENCE_COLUMNS, WITHOUT, deviation, make_row, pairs
from pharmasl.files import tables
from pharmasl.statistics import arm_variances, diagnostics, effect_sizes, mixed_model
from pharmasl.statistics.t_tests import t_test


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
            rows.append(make_row(analysis, "missing", **at, estimate=lost, method="count"))
            if n == 0:
                rows.append(make_row(analysis, "mean", **at, method="no score"))
                rows.append(make_row(analysis, "sd", **at, method="no score"))
                continue
            sd = deviation(values) if n > 1 else math.nan
            mean = float(values.mean())
            test = t_test(mean, sd / math.sqrt(n), n - 1) if n > 1 else None
            rows.append(make_row(analysis, "mean", **at, method="mean and its standard error", test=test))
            # The t against zero of a mean of scores is not asked for.
            rows[-1].update(estimate=mean, t=None, p=None)
            rows.append(make_row(analysis, "sd", **at, estimate=sd, method="standard deviation"))
    return rows


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
            rows += [make_row("paired_t", term, arm=arm, n=n, method=why) for term in ("change", "dz")]
            continue
        mean, sd = float(change.mean()), deviation(change)
        test = t_test(mean, sd / math.sqrt(n), n - 1)
        method = "paired t test, follow-up minus baseline" if sd > 0 else "no variation of the changes"
        ends = diagnostics.extremes((change.sum() - change) / (n - 1))
        rows.append(make_row("paired_t", "change", arm=arm, n=n, method=method, test=test, **dict(zip(WITHOUT, ends))))
        if sd > 0:
            # Cumming and Finch (2001, doi 10.1177/0013164401614002).
            low, high = (float(each) / math.sqrt(n) for each in effect_sizes.noncentrality_interval(test.t, n - 1))
            method = "mean change over its standard deviation; interval by the noncentral t"
            rows.append(
                make_row("paired_t", "dz", arm=arm, n=n, method=method, estimate=mean / sd, ci_low=low, ci_high=high)
            )
        else:
            rows.append(make_row("paired_t", "dz", arm=arm, n=n, method=method))
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
        rows = [make_row("mixed_model", term, n=n, method=why) for term in terms]
        others = ("mixed_model_satterthwaite", "mixed_model_by_arm")
        return [*rows, *(make_row(name, "arm:session", n=n, method=why) for name in others)], None

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
        found = diagnostics.mixed_model_influence(model, design, response, participants, MIXED_TERMS["arm:session"])
    rows = []
    for term, weights in MIXED_TERMS.items():
        test = mixed_model.kenward_roger(model, design, participants, weights).single()
        named = f"{method}, Kenward-Roger{boundary}"
        rows.append(make_row("mixed_model", term, n=n, method=named, test=test))
    variances = (float(model.subject_variance[0]), float(model.residual_variance[0]))
    rows += [
        make_row("mixed_model", term, n=n, method=f"{method}{boundary}", estimate=variance)
        for term, variance in zip(terms[-2:], variances)
    ]
    test = mixed_model.contrast(model, MIXED_TERMS["arm:session"]).single()
    named = f"{method}, Satterthwaite degrees of freedom{boundary}"
    rows.append(make_row("mixed_model_satterthwaite", "arm:session", n=n, method=named, test=test))
    return [*rows, _mixed_by_arm(response, participants, arm, session)], found


def _mixed_by_arm(response, participants, arm, session):
    """The interaction with all variances by arm: the likelihood splits, so the arms are fitted one by one."""
    about = {"analysis": "mixed_model_by_arm", "term": "arm:session", "n": len(response)}
    method = "a random-intercept model in each arm, REML, Kenward-Roger; their difference by Welch and Satterthwaite"
    tests, variances = [], []
    for value in (1, 0):
        own = arm == value
        names = [name for name, kept in zip(participants, own) if kept]
        design = np.column_stack([np.ones(own.sum()), session[own]])
        try:
            model = mixed_model.fit(design, response[own], names)
        except ValueError as error:
            return make_row(**about, method=f"not fitted: {error}")
        if model.degenerate[0]:
            return make_row(**about, method=f"{method}: no residual variation in an arm")
        if model.boundary[0] and "boundary" not in method:
            method += (
                "; boundary: variance between an arm's participants estimated as 0, so its scores count as independent"
            )
        tests.append(mixed_model.kenward_roger(model, design, names, (0, 1)).single())
        variances.append(float(model.residual_variance[0]))
    squares = [test.se**2 for test in tests]
    df = sum(squares) ** 2 / sum(square**2 / test.df for square, test in zip(squares, tests))
    test = t_test(tests[0].estimate - tests[1].estimate, math.sqrt(sum(squares)), df)
    return make_row(**about, method=method, test=test, variance_ratio=variances[0] / variances[1])


def ancova(scores, arms, sessions):
    """Follow-up score by arm and the (centred) baseline score, least squares with a residual variance for each arm.

    Parameters and return as :func:`descriptive`.
    """
    found = pairs(scores, sessions)
    n = len(found)
    baseline = np.array([before for _, _, before, _ in found], dtype=float)
    followup = np.array([after for _, _, _, after in found], dtype=float)
    arm = np.array([each == arms["treatment"] for _, each, _, _ in found], dtype=float)
    terms = ("intercept", "arm", "baseline")
    if n < 4:
        return [make_row("ancova", term, n=n, method="fewer than 4 participants with both sessions") for term in terms]
    design = np.column_stack([np.ones(n), arm, baseline - baseline.mean()])
    if np.linalg.matrix_rank(design) < 3:
        why = "arm and baseline score cannot be told apart"
        return [make_row("ancova", term, n=n, method=why) for term in terms]
    labels = [each for _, each, _, _ in found]
    rows = []
    for term, weights in zip(terms, np.eye(3)):
        try:
            test = arm_variances.ArmVariances(design, weights, labels).test(followup)
        except ValueError as error:
            return [make_row("ancova", each, n=n, method=f"no test: {error}") for each in terms]
        ratio = arm_variances.ratio(test.variances, arms["treatment"], arms["control"])
        method = "least squares, a residual variance for each arm; baseline score centred on its mean"
        rows.append(make_row("ancova", term, n=n, method=method, test=test, variance_ratio=ratio))
    ends = diagnostics.extremes(diagnostics.estimates_without_one(design, followup, (0, 1, 0)))
    rows[1].update((name, None if math.isnan(end) else end) for name, end in zip(WITHOUT, ends))
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
            rows.append(make_row("equal_variance", term, n=len(arm), method="fewer than 3 participants in an arm"))
            continue
        _, p = diagnostics.breusch_pagan(
            values - np.where(arm, values[arm].mean(), values[~arm].mean()), arm[:, None].astype(float)
        )
        spread = deviation(values[arm]), deviation(values[~arm])
        ratio = (spread[0] / spread[1]) ** 2 if spread[1] else math.nan
        method = "ratio of variances; Breusch-Pagan test in Koenker's form" if math.isfinite(p) else "no variation"
        rows.append(make_row("equal_variance", term, n=len(arm), method=method, estimate=ratio, p=p))
    arm = treated.astype(float)
    if min(treated.sum(), n - treated.sum()) < 2:
        why = "fewer than 2 participants with both sessions in an arm"
        return [*rows, make_row("equal_variance", "variance by session", n=n, method=why)]
    ratio, t, p = diagnostics.pitman_morgan(before, after, np.column_stack([np.ones(n), arm]))
    method = "ratio of variances; Pitman-Morgan test, adjusted for arm" if math.isfinite(p) else "no variation"
    row = make_row("equal_variance", "variance by session", n=n, method=method, estimate=ratio, t=t, p=p, df=n - 3)
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
        or deviation(change - np.where(treated, change[treated].mean(), change[~treated].mean())) == 0
    ):
        rows.append(make_row("effect_size", "g of change", n=n, method="fewer than 2 pairs in an arm, or no variation"))
    else:
        size = effect_sizes.two_groups(change[treated], change[~treated])
        method = "Hedges' g, pooled standard deviation of the changes; interval by the noncentral t"
        rows.append(_size_row("g of change", size, n, method))
    adjusted = next(row for row in ancova(scores, arms, sessions) if row["term"] == "arm")
    if n - 3 < 2:
        # The bias factor exists from two degrees of freedom.
        why = "fewer than 5 participants with both sessions"
        rows.append(make_row("effect_size", "g at follow-up", n=n, method=why))
    elif adjusted.get("t") is None:
        rows.append(make_row("effect_size", "g at follow-up", n=n, method=adjusted["method"]))
    else:
        # The pooled t over this scale is estimate over residual standard deviation: se = sd / scale.
        before, after = (np.array([row[k] for row in found], dtype=float) for k in (2, 3))
        other = np.column_stack([np.ones(n), before - before.mean()])
        left, rest = (each - other @ np.linalg.lstsq(other, each)[0] for each in (treated.astype(float), after))
        scale = math.sqrt(float(left @ left))
        rest = rest - adjusted["estimate"] * left
        t = adjusted["estimate"] * scale / math.sqrt(float(rest @ rest) / (n - 3))
        size = effect_sizes.hedges_g(t, scale, n - 3)
        method = "Hedges' g, ANCOVA's residual standard deviation; interval by the noncentral t"
        rows.append(_size_row("g at follow-up", size, n, method))
    return rows


def _size_row(term, size, n, method):
    return make_row(
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
    rows += comparisons.difference_of_changes(scores, arms, sessions)
    mixed_rows, influence = _mixed(scores, arms, sessions, True)
    if influence is not None:
        for row in mixed_rows:
            if (row["analysis"], row["term"]) == ("mixed_model", "arm:session"):
                ends = diagnostics.extremes(influence.estimates)
                row.update((name, None if math.isnan(end) else end) for name, end in zip(WITHOUT, ends))
    rows += mixed_rows
    rows += [
        row
        for model in (ancova, effect_size, equal_variance, comparisons.ratings, comparisons.cues)
        for row in model(scores, arms, sessions)
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
        Rows of ``model_table.INFLUENCE_COLUMNS``.
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
        Columns as :data:`COLUMNS` and ``model_table.INFLUENCE_COLUMNS``.
    arms, sessions : dict
    """
    sessions, scores = _prepared(scoring.read_written(scores_path), arms, sessions)
    rows, influence = _analyse(scores, arms, sessions)
    tables.write_table(table_path, rows, COLUMNS)
    tables.write_table(influence_path, influence_rows(scores, influence), INFLUENCE_COLUMNS)
