"""Correlation of regional CBF with cue-elicited craving, with intervals, permutation p values and corrections.

Three questions are asked of each region and contrast: does the *change* of CBF (follow-up minus baseline) go with the
change of craving, and do the two go together at *baseline* and at *follow-up*? Each is answered over all participants,
adjusted for arm (both CBF and craving carry the treatment effect, so that an unadjusted correlation over both arms
would show it twice), and within each arm. Two comparisons of the arms complete them: the difference of their
correlations of changes, and the difference of their slopes (the arm-by-CBF interaction).

Pearson's r of residuals from arm and covariates is the partial correlation; with ranks in place of values (covariates
ranked too) it is the partial Spearman correlation; the percentage bend correlation of those residuals withstands single
wild values.

One of these is declared as the test; the others describe (:mod:`pharmasl.craving.families`).

All permutations of a table come from one list of orders, the same participants' for every test. The largest |r| of the
family in each order therefore has the dependence of the tests in it, and ``p_max`` controls the family-wise error with
more power than Holm's method (Westfall & Young 1993).
"""

import logging
import math
import zlib
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from pharmasl import tables
from pharmasl.craving import families, robust
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
            "percentage_bend": "Percentage bend correlation (Wilcox 1994, bend 0.2) of what arm and covariates leave; "
            "interval by the BCa bootstrap",
            "pearson_difference": "Pearson's r in the treatment arm minus that in the control arm; interval by Zou "
            "(2007), p by Fisher's z",
            "slope_interaction": "Points of craving per mL/100 g/min, treatment arm minus control arm, in one regression "
            "with arm and covariates; interval by the t distribution, p by permutation (Freedman & Lane)",
        },
    },
    "estimate": "Correlation, difference of correlations, or difference of slopes",
    "ci_low": "Lower end of the 95 % confidence interval",
    "ci_high": "Upper end of the 95 % confidence interval",
    "bca_low": "Lower end of the 95 % BCa bootstrap interval, participants drawn within arms",
    "bca_high": "Upper end of the 95 % BCa bootstrap interval",
    "without_one_low": "Least estimate with one participant left out",
    "without_one_high": "Greatest estimate with one participant left out",
    "p": "Two-sided p, uncorrected: by permutation of participants (within arms), the observed order counted; for "
    "pearson_difference by Fisher's z",
    "p_t": "Two-sided p by the t distribution, uncorrected",
    "n": "Participants with both values",
    "adjusted_for": "What was regressed out of both variables",
    "role": {
        "Description": "What the row is for",
        "Levels": {
            "tested": "A test of the family, whose p is corrected",
            "described": "Stands beside the tests: estimate, interval and uncorrected p, of which none is a test",
        },
    },
    "family": "Tests that were corrected together: the declared test of every region, or all; n/a for a description",
    "family_size": "Number of tests in the family; one that could not be answered stays in it",
    "p_holm": "p corrected for the family by Holm's method (family-wise error); n/a for a description",
    "p_fdr": "p corrected for the family by the method of Benjamini and Hochberg (false discovery rate); n/a for a "
    "description",
    "p_max": "p corrected for the family by permutation: share of orders in which the largest absolute correlation of the "
    "family reaches this one; n/a for comparisons of the arms and for a description",
    "region_of": {
        "Description": "Whose region each participant's CBF was read from",
        "Levels": {
            "all": "One region for all participants",
            "others": "The cluster found again without the participant, which takes the bias of selection out of the "
            "correlation; the permutations are valid since craving took no part in the choice",
        },
    },
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
    bca_low: float = math.nan
    bca_high: float = math.nan
    without_one_low: float = math.nan
    without_one_high: float = math.nan


def ranks(values):
    """Ranks along the last axis, ties averaged, of values of shape (..., n)."""
    # Imported where it is needed: it costs half a second, and most who use this module rank nothing.
    from scipy.stats import rankdata

    return rankdata(values, axis=-1)


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


def orders_within(keys, strata):
    """Orders of participants within strata from random keys: equal keys give equal orders.

    Parameters
    ----------
    keys : ndarray of shape (B, n)
    strata : ndarray of shape (n,)

    Returns
    -------
    ndarray of int, shape (B, n)
    """
    order = np.empty(keys.shape, dtype=np.intp)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        order[:, members] = members[np.argsort(keys[:, members], axis=1, kind="stable")]
    return order


