"""Correlation of regional CBF with cue-elicited craving, with intervals, permutation p values and corrections.

Three questions are asked of each region and contrast: does the *change* of CBF (follow-up minus baseline) go with the
change of craving, and do the two go together at *baseline* and at *follow-up*? Each is answered over all participants,
adjusted for arm (both CBF and craving carry the treatment effect, so that an unadjusted correlation over both arms
would show it twice), and within each arm. A comparison of the arms' correlations of changes completes them.

Pearson's r of residuals from arm and covariates is the partial correlation; with ranks in place of values (covariates
ranked too) it is the partial Spearman correlation.
"""

import logging
import math
import zlib
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri, stdtr

from pharmasl import tables
from pharmasl.craving import scores as scoring
from pharmasl.errors import InputError

log = logging.getLogger(__name__)

# Below this number of complete participants nothing is reported: Fisher's interval does not exist.
MINIMUM_N = 4
RESAMPLES = 9999
SEED = 20200218
# Resamples are drawn and computed in blocks of this many, to bound memory.
BLOCK = 10_000

COLUMNS = {
    "roi": "Region of interest",
    "contrast": "Contrast of conditions whose CBF was averaged in the region",
    "timing": {
        "Description": "Which values were correlated",
        "Levels": {
            "change": "Follow-up minus baseline, of CBF and of cue-elicited craving",
            "baseline": "Both at baseline",
            "followup": "Both at follow-up",
        },
    },
    "group": "all (adjusted for arm), the arm within which, or 'treatment - control' the arms that are compared",
    "method": {
        "Description": "Statistic",
        "Levels": {
            "pearson": "Pearson's r of what arm and covariates leave; interval by Fisher's z",
            "spearman": "Spearman's rho of what the ranks of arm and covariates leave; interval by the BCa bootstrap",
            "pearson_difference": "Pearson's r in the treatment arm minus that in the control arm; interval by Zou "
            "(2007), p by Fisher's z",
        },
    },
    "estimate": "Correlation, or difference of correlations",
    "ci_low": "Lower end of the 95 % confidence interval",
    "ci_high": "Upper end of the 95 % confidence interval",
    "p": "Two-sided p, uncorrected: by permutation of participants (within arms), the observed order counted; for "
    "pearson_difference by Fisher's z",
    "p_t": "Two-sided p by the t distribution, uncorrected",
    "n": "Participants with both values",
    "adjusted_for": "What was regressed out of both variables",
    "family": "Tests that were corrected together",
    "family_size": "Number of tests in the family that gave a p",
    "p_holm": "p corrected for the family by Holm's method (family-wise error)",
    "p_fdr": "p corrected for the family by the method of Benjamini and Hochberg (false discovery rate)",
    "roi_defined_by_same_data": "true: the region is a cluster of an analysis of this trial, so that its CBF was "
    "chosen by the data it is tested on; take such a correlation as a description",
    "note": "Why a value is n/a",
}


class Correlation(NamedTuple):
    """An estimate with its 95 % interval, two p values, the number of observations and, where n/a, the reason."""

    estimate: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    p: float = math.nan
    p_t: float = math.nan
    n: int = 0
    note: str | None = None


def ranks(values):
    """Ranks along the last axis, ties averaged.

    Parameters
    ----------
    values : ndarray of shape (..., n)

    Returns
    -------
    ndarray of shape (..., n), float64
        1 for the least.
    """
    values = np.asarray(values)
    order = np.argsort(values, axis=-1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=-1)
    n = values.shape[-1]
    position = np.broadcast_to(np.arange(n), values.shape)
    # A run of ties starts at the last change and ends before the next one; its rank is the middle.
    changes = ordered[..., 1:] != ordered[..., :-1]
    edge = np.ones((*values.shape[:-1], 1), dtype=bool)
    first = np.maximum.accumulate(np.where(np.concatenate([edge, changes], axis=-1), position, 0), axis=-1)
    last = np.where(np.concatenate([changes, edge], axis=-1), position, n - 1)
    last = np.flip(np.minimum.accumulate(np.flip(last, axis=-1), axis=-1), axis=-1)
    out = np.empty(values.shape)
    np.put_along_axis(out, order, (first + last) / 2 + 1, axis=-1)
    return out


