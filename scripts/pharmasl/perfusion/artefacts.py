"""Artefacts in the repeats of a perfusion series: what tells of them, and rules that leave repeats out.

A repeat is one estimate of perfusion: a label-control pair, or a deltaM or CBF volume. Detection is apart from
exclusion: every detector's figures are there for every repeat, whatever the rule. Every rule judges all repeats and always
marks, however few it leaves: whatever happens to one repeat, no rule is switched off by it, and a scan with fewer good
repeats never counts more of them. Whether those that pass are enough is the quality stage's to decide.

``motion``
    The head lay further apart than a limit in the repeat's control and label, whose static tissue then does not cancel.
``score``
    SCORE, structural correlation based outlier rejection (Dolui et al. 2017, J Magn Reson Imaging, doi
    10.1002/jmri.25436), step by step as its authors' program has it. First go the repeats whose mean grey-matter CBF
    lies more than 2.5 robust standard deviations (MAD / 0.675) from the median. Then goes, again and again, the repeat
    that is *most* correlated with the mean of those left (an artefact strong enough to shape the mean is what the mean
    looks like), while the variance of the mean within the tissues falls; the last one, after which it did not fall, is
    put back.
``enable``
    Repeats in order of their motion, kept as far as the median of grey matter's t against zero rises; at least half of
    them, and all of them unless that gains more than one percent. This is the form of ENABLE (Shirzadi et al. 2018, J
    Magn Reson Imaging, doi 10.1002/jmri.25807) that ExploreASL has (Mutsaerts et al. 2020, NeuroImage, doi
    10.1016/j.neuroimage.2020.117031), though ExploreASL takes its t over the bright part of the mean difference. The
    original orders by contrast to noise, with noise from outside the head, where parallel imaging leaves none that is
    comparable, and scores by weights that were fitted to single inversion times.
``global``
    Repeats whose mean CBF over the brain lies outside limits (ASLtbx: -40 to 150 mL/100 g/min).
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from pharmasl.errors import InputError

RULES = ("motion", "score", "enable", "global")

# Of the configuration, which holds their defaults.
LIMITS = ("motion_limit", "global_limits")
# What the configuration does not ask about.
DEFAULTS = {
    # Share of a voxel from which it counts as a tissue: 0.95 for SCORE's authors, 0.75 where tissue maps are smoothed.
    "score_threshold": 0.95,
    # ExploreASL needs more than five pairs.
    "enable_least": 6,
    # ExploreASL: least relative gain in t, and least share of the repeats that stay.
    "enable_gain": 0.01,
    "enable_share": 0.5,
}

# Fewest repeats to which each rule is applied. With five values a MAD says little; ASLPrep, too, asks for more.
LEAST = {"motion": 2, "score": 6, "global": 1}
# ENABLE keeps at least so many.
LEAST_KEPT = 2
SCORE_LIMIT = 2.5
SCORE_MAD = 0.675
# A tissue of thick voxels may hardly reach SCORE's threshold, which is then lowered in these steps until there are
# enough voxels. Above one half no voxel can be two tissues.
THRESHOLDS = (0.9, 0.8, 0.7, 0.6, 0.5)
MINIMUM_VOXELS = 50

_ALONE = "whether the rule alone, applied to all repeats, would leave the repeat out"
COLUMNS = {
    "repeat": {"Description": "Number of the repeat, from 0, in order of acquisition"},
    "displacement": {
        "Description": "Framewise displacement between the repeat's control and label (labels, each by its weight)",
        "Units": "mm",
    },
    "gm_cbf": {"Description": "Mean CBF of grey matter", "Units": "mL/100 g/min"},
    "gm_deviation": {
        "Description": "Deviation of gm_cbf from the median over repeats, in robust standard deviations (median "
        "absolute deviation / 0.675)",
        "Units": "1",
    },
    "global_cbf": {"Description": "Mean CBF of the brain", "Units": "mL/100 g/min"},
    "mean_correlation": {
        "Description": "Correlation with the mean of the other repeats over grey matter, white matter and fluid",
        "Units": "1",
    },
    "residual_sd": {
        "Description": "Spatial standard deviation of the difference from the mean of the other repeats, over the same "
        "voxels",
        "Units": "mL/100 g/min",
    },
    "reached": {"Description": "Share of the brain's voxels that the repeat reaches", "Units": "1"},
    "motion_drop": {"Description": f"motion: {_ALONE}"},
    "score_drop": {"Description": f"score: {_ALONE}"},
    "enable_drop": {"Description": f"enable: {_ALONE}"},
    "global_drop": {"Description": f"global: {_ALONE}"},
    "passed": {"Description": "Whether the repeat holds a measurement and no rule in force marks it"},
    "excluded": {
        "Description": "Whether the repeat is left out of the mean: it does not pass, and others do. Where none passes, "
        "the mean is made of all that hold a measurement"
    },
    "reason": {"Description": "The first rule that marks it, and the figure by which it does"},
}


@dataclass(frozen=True)
class Choice:
    """Which repeats pass, and which make the mean.

    Attributes
    ----------
    passed : ndarray of bool, shape (N,)
    reasons : list of str
        Why a repeat does not pass; empty where it does.
    figures : list of dict
        What was measured, one a repeat.
    notes : list of str
        What could not be done as asked: a rule not applied, a tissue's threshold lowered.
    measured : ndarray of bool, shape (N,), optional
        Those that hold a measurement; all unless given.
    """

    passed: np.ndarray
    reasons: list
    figures: list
    notes: list
    measured: np.ndarray | None = None

    @property
    def kept(self):
        """The repeats that make the mean, ndarray of bool, shape (N,): those that pass, or all measured where none does."""
        if self.passed.any():
            return self.passed
        return np.ones(len(self.passed), dtype=bool) if self.measured is None else self.measured

    @property
    def rows(self):
        """One dict a repeat, with the keys of :data:`COLUMNS`."""
        outcomes = zip(self.figures, self.passed, self.kept, self.reasons, strict=True)
        return [
            {**figures, "passed": bool(passed), "excluded": not kept, "reason": reason}
            for figures, passed, kept, reason in outcomes
        ]

    @property
    def mean_of(self):
        """Of which repeats the mean is made, in words."""
        count, passed = len(self.passed), int(self.passed.sum())
        if not passed:
            return f"{int(self.kept.sum())} of {count} repeats, none of which passes"
        return f"all {count} repeats" if passed == count else f"the {passed} of {count} repeats that pass"


def choose(series, gm, wm, csf, *, displacement, rule, settings):
    """Measure every repeat of a series, and leave out those that the rule rejects.

    Parameters
    ----------
    series : ndarray of shape (V, N)
        CBF of each repeat in the voxels of the brain, mL/100 g/min; NaN where the repeat does not reach.
    gm, wm, csf : ndarray of shape (V,)
        Share of each tissue, 0 to 1.
    displacement : ndarray of shape (N,)
        Between control and label, mm; NaN where unknown.
    rule : str or sequence of str
        ``"none"``, one of :data:`RULES`, or several of them. Each judges all repeats, so that their order matters only for
        the reason that is told of a repeat that several mark.
    settings : dict
        ``motion_limit`` (mm), ``global_limits`` (mL/100 g/min), and what is to stand in place of :data:`DEFAULTS`.

    Returns
    -------
    Choice

    Raises
    ------
    InputError
        If a rule or setting is unknown or senseless.
    """
    rules, settings = check(rule, settings)
    measured = measure(series, gm, wm, csf, displacement, settings)
    marks = {name: _apply(name, measured, settings) for name in RULES}
    reasons, notes = [""] * measured.repeats, []
    for name in rules:
        marked, note = marks[name]
        if name == "score":
            notes += measured.notes
        notes += [note] if note else []
        for number, reason in marked.items():
            reasons[number] = reasons[number] or reason
    figures = [
        {"repeat": number}
        | {name: float(values[number]) for name, values in measured.figures.items()}
        | {f"{name}_drop": number in marks[name][0] for name in RULES}
        for number in range(measured.repeats)
    ]
    return Choice(np.array([not reason for reason in reasons], dtype=bool), reasons, figures, notes)


def check(rule, settings):
    """The rules as a list, and the settings complete.

    Parameters
    ----------
    rule, settings
        As for :func:`choose`.

    Returns
    -------
    rules : list of str
        Empty for ``"none"``.
    settings : dict

    Raises
    ------
    InputError
    """

    def wrong(field, found, expected):
        return InputError("config", f"perfusion.outliers.{field}", found, expected, "Correct the configuration.")

    rules = [rule] if isinstance(rule, str) else list(rule)
    rules = [] if rules == ["none"] else rules
    if not set(rules) <= set(RULES) or len(set(rules)) < len(rules):
        raise wrong("rules", rule, f"none, or one or several of {', '.join(RULES)}, each once")
    unknown, missing = set(settings) - {*LIMITS, *DEFAULTS}, [name for name in LIMITS if name not in settings]
    if unknown or missing:
        expected = f"{' and '.join(LIMITS)}, and none or some of {', '.join(DEFAULTS)}"
        raise wrong("settings", sorted(settings), expected)
    settings = {**DEFAULTS, **settings}
    low, high = settings["global_limits"]
    if not settings["motion_limit"] > 0:
        raise wrong("motion_limit", settings["motion_limit"], "a displacement above 0 mm")
    if not low < high:
        raise wrong("global_limits", settings["global_limits"], "a lower and a higher limit")
    if not 0.5 <= settings["score_threshold"] < 1:
        # A share of exactly 1 is hardly ever reached where maps have been resampled.
        raise wrong("score_threshold", settings["score_threshold"], "a share of at least 0.5 and below 1")
    if settings["enable_least"] < 3:
        raise wrong("enable_least", settings["enable_least"], "at least 3 repeats")
    if not 0 <= settings["enable_gain"] < 1 or not 0 < settings["enable_share"] <= 1:
        found = [settings["enable_gain"], settings["enable_share"]]
        raise wrong("enable_gain, enable_share", found, "shares of 0 to 1")
    return rules, settings


@dataclass(frozen=True)
class Measured:
    """The figures of all repeats, and what the rules need besides.

    Attributes
    ----------
    values : ndarray of shape (U, N)
        The series in the voxels of the three tissues.
    tissue : ndarray of int8, shape (U,)
        0 grey matter, 1 white matter, 2 fluid.
    figures : dict of ndarray of shape (N,)
    notes : list of str
    """

    values: np.ndarray
    tissue: np.ndarray
    figures: dict
    notes: list

    @property
    def repeats(self):
        """Number of repeats."""
        return self.values.shape[1]


def measure(series, gm, wm, csf, displacement, settings):
    """The figures of every repeat: see :class:`Measured` and :data:`COLUMNS`. Parameters as for :func:`choose`."""
    repeats = series.shape[1]
    tissue, notes = tissues(gm, wm, csf, settings["score_threshold"])
    inside = tissue >= 0
    values, tissue = np.ascontiguousarray(series[inside], dtype=np.float64), tissue[inside]
    grey = _mean_over_voxels(values[tissue == 0])
    figures = {
        "displacement": np.asarray(displacement, dtype=np.float64),
        "gm_cbf": grey,
        "gm_deviation": deviation(grey, np.isfinite(grey)),
        "global_cbf": _mean_over_voxels(series),
    }
    correlation, spread = np.full(repeats, np.nan), np.full(repeats, np.nan)
    _against_others(values, correlation, spread)
    reached = np.isfinite(series).mean(axis=0) if len(series) else np.zeros(repeats)
    figures |= {"mean_correlation": correlation, "residual_sd": spread, "reached": reached}
    return Measured(values, tissue, figures, notes)


def tissues(gm, wm, csf, threshold):
    """To which tissue voxels belong, by the strictest threshold that leaves the tissue enough of them.

    Parameters
    ----------
    gm, wm, csf : ndarray of shape (V,)
    threshold : float
        The first one; a voxel must lie above. :data:`THRESHOLDS` that are lower follow.

    Returns
    -------
    tissue : ndarray of int8, shape (V,)
        0, 1, 2; -1 for none.
    notes : list of str
    """
    tissue, notes = np.full(len(gm), -1, dtype=np.int8), []
    for number, (name, share) in enumerate((("grey matter", gm), ("white matter", wm), ("fluid", csf))):
        for limit in (threshold, *(step for step in THRESHOLDS if step < threshold)):
            chosen = share > limit
            if chosen.sum() >= MINIMUM_VOXELS:
                break
        tissue[chosen] = number
        if limit < threshold:
            count = int(chosen.sum())
            notes.append(f"score: {name} taken above a share of {limit:g} in place of {threshold:g} ({count} voxels)")
    return tissue, notes


def deviation(values, used):
    """Deviation from the median of the values used, in robust standard deviations (MAD / 0.675); NaN if MAD is 0."""
    if not used.any():
        return np.full(len(values), np.nan)
    middle = np.median(values[used])
    spread = np.median(np.abs(values[used] - middle)) / SCORE_MAD
    return (values - middle) / spread if spread > 0 else np.full(len(values), np.nan)


def _mean_over_voxels(values):
    here = np.isfinite(values)
    count = here.sum(axis=0)
    total = np.where(here, values, 0).sum(axis=0, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _apply(name, measured, settings):
    """One rule on all repeats: reasons by number of those it marks, and a note or an empty string."""
    least = settings["enable_least"] if name == "enable" else LEAST[name]
    if measured.repeats < least:
        return {}, f"{name}: not applied, {measured.repeats} repeats where it needs {least}"
    return {"motion": _motion, "score": _score, "enable": _enable, "global": _global}[name](measured, settings)


def _motion(measured, settings):
    moved, limit = measured.figures["displacement"], settings["motion_limit"]
    if not np.isfinite(moved).any():
        return {}, "motion: not applied, no displacement is known"
    # NaN, unknown, is not above the limit.
    found = np.flatnonzero(moved > limit)
    return {int(i): f"motion: displacement {moved[i]:.2f} mm, above {limit:g} mm" for i in found}, ""


def _global(measured, settings):
    values, (low, high) = measured.figures["global_cbf"], settings["global_limits"]
    found = np.flatnonzero(~((values >= low) & (values <= high)))
    return {int(i): f"global: mean CBF {values[i]:.1f}, outside {low:g} to {high:g} mL/100 g/min" for i in found}, ""


def _score(measured, settings):
    grey, values, tissue = measured.figures["gm_cbf"], measured.values, measured.tissue
    if (tissue == 0).sum() < 2:
        return {}, "score: not applied, no grey matter"
    dropped = {int(i): "score: reaches no grey matter" for i in np.flatnonzero(~np.isfinite(grey))}
    kept = np.isfinite(grey)
    if not kept.any():
        return dropped, ""
    far, middle = deviation(grey, kept), np.median(grey[kept])
    spread = np.median(np.abs(grey[kept] - middle)) / SCORE_MAD
    for i in np.flatnonzero(kept & (np.abs(grey - middle) > SCORE_LIMIT * spread)):
        much = f"{abs(far[i]):.1f} MAD/{SCORE_MAD:g} from the median" if spread > 0 else "unlike all others'"
        dropped[int(i)], kept[i] = f"score: mean grey-matter CBF {much}", False
    mean, correlation = np.empty(len(values)), np.empty(measured.repeats)
    last = _variance_within(values, tissue, kept, mean)
    while kept.sum() > 1:
        _correlate(values, mean, kept, correlation)
        likest = int(np.argmax(correlation))
        kept[likest] = False
        variance = _variance_within(values, tissue, kept, mean)
        # The authors' program returns what it had before the variance rose, or before only one was left.
        if not variance < last or kept.sum() < LEAST_KEPT:
            kept[likest] = True
            break
        change = 100 * (1 - variance / last)
        dropped[likest] = (
            f"score: the likest to the mean (r = {correlation[likest]:.2f}), whose variance within tissues falls "
            f"{change:.1f}% without it"
        )
        last = variance
    return dropped, ""


def _enable(measured, settings):
    moved = measured.figures["displacement"]
    grey = measured.values[measured.tissue == 0]
    if not np.isfinite(moved).any() or not len(grey):
        return {}, f"enable: not applied, no {'grey matter' if not len(grey) else 'displacement'} is known"
    # A repeat whose displacement is not known counts as still, as in ExploreASL.
    order = [int(i) for i in np.argsort(np.nan_to_num(moved), kind="stable")]
    t = np.zeros(len(order) + 1)
    total, squares, count = np.zeros(len(grey)), np.zeros(len(grey)), np.zeros(len(grey))
    for number, i in enumerate(order, start=1):
        value = grey[:, i]
        here = np.isfinite(value)
        total += np.where(here, value, 0)
        squares += np.where(here, value, 0) ** 2
        count += here
        enough = count > 1
        mean = total[enough] / count[enough]
        spread = np.sqrt(np.maximum(squares[enough] - count[enough] * mean**2, 0) / (count[enough] - 1))
        varies = spread > 0
        t[number] = np.median(np.sqrt(count[enough][varies]) * mean[varies] / spread[varies]) if varies.any() else 0
    least = max(math.ceil(settings["enable_share"] * len(order)), LEAST_KEPT)
    # Of equals the larger number.
    best = len(order) - int(np.argmax(t[least:][::-1]))
    if t[-1] > (1 - settings["enable_gain"]) * t[best]:
        return {}, ""
    gain = f"grey matter's median t {t[best]:.2f} with {best} repeats, {t[-1]:.2f} with all {len(order)}"
    return {i: f"enable: displacement {moved[i]:.2f} mm; {gain}" for i in order[best:]}, ""


@njit(cache=True, nogil=True)
def _variance_within(values, tissue, kept, mean):
    """Put the mean of the repeats kept into ``mean``; return its variance within tissues, pooled."""
    total, count = np.zeros(3), np.zeros(3)
    for v in range(values.shape[0]):
        summed, here = 0.0, 0
        for n in range(values.shape[1]):
            if kept[n] and not np.isnan(values[v, n]):
                summed += values[v, n]
                here += 1
        mean[v] = summed / here if here > 0 else np.nan
        if here > 0:
            total[tissue[v]] += mean[v]
            count[tissue[v]] += 1
    squares, degrees = 0.0, 0.0
    for v in range(values.shape[0]):
        k = tissue[v]
        if count[k] > 1 and not np.isnan(mean[v]):
            squares += (mean[v] - total[k] / count[k]) ** 2
    for k in range(3):
        if count[k] > 1:
            degrees += count[k] - 1
    return squares / degrees if degrees > 0 else np.inf


@njit(cache=True, nogil=True)
def _correlate(values, mean, kept, out):
    """Correlation of the repeats kept with the mean over voxels that have both; -2, the least, for the others."""
    repeats = values.shape[1]
    n, sx, sy = np.zeros(repeats), np.zeros(repeats), np.zeros(repeats)
    for v in range(values.shape[0]):
        for i in range(repeats):
            if kept[i] and not np.isnan(values[v, i]) and not np.isnan(mean[v]):
                n[i] += 1
                sx[i] += values[v, i]
                sy[i] += mean[v]
    for i in range(repeats):
        if n[i] > 0:
            sx[i] /= n[i]
            sy[i] /= n[i]
    sxx, syy, sxy = np.zeros(repeats), np.zeros(repeats), np.zeros(repeats)
    for v in range(values.shape[0]):
        for i in range(repeats):
            if kept[i] and not np.isnan(values[v, i]) and not np.isnan(mean[v]):
                x, y = values[v, i] - sx[i], mean[v] - sy[i]
                sxx[i] += x * x
                syy[i] += y * y
                sxy[i] += x * y
    for i in range(repeats):
        out[i] = -2.0
        # A repeat without variation is like nothing, and still before those that are out already.
        if kept[i]:
            out[i] = sxy[i] / np.sqrt(sxx[i] * syy[i]) if sxx[i] * syy[i] > 0 else -1.0


@njit(cache=True, nogil=True)
def _against_others(values, correlation, spread):
    """Correlation of each repeat with the mean of the others, and standard deviation of its difference from that."""
    voxels, repeats = values.shape
    n, sx, sy = np.zeros(repeats), np.zeros(repeats), np.zeros(repeats)
    total, count = np.zeros(voxels), np.zeros(voxels)
    for v in range(voxels):
        for i in range(repeats):
            if not np.isnan(values[v, i]):
                total[v] += values[v, i]
                count[v] += 1
        for i in range(repeats):
            if count[v] > 1 and not np.isnan(values[v, i]):
                n[i] += 1
                sx[i] += values[v, i]
                sy[i] += (total[v] - values[v, i]) / (count[v] - 1)
    for i in range(repeats):
        if n[i] > 0:
            sx[i] /= n[i]
            sy[i] /= n[i]
    sxx, syy, sxy = np.zeros(repeats), np.zeros(repeats), np.zeros(repeats)
    for v in range(voxels):
        for i in range(repeats):
            if count[v] > 1 and not np.isnan(values[v, i]):
                x = values[v, i] - sx[i]
                y = (total[v] - values[v, i]) / (count[v] - 1) - sy[i]
                sxx[i] += x * x
                syy[i] += y * y
                sxy[i] += x * y
    for i in range(repeats):
        if n[i] > 2:
            if sxx[i] * syy[i] > 0:
                correlation[i] = sxy[i] / np.sqrt(sxx[i] * syy[i])
            spread[i] = np.sqrt(max(sxx[i] + syy[i] - 2 * sxy[i], 0.0) / (n[i] - 1))