def permuted(x, y, nuisance, order, method="pearson"):
    """Absolute partial correlations of permuted data.

    The residuals of ``y`` are permuted and adjusted anew (Freedman & Lane 1983). Permuting within arms leaves the
    arms' means in place, so that without further covariates the test is exact.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
    nuisance : ndarray of shape (k, n)
    order : ndarray of int, shape (B, n)
    method : str

    Returns
    -------
    ndarray of shape (B,)
    """
    if method == "spearman":
        x, y, nuisance = ranks(x), ranks(y), ranks(nuisance) if len(nuisance) else nuisance
    shuffled = _residuals(_residuals(y, nuisance)[order], nuisance)
    x = _residuals(x, nuisance)
    if method == "percentage_bend":
        x, shuffled = robust.bent(x), robust.bent(shuffled)
    return np.abs(robust.correlation_of_scores(shuffled, x))


def reaches(null, observed):
    """Whether absolute correlations reach the observed one; ties, frequent with ranks, count despite rounding."""
    return null >= abs(observed) * (1 - 1e-12) - 1e-15


def permutation_p_value(x, y, nuisance, strata, permutations, rng, method="pearson"):
    """Two-sided p of a partial correlation by permuting observations within strata; see :func:`permuted`.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
    nuisance : ndarray of shape (k, n)
    strata : ndarray of shape (n,)
    permutations : int
        Random permutations drawn beside the observed order.
    rng : numpy.random.Generator
    method : str
        Of :func:`statistic`.

    Returns
    -------
    float
        At least 1 / (permutations + 1).
    """
    observed = float(statistic(x, y, nuisance, method))
    reached = 1
    for size in _blocks(permutations):
        order = orders_within(rng.random((size, len(y))), strata)
        reached += int(reaches(permuted(x, y, nuisance, order, method), observed).sum())
    return reached / (permutations + 1)


def statistic(x, y, nuisance, method):
    """One of the methods' partial correlations; shapes as :func:`partial_correlation`."""
    if method != "percentage_bend":
        return partial_correlation(x, y, nuisance, method == "spearman")
    return robust.percentage_bend(_residuals(x, nuisance), _residuals(y, nuisance))


def correlate(x, y, nuisance, strata, method, rng, resamples=RESAMPLES, p=None):
    """One correlation with its intervals, its range with one participant left out, and p values.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
        CBF and craving, finite.
    nuisance : ndarray of shape (k, n)
        Variables to regress out of both (arm, covariates).
    strata : ndarray of shape (n,)
        Arm of each participant; permutations and bootstrap samples keep to it.
    method : str
        ``"pearson"``, ``"spearman"`` or ``"percentage_bend"``.
    rng : numpy.random.Generator
    resamples : int
        Bootstrap samples, and permutations.
    p : float, optional
        The permutation p, where it was found before.

    Returns
    -------
    Correlation
        With NaN and a note where there are too few participants or a variable does not vary.
    """
    n, k = len(x), len(nuisance)
    if n < MINIMUM_N or n - k - 3 <= 0:
        need = max(MINIMUM_N, k + 4)
        return Correlation(n=n, note=f"fewer than {need} participants with both values")
    # That a variable varies at all is asked of the values themselves: bent scores of equal values have no unit.
    r = float(partial_correlation(x, y, nuisance, method == "spearman"))
    if math.isnan(r):
        return Correlation(n=n, note="a variable does not vary beyond what is adjusted for")
    r = float(statistic(x, y, nuisance, method))
    if math.isnan(r):
        return Correlation(n=n, note="too many equal values for a percentage bend correlation")
    resampled = []
    for size in _blocks(resamples):
        index = resample_indices(strata, size, rng)
        resampled.append(statistic(x[index], y[index], np.moveaxis(nuisance[:, index], 0, 1), method))
    without = np.array([np.delete(np.arange(n), i) for i in range(n)])
    jackknife = statistic(x[without], y[without], np.moveaxis(nuisance[:, without], 0, 1), method)
    bca = bca_interval(r, np.concatenate(resampled), jackknife)
    note = None
    if math.isnan(bca[0]):
        note = "no bootstrap interval: the statistic is undefined or constant in too many bootstrap samples"
    low, high = fisher_interval(r, n, k) if method == "pearson" else bca
    ends = (
        (float(np.min(jackknife)), float(np.max(jackknife))) if np.isfinite(jackknife).all() else (math.nan, math.nan)
    )
    if p is None:
        p = permutation_p_value(x, y, nuisance, strata, resamples, rng, method)
    return Correlation(r, low, high, p, t_p_value(r, n - 2 - k), n, note, *bca, *ends)