def _residuals(values, nuisance):
    """Take an intercept and the nuisance, (..., k, n), out of values, (..., n)."""
    values = values - values.mean(axis=-1, keepdims=True)
    if nuisance.shape[-2] == 0:
        return values
    # Orthogonalised column by column, so that a resample without one arm loses a column instead of failing.
    columns = []
    for k in range(nuisance.shape[-2]):
        column = nuisance[..., k, :] - nuisance[..., k, :].mean(axis=-1, keepdims=True)
        size = (column**2).sum(axis=-1, keepdims=True)
        for _ in range(2):
            for other in columns:
                column = column - (column * other).sum(axis=-1, keepdims=True) * other
        norm2 = (column**2).sum(axis=-1, keepdims=True)
        keep = norm2 > 1e-20 * size
        columns.append(np.where(keep, column / np.sqrt(np.where(keep, norm2, 1)), 0))
    for column in columns:
        values = values - (values * column).sum(axis=-1, keepdims=True) * column
    return values


def partial_correlation(x, y, nuisance, rank=False):
    """Correlation of what an intercept and the nuisance leave of two variables; vectorised over leading axes.

    Parameters
    ----------
    x, y : ndarray of shape (..., n)
    nuisance : ndarray of shape (..., k, n)
        k may be 0.
    rank : bool
        Rank all variables first (Spearman).

    Returns
    -------
    ndarray of shape (...)
        NaN where a variable has no variation left.
    """
    if rank:
        x, y = ranks(x), ranks(y)
        nuisance = ranks(nuisance) if nuisance.shape[-2] else nuisance
    variation = [(v - v.mean(axis=-1, keepdims=True)) for v in (x, y)]
    size = [(v**2).sum(axis=-1) for v in variation]
    left = [_residuals(v, nuisance) for v in (x, y)]
    rest = [(v**2).sum(axis=-1) for v in left]
    usable = np.logical_and.reduce([r > 1e-16 * np.maximum(s, 1e-300) for r, s in zip(rest, size)])
    usable &= (size[0] > 0) & (size[1] > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (left[0] * left[1]).sum(axis=-1) / np.sqrt(rest[0] * rest[1])
    return np.where(usable, np.clip(r, -1, 1), np.nan)


def fisher_interval(r, n, adjusted=0, level=0.95):
    """Confidence interval of a (partial) Pearson correlation by Fisher's z.

    Parameters
    ----------
    r : float
    n : int
        Observations.
    adjusted : int
        Number of variables regressed out.
    level : float

    Returns
    -------
    low, high : float
        NaN if n - adjusted - 3 is not positive; ``r`` itself for a perfect correlation.
    """
    if n - adjusted - 3 <= 0:
        return math.nan, math.nan
    if abs(r) >= 1:
        return r, r
    half = float(ndtri((1 + level) / 2)) / math.sqrt(n - adjusted - 3)
    return math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)


def t_p_value(r, df):
    """Two-sided p of a correlation by ``t = r sqrt(df / (1 - r^2))``, ``df`` = n - 2 - (variables regressed out)."""
    if df <= 0 or math.isnan(r):
        return math.nan
    if abs(r) >= 1:
        return 0.0
    return float(2 * stdtr(df, -abs(r) * math.sqrt(df / (1 - r * r))))


def _blocks(total):
    return [min(BLOCK, total - start) for start in range(0, total, BLOCK)]


def resample_indices(strata, resamples, rng):
    """Bootstrap samples: observations drawn with replacement within each stratum.

    Parameters
    ----------
    strata : ndarray of shape (n,)
        The arm of each observation.
    resamples : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of int, shape (resamples, n)
    """
    out = np.empty((resamples, len(strata)), dtype=np.intp)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        out[:, members] = members[rng.integers(0, len(members), size=(resamples, len(members)))]
    return out


def bca_interval(estimate, resampled, jackknife, level=0.95):
    """Bias-corrected and accelerated bootstrap interval (Efron 1987, doi 10.1080/01621459.1987.10478410).

    Parameters
    ----------
    estimate : float
        The statistic of the sample.
    resampled : ndarray of shape (B,)
        Of the bootstrap samples.
    jackknife : ndarray of shape (n,)
        Of the samples with one observation left out.
    level : float

    Returns
    -------
    low, high : float
        NaN if the statistic does not vary over the bootstrap samples, or if more than 5 % of them have none.
    """
    kept = resampled[np.isfinite(resampled)]
    if len(kept) < 0.95 * len(resampled) or not np.isfinite(jackknife).all():
        return math.nan, math.nan
    below = ((kept < estimate).mean() + (kept <= estimate).mean()) / 2
    deviation = jackknife.mean() - jackknife
    spread = (deviation**2).sum()
    if not 0 < below < 1 or spread == 0:
        return math.nan, math.nan
    bias = ndtri(below)
    acceleration = (deviation**3).sum() / (6 * spread**1.5)
    ends = []
    for probability in ((1 - level) / 2, (1 + level) / 2):
        z = bias + ndtri(probability)
        ends.append(float(np.percentile(kept, 100 * ndtr(bias + z / (1 - acceleration * z)))))
    return ends[0], ends[1]


def permutation_p_value(x, y, nuisance, strata, permutations, rng):
    """Two-sided p of a partial correlation, by permuting observations within strata.

    The residuals of ``y`` are permuted and adjusted anew (Freedman & Lane 1983). Permuting within arms leaves the
    arms' means in place, so that without further covariates the test is exact. The observed order counts as one.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
        Values, or ranks for Spearman.
    nuisance : ndarray of shape (k, n)
    strata : ndarray of shape (n,)
    permutations : int
        Random permutations drawn beside the observed order.
    rng : numpy.random.Generator

    Returns
    -------
    float
        At least 1 / (permutations + 1).
    """
    observed = abs(float(partial_correlation(x, y, nuisance)))
    left = _residuals(y, nuisance)
    x = _residuals(x, nuisance)
    reached = 1
    for size in _blocks(permutations):
        order = np.empty((size, len(y)), dtype=np.intp)
        for stratum in np.unique(strata):
            members = np.flatnonzero(strata == stratum)
            order[:, members] = rng.permuted(np.broadcast_to(members, (size, len(members))), axis=1)
        shuffled = _residuals(left[order], nuisance)
        with np.errstate(invalid="ignore", divide="ignore"):
            null = np.abs((shuffled * x).sum(axis=1)) / np.sqrt((shuffled**2).sum(axis=1) * (x * x).sum())
        # Ties with the observed value, which are frequent with ranks, must not be lost to rounding.
        reached += int((null >= observed * (1 - 1e-12) - 1e-15).sum())
    return reached / (permutations + 1)