def slope_interaction(x, y, treated, covariates, rng, resamples=RESAMPLES):
    """Difference of two arms' slopes of y on x, treatment minus control: the arm-by-x interaction.

    ``y ~ arm + x + arm:x + covariates`` by least squares. This is the test of "does the relation differ between the
    arms" that stays with the data's units; it also serves a seed region's change (x) and a target's (y).

    Parameters
    ----------
    x, y : ndarray of shape (n,)
        Finite.
    treated : ndarray of bool, shape (n,)
    covariates : ndarray of shape (k, n)
    rng : numpy.random.Generator
    resamples : int
        Permutations within arms of what the model without the interaction leaves (Freedman & Lane).

    Returns
    -------
    Correlation
        ``estimate`` is the difference of slopes, unit of y over unit of x; its range with one participant left out.
    """
    n, arm = len(x), treated.astype(np.float64)
    if min(arm.sum(), n - arm.sum()) < 3 or n - 4 - len(covariates) < 1:
        return Correlation(n=n, note="fewer than 3 participants in one of the arms")

    def fit(keep):
        tested = arm[keep] * x[keep]
        nuisance = np.vstack([arm[keep], x[keep], covariates[:, keep]])
        left, outcome = _residuals(tested, nuisance), _residuals(y[keep], nuisance)
        size = float(left @ left)
        if size <= 1e-12 * float(((tested - tested.mean()) ** 2).sum()) or size == 0:
            return None
        return left, outcome, size, nuisance, float(left @ outcome) / size

    found = fit(np.ones(n, dtype=bool))
    if found is None:
        return Correlation(n=n, note="CBF does not vary in one of the arms")
    left, outcome, size, nuisance, slope = found
    df = n - 4 - len(covariates)
    rest = outcome - slope * left
    error = math.sqrt(float(rest @ rest) / df / size)
    if error == 0:
        return Correlation(slope, slope, slope, n=n, note="no p: the fit is perfect")
    half = float(stdtrit(df, 0.975)) * error
    observed = float(partial_correlation(arm * x, y, nuisance))
    reached = 1
    for block in _blocks(resamples):
        order = orders_within(rng.random((block, n)), treated)
        reached += int(reaches(permuted(arm * x, y, nuisance, order), observed).sum())
    one_less = [fit(np.arange(n) != i) for i in range(n)]
    ends = (math.nan, math.nan)
    if all(each is not None for each in one_less):
        ends = min(each[4] for each in one_less), max(each[4] for each in one_less)
    return Correlation(
        slope, slope - half, slope + half, reached / (resamples + 1), float(2 * stdtr(df, -abs(slope / error))), n,
        without_one_low=ends[0], without_one_high=ends[1],
    )  # fmt: skip


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


class Sample:
    """The trial's participants with an arm, their craving and covariates.

    Parameters
    ----------
    scores : list of dict
        Craving scores, ``cue_elicited`` a number or None, with the covariates that ``craving`` names.
    craving, arms, sessions : dict
        See :func:`analyse`.

    Attributes
    ----------
    participants : list of str
        Without ``sub-``.
    arm : ndarray of str, shape (n,)
    covariates : ndarray of shape (k, n)
        NaN where missing.
    elicited : dict
        ``(participant, session)`` to cue-elicited craving.
    """

    def __init__(self, scores, craving, arms, sessions):
        self.labels = [str(sessions[name]).removeprefix("ses-") for name in ("baseline", "followup")]
        first = {}
        for row in (row for row in scores if row["arm"] in (arms["treatment"], arms["control"])):
            first.setdefault(row["participant_id"].removeprefix("sub-"), row)
        self.participants = list(first)
        self.arm = np.array([first[name]["arm"] for name in self.participants])
        self.covariates = _coded(list(first.values()), list(craving.get("covariates") or []))
        self.elicited = {
            (row["participant_id"].removeprefix("sub-"), row["session_id"].removeprefix("ses-")): (
                math.nan if row["cue_elicited"] is None else row["cue_elicited"]
            )
            for row in scores
        }

    def at(self, table, session):
        """Values of a ``(participant, session)`` table at a session, (n,), NaN where missing."""
        return np.array([table.get((name, session), math.nan) for name in self.participants], dtype=np.float64)

    def change(self, table):
        """Follow-up minus baseline, (n,)."""
        return self.at(table, self.labels[1]) - self.at(table, self.labels[0])

    def paired(self, cbf, timing):
        """CBF and craving of one timing."""
        if timing == "change":
            return self.change(cbf), self.change(self.elicited)
        session = self.labels[timing == "followup"]
        return self.at(cbf, session), self.at(self.elicited, session)

    def complete(self, x, y):
        """Who has both values and every covariate: ndarray of bool, shape (n,)."""
        return np.isfinite(x) & np.isfinite(y) & np.isfinite(self.covariates).all(axis=0)

    def adjustment(self, chosen, treatment=None):
        """What is regressed out among the chosen: the treatment arm, where named, and the covariates; (k, chosen)."""
        adjust = self.covariates[:, chosen]
        if treatment is not None:
            adjust = np.vstack([(self.arm[chosen] == treatment).astype(float), adjust])
        # A variable that is constant among the chosen takes nothing away and costs no freedom.
        return adjust[np.ptp(adjust, axis=1) > 0] if chosen.any() else adjust[:0]