def correlate(x, y, nuisance, strata, method, rng, resamples=RESAMPLES):
    """One correlation with its interval and p values.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
        CBF and craving, finite.
    nuisance : ndarray of shape (k, n)
        Variables to regress out of both (arm, covariates).
    strata : ndarray of shape (n,)
        Arm of each participant; permutations and bootstrap samples keep to it.
    method : str
        ``"pearson"`` or ``"spearman"``.
    rng : numpy.random.Generator
    resamples : int
        Permutations and, for Spearman, bootstrap samples.

    Returns
    -------
    Correlation
        With NaN and a note where there are too few participants or a variable does not vary.
    """
    n, k = len(x), len(nuisance)
    if n < MINIMUM_N or n - k - 3 <= 0:
        need = max(MINIMUM_N, k + 4)
        return Correlation(n=n, note=f"fewer than {need} participants with both values")
    rank = method == "spearman"
    r = float(partial_correlation(x, y, nuisance, rank))
    if math.isnan(r):
        return Correlation(n=n, note="a variable does not vary beyond what is adjusted for")
    note = None
    if rank:
        resampled = []
        for size in _blocks(resamples):
            index = resample_indices(strata, size, rng)
            resampled.append(partial_correlation(x[index], y[index], np.moveaxis(nuisance[:, index], 0, 1), rank))
        resampled = np.concatenate(resampled)
        without = np.array([np.delete(np.arange(n), i) for i in range(n)])
        jackknife = partial_correlation(x[without], y[without], np.moveaxis(nuisance[:, without], 0, 1), rank)
        low, high = bca_interval(r, resampled, jackknife)
        if math.isnan(low):
            note = "no bootstrap interval: the statistic is undefined or constant in too many bootstrap samples"
        x, y = ranks(x), ranks(y)
        nuisance = ranks(nuisance) if k else nuisance
    else:
        low, high = fisher_interval(r, n, k)
    p = permutation_p_value(x, y, nuisance, strata, resamples, rng)
    return Correlation(r, low, high, p, t_p_value(r, n - 2 - k), n, note)


def compare(first, second, adjusted=(0, 0)):
    """Difference of two Pearson correlations in independent groups.

    p by Fisher's z; interval from the two correlations' own (Zou 2007, doi 10.1037/1082-989X.12.4.399).

    Parameters
    ----------
    first, second : Correlation
        With their Fisher intervals.
    adjusted : (int, int)
        Number of variables regressed out in each.

    Returns
    -------
    Correlation
        ``n`` is the sum.
    """
    n = first.n + second.n
    if math.isnan(first.estimate) or math.isnan(second.estimate):
        return Correlation(n=n, note="no correlation in one of the arms")
    difference = first.estimate - second.estimate
    low = difference - math.hypot(first.estimate - first.ci_low, second.ci_high - second.estimate)
    high = difference + math.hypot(first.ci_high - first.estimate, second.estimate - second.ci_low)
    if max(abs(first.estimate), abs(second.estimate)) >= 1:
        return Correlation(difference, low, high, n=n, note="no p: a correlation is perfect")
    variance = 1 / (first.n - adjusted[0] - 3) + 1 / (second.n - adjusted[1] - 3)
    z = (math.atanh(first.estimate) - math.atanh(second.estimate)) / math.sqrt(variance)
    return Correlation(difference, low, high, float(2 * ndtr(-abs(z))), math.nan, n)


def holm(p):
    """P values corrected by Holm's step-down method (1979); NaN take no part.

    Parameters
    ----------
    p : sequence of float

    Returns
    -------
    ndarray of float
    """
    return _corrected(p, lambda ordered, m: np.maximum.accumulate(ordered * (m - np.arange(m))))


def benjamini_hochberg(p):
    """P values corrected by Benjamini and Hochberg's step-up method (1995); NaN take no part.

    Parameters
    ----------
    p : sequence of float

    Returns
    -------
    ndarray of float
    """
    return _corrected(p, lambda ordered, m: np.minimum.accumulate((ordered * m / np.arange(1, m + 1))[::-1])[::-1])


def _corrected(p, step):
    p = np.asarray(p, dtype=np.float64)
    out = np.full(p.shape, np.nan)
    index = np.flatnonzero(np.isfinite(p))
    if len(index):
        order = index[np.argsort(p[index], kind="stable")]
        out[order] = np.minimum(step(p[order], len(order)), 1)
    return out


def _coded(rows, names):
    """Covariates as numbers, (k, n): numeric columns as they are, text as one 0/1 column a level beyond the first.

    A missing covariate is NaN in all its columns.
    """
    out = []
    for name in names:
        texts = [row[name] for row in rows]
        try:
            out.append([math.nan if text is None else float(text) for text in texts])
        except ValueError:
            levels = sorted({text for text in texts if text is not None})
            out += [[math.nan if text is None else float(text == level) for text in texts] for level in levels[1:]]
    return np.array(out, dtype=np.float64).reshape(len(out), len(rows))