def read_values(paths, sidecars):
    """Read tables of regional values.

    Parameters
    ----------
    paths : sequence of path-like
        ``{roi}_values.tsv``.
    sidecars : sequence of path-like
        ``{roi}_mask.json``, in the same order.

    Returns
    -------
    cbf : dict
        ``(roi, contrast)`` to a dict of ``(participant without sub-, session without ses-)`` to CBF, NaN for n/a.
    defined : dict
        Region to whether it is a cluster of an analysis of this trial.
    """
    cbf, defined = {}, {}
    for path, sidecar in zip(paths, sidecars, strict=True):
        for row in tables.read_table(path):
            # None (not NaN) is how the tables hold a value that coverage made n/a.
            value = math.nan if row["cbf"] is None else float(row["cbf"])
            table = cbf.setdefault((row["roi"], row["contrast"]), {})
            table[row["participant_id"].removeprefix("sub-"), row["session_id"].removeprefix("ses-")] = value
            defined[row["roi"]] = bool(tables.read_json(sidecar)["analysis_defined"])
    return cbf, defined


def _require(cbf, rois, contrasts):
    for roi in rois:
        for contrast in contrasts:
            if (roi, contrast) not in cbf:
                raise InputError(
                    "config",
                    "craving",
                    f"{roi}, {contrast}",
                    f"one of the pairs {sorted(cbf)}",
                    "Correct craving.rois or craving.contrast.",
                )


def _contrasts(craving):
    return [craving["contrast"]] if isinstance(craving["contrast"], str) else list(craving["contrast"])


class _Test:
    """One correlation that is asked for: who takes part, with which values."""

    def __init__(self, name, x, y, nuisance, strata, chosen, covariates):
        self.roi, self.contrast, self.timing, self.group, self.method, self.region_of = name
        self.x, self.y, self.nuisance, self.strata, self.chosen = x, y, nuisance, strata, chosen
        self.covariates = covariates
        self.estimate = math.nan
        if len(x) >= MINIMUM_N and len(x) - len(nuisance) - 3 > 0:
            self.estimate = float(statistic(x, y, nuisance, self.method))
        self.reached, self.reached_max = 1, 1


def _permute(tests, sample, of_family, resamples, seed):
    """Count for every test the orders that reach it, alone and as the largest of its family."""
    for block, size in enumerate(_blocks(resamples)):
        # One key for each participant: all tests of a block see the participants in the same orders, as far as they
        # have the same participants.
        keys = np.random.default_rng([seed, 0x6B65, block]).random((size, len(sample.participants)))
        greatest = {}
        for test, family in zip(tests, of_family):
            if math.isnan(test.estimate):
                continue
            null = permuted(
                test.x, test.y, test.nuisance, orders_within(keys[:, test.chosen], test.strata), test.method
            )
            test.reached += int(reaches(null, test.estimate).sum())
            if family:
                greatest[family] = np.fmax(greatest[family], null) if family in greatest else null
        for test, family in zip(tests, of_family):
            if family and not math.isnan(test.estimate):
                test.reached_max += int(reaches(greatest[family], test.estimate).sum())