def _paired(cbf, craving, participants, baseline, followup, timing):
    """CBF and craving of one timing, arrays over participants with NaN where missing."""

    def series(table):
        def at(session):
            return np.array([table.get((name, session), math.nan) for name in participants], dtype=np.float64)

        if timing == "change":
            return at(followup) - at(baseline)
        return at(baseline if timing == "baseline" else followup)

    return series(cbf), series(craving)


def _family(timing, group, method, arms, settings):
    if settings.get("family", "question") == "all":
        return "all tests" if method == "pearson_difference" else f"all tests, {method}"
    if method == "pearson_difference":
        return "arms compared"
    if timing != "change":
        return f"each session, {method}"
    return f"change, {'within arms' if group in arms else 'all participants'}, {method}"


def _read_values(paths, sidecars, rois, contrasts):
    """CBF by (roi, contrast) and (participant, session), and whether each region is analysis-defined."""
    cbf, defined = {}, {}
    for path, sidecar in zip(paths, sidecars, strict=True):
        for row in tables.read_table(path):
            # None (not NaN) is how the tables hold a value that coverage made n/a.
            value = math.nan if row["cbf"] is None else float(row["cbf"])
            table = cbf.setdefault((row["roi"], row["contrast"]), {})
            table[row["participant_id"].removeprefix("sub-"), row["session"].removeprefix("ses-")] = value
            defined[row["roi"]] = bool(tables.read_json(sidecar)["analysis_defined"])
    for roi in rois:
        for contrast in contrasts:
            if (roi, contrast) not in cbf:
                raise InputError(
                    "config",
                    "craving",
                    f"{roi}, {contrast}",
                    f"one of the pairs {sorted(cbf)}",
                    "Mend craving.rois or craving.contrast.",
                )
    return cbf, defined