def analyse(scores, cbf, defined, craving, arms, sessions, left_out=None):
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
        ``rois`` (names), ``contrast`` (a name or a list); optional ``covariates``, ``resamples``, ``seed``, ``test``
        and ``family`` (see :mod:`pharmasl.craving.families`).
    arms, sessions : dict
    left_out : dict, optional
        As ``cbf``, of values read from regions found without each participant; they give rows of their own beside
        those of the region of all participants, with ``region_of`` "others".

    Returns
    -------
    list of dict
        Rows of :data:`COLUMNS`.
    """
    contrasts = _contrasts(craving)
    treatment, control = arms["treatment"], arms["control"]
    sample = Sample(scores, craving, arms, sessions)
    resamples, seed = int(craving.get("resamples", RESAMPLES)), int(craving.get("seed", SEED))
    tests = []
    for region_of, values in (("all", cbf), ("others", left_out or {})):
        for roi in craving["rois"]:
            for contrast in contrasts:
                if region_of == "others" and (roi, contrast) not in values:
                    continue
                for timing in ("change", "baseline", "followup"):
                    x, y = sample.paired(values[roi, contrast], timing)
                    complete = sample.complete(x, y)
                    for group in ("all", treatment, control):
                        chosen = complete if group == "all" else complete & (sample.arm == group)
                        covariates = sample.adjustment(chosen)
                        adjust = sample.adjustment(chosen, treatment) if group == "all" else covariates
                        for method in ("pearson", "spearman", "percentage_bend"):
                            name = (roi, contrast, timing, group, method, region_of)
                            tests.append(
                                _Test(name, x[chosen], y[chosen], adjust, sample.arm[chosen], chosen, covariates)
                            )

    def family_of(row):
        return families.family(row, craving, arms, left_out or {})

    of_family = [family_of(vars(test)) for test in tests]
    _permute(tests, sample, of_family, resamples, seed)

    def stream(*label):
        # A stream of its own for each test: adding a region changes no other result.
        return np.random.default_rng([seed, zlib.crc32("\t".join(label).encode())])

    out, found = [], {}

    def add(test, group, method, result, p_max):
        adjusted = (["arm"] if group == "all" else []) + list(craving.get("covariates") or [])
        out.append(
            {
                "roi": test.roi,
                "contrast": test.contrast,
                "timing": test.timing,
                "group": group,
                "method": method,
                "region_of": test.region_of,
                **result._asdict(),
                "adjusted_for": ", ".join(adjusted) or None,
                "p_max": p_max,
                "roi_defined_by_same_data": defined[test.roi],
            }
        )
        out[-1]["family"] = family_of(out[-1])

    for test, family in zip(tests, of_family):
        label = (test.roi, test.contrast, test.timing, test.group, test.method)
        label = label if test.region_of == "all" else (*label, test.region_of)
        result = correlate(
            test.x, test.y, test.nuisance, test.strata, test.method, stream(*label), resamples,
            p=test.reached / (resamples + 1),
        )  # fmt: skip
        known = family and not math.isnan(result.estimate)
        add(test, test.group, test.method, result, test.reached_max / (resamples + 1) if known else math.nan)
        found[test.group, test.method] = (result, len(test.nuisance), test)
        if (test.timing, test.group, test.method) == ("change", control, "percentage_bend"):
            (one, k, _), (two, m, _) = found[treatment, "pearson"], found[control, "pearson"]
            both, everyone = f"{treatment} - {control}", found["all", "pearson"][2]
            method = "pearson_difference"
            add(test, both, method, compare(one, two, (k, m)), None)
            method = "slope_interaction"
            result = slope_interaction(
                everyone.x, everyone.y, everyone.strata == treatment, everyone.covariates,
                stream(test.roi, test.contrast, "change", both, method, test.region_of), resamples,
            )  # fmt: skip
            add(test, both, method, result, None)
    families.correct(out)
    return out


def write_correlations(scores_path, values_paths, sidecar_paths, table_path, craving, arms, sessions, left_out=()):
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
    left_out : sequence of path-like
        Tables as ``values_paths`` of regions found without each participant.

    Raises
    ------
    InputError
        If a configured region or contrast has no values, or a covariate is not in the scores.
    """
    cbf, defined = read_values(values_paths, sidecar_paths)
    _require(cbf, craving["rois"], _contrasts(craving))
    others = {}
    for path in left_out:
        for row in tables.read_table(path):
            table = others.setdefault((row["roi"], row["contrast"]), {})
            value = math.nan if row["cbf"] is None else float(row["cbf"])
            table[row["participant_id"].removeprefix("sub-"), row["session_id"].removeprefix("ses-")] = value
    scores = scoring.read_written(scores_path)
    for name in craving.get("covariates") or []:
        if name not in scores[0]:
            raise InputError(
                scores_path, "craving.covariates", name, f"one of {list(scores[0])}", "Correct the config."
            )
    columns = {name: dict(text) if isinstance(text, dict) else {"Description": text} for name, text in COLUMNS.items()}
    resamples, seed = int(craving.get("resamples", RESAMPLES)), int(craving.get("seed", SEED))
    columns["p"].update(Permutations=resamples, Seed=seed)
    columns["p_max"].update(Permutations=resamples, Seed=seed)
    for name in ("bca_low", "bca_high"):
        columns[name].update(BootstrapSamples=resamples, Seed=seed)
    tables.write_table(table_path, analyse(scores, cbf, defined, craving, arms, sessions, others), columns)