def analyse(scores, cbf, defined, craving, arms, sessions):
    """All correlations of the configured regions and contrasts.

    Parameters
    ----------
    scores : list of dict
        Craving scores, ``cue_elicited`` a number or None, with the covariates that ``craving`` names.
    cbf : dict
        ``(roi, contrast)`` to a dict of ``(participant without sub-, session without ses-)`` to CBF.
    defined : dict
        Region to whether it is a cluster of an analysis of the trial.
    craving : dict
        ``rois`` (names), ``contrast`` (a name or a list); optional ``covariates``, ``resamples``, ``seed`` and
        ``family`` (``"question"``: see :data:`COLUMNS`; ``"all"``: one family a method).
    arms, sessions : dict

    Returns
    -------
    list of dict
        Rows of :data:`COLUMNS`.
    """
    baseline, followup = (str(sessions[name]).removeprefix("ses-") for name in ("baseline", "followup"))
    contrasts = [craving["contrast"]] if isinstance(craving["contrast"], str) else list(craving["contrast"])
    covariates = list(craving.get("covariates") or [])
    treatment, control = arms["treatment"], arms["control"]
    first = {}
    for row in (row for row in scores if row["arm"] in (treatment, control)):
        first.setdefault(row["participant_id"].removeprefix("sub-"), row)
    participants = list(first)
    arm = np.array([first[name]["arm"] for name in participants])
    nuisance = _coded(list(first.values()), covariates)
    elicited = {
        (row["participant_id"].removeprefix("sub-"), row["session"].removeprefix("ses-")): (
            math.nan if row["cue_elicited"] is None else row["cue_elicited"]
        )
        for row in scores
    }
    resamples = int(craving.get("resamples", RESAMPLES))
    seed = int(craving.get("seed", SEED))

    rows = []
    for roi in craving["rois"]:
        for contrast in contrasts:
            for timing in ("change", "baseline", "followup"):
                x, y = _paired(cbf[roi, contrast], elicited, participants, baseline, followup, timing)
                complete = np.isfinite(x) & np.isfinite(y) & np.isfinite(nuisance).all(axis=0)
                found = {}
                for group in ("all", treatment, control):
                    chosen = complete if group == "all" else complete & (arm == group)
                    adjust = nuisance[:, chosen]
                    if group == "all":
                        adjust = np.vstack([(arm[chosen] == treatment).astype(float), adjust])
                    # A variable that is constant among the chosen takes nothing away and costs no freedom.
                    adjust = adjust[np.ptp(adjust, axis=1) > 0] if chosen.any() else adjust[:0]
                    for method in ("pearson", "spearman"):
                        # A stream of its own for each test: adding a region changes no other result.
                        label = zlib.crc32("\t".join((roi, contrast, timing, group, method)).encode())
                        rng = np.random.default_rng([seed, label])
                        found[group, method] = (
                            correlate(x[chosen], y[chosen], adjust, arm[chosen], method, rng, resamples),
                            len(adjust),
                        )
                difference = None
                if timing == "change":
                    (one, k), (two, m) = found[treatment, "pearson"], found[control, "pearson"]
                    difference = compare(one, two, (k, m))
                for (group, method), (result, _) in found.items():
                    rows.append((roi, contrast, timing, group, method, result))
                if difference is not None:
                    rows.append((roi, contrast, timing, f"{treatment} - {control}", "pearson_difference", difference))

    out = []
    for roi, contrast, timing, group, method, result in rows:
        adjusted = (["arm"] if group == "all" else []) + covariates
        out.append(
            {
                "roi": roi,
                "contrast": contrast,
                "timing": timing,
                "group": group,
                "method": method,
                **result._asdict(),
                "adjusted_for": ", ".join(adjusted) or None,
                "family": _family(timing, group, method, (treatment, control), craving),
                "roi_defined_by_same_data": defined[roi],
            }
        )
    for family in dict.fromkeys(row["family"] for row in out):
        members = [row for row in out if row["family"] == family]
        p = [row["p"] for row in members]
        for row, each, rate in zip(members, holm(p), benjamini_hochberg(p)):
            row.update(family_size=int(np.isfinite(p).sum()), p_holm=float(each), p_fdr=float(rate))
    return out


def write_correlations(scores_path, values_paths, sidecar_paths, table_path, craving, arms, sessions):
    """Read scores and regional values and write the table of their correlations.

    Parameters
    ----------
    scores_path : path-like
        As ``craving_scores`` writes it.
    values_paths : sequence of path-like
        As ``roi_values`` writes them, one a region.
    sidecar_paths : sequence of path-like
        The JSON of each of those regions' masks, in the same order.
    table_path : path-like
    craving, arms, sessions : dict
        See :func:`analyse`.

    Raises
    ------
    InputError
        If a configured region or contrast has no values, or a covariate is not in the scores.
    """
    contrasts = [craving["contrast"]] if isinstance(craving["contrast"], str) else list(craving["contrast"])
    cbf, defined = _read_values(values_paths, sidecar_paths, craving["rois"], contrasts)
    scores = scoring.read_written(scores_path)
    for name in craving.get("covariates") or []:
        if name not in scores[0]:
            raise InputError(scores_path, "craving.covariates", name, f"one of {list(scores[0])}", "Mend the config.")
    columns = {name: dict(text) if isinstance(text, dict) else {"Description": text} for name, text in COLUMNS.items()}
    resamples, seed = int(craving.get("resamples", RESAMPLES)), int(craving.get("seed", SEED))
    columns["p"].update(Permutations=resamples, Seed=seed)
    for name in ("ci_low", "ci_high"):
        columns[name].update(BootstrapSamples=resamples, Seed=seed)
    tables.write_table(table_path, analyse(scores, cbf, defined, craving, arms, sessions), columns)
