"""Correlation of regional CBF with cue-elicited craving, with intervals, permutation p values and corrections.

Three questions are asked of each region and contrast: does the *change* of CBF (follow-up minus baseline) go with the
change of craving, and do the two go together at *baseline* and at *follow-up*? Each is answered over all participants,
adjusted for arm (both CBF and craving carry the treatment effect, so that an unadjusted correlation over both arms
would show it twice), and within each arm. Two comparisons of the arms complete them: the difference of their
correlations of changes, and the difference of their slopes (the arm-by-CBF interaction).

Pearson's r of residuals from arm and covariates is the partial correlation; with ranks in place of values (covariates
ranked too) it is the partial Spearman correlation; the percentage bend correlation of those residuals withstands single
wild values.

One of these is declared as the test; the others describe (:mod:`pharmasl.endpoints.families`).

All permutations of a table come from one list of orders, the same participants' for every test. The largest |r| of the
family in each order therefore has the dependence of the tests in it, and ``p_max`` controls the family-wise error with
more power than Holm's method (Westfall & Young 1993).
"""

import logging
import math
import zlib

import numpy as np

from pharmasl.endpoints import families
from pharmasl.endpoints import scores as scoring
from pharmasl.endpoints.correlation_table import COLUMNS
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.statistics import correlation_tests, covariates, multiplicity, partial_correlation

log = logging.getLogger(__name__)


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
        self.covariates = covariates.uncentred(list(first.values()), list(craving.get("covariates") or []))
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
        self.data, self.chosen = partial_correlation.Observations(x, y, nuisance, strata), chosen
        self.covariates = covariates
        self.estimate = math.nan
        if correlation_tests.too_few(len(x), len(nuisance)) is None:
            self.estimate = float(self.data.statistic(self.method))
        self.reached, self.reached_max = 1, 1


def _permute(tests, sample, of_family, resamples, seed):
    """Count for every test the orders that reach it, alone and as the largest of its family."""
    for block, size in enumerate(partial_correlation.blocks(resamples)):
        # One key for each participant: all tests of a block see the participants in the same orders, as far as they
        # have the same participants.
        keys = np.random.default_rng([seed, 0x6B65, block]).random((size, len(sample.participants)))
        greatest = {}
        for test, family in zip(tests, of_family):
            if math.isnan(test.estimate):
                continue
            null = partial_correlation.permuted(
                test.data, partial_correlation.orders_within(keys[:, test.chosen], test.data.strata), test.method
            )
            test.reached += int(partial_correlation.reaches(null, test.estimate).sum())
            if family:
                greatest[family] = np.fmax(greatest[family], null) if family in greatest else null
        for test, family in zip(tests, of_family):
            if family and not math.isnan(test.estimate):
                test.reached_max += int(partial_correlation.reaches(greatest[family], test.estimate).sum())


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
        and ``family`` (see :mod:`pharmasl.endpoints.families`).
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
    resamples, seed = (
        int(craving.get("resamples", 9999)),
        int(craving.get("seed", 20200218)),
    )
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
                **vars(result),
                "adjusted_for": ", ".join(adjusted) or None,
                "p_max": p_max,
                "roi_defined_by_same_data": defined[test.roi],
            }
        )
        out[-1]["family"] = family_of(out[-1])

    for test, family in zip(tests, of_family):
        label = (test.roi, test.contrast, test.timing, test.group, test.method)
        label = label if test.region_of == "all" else (*label, test.region_of)
        result = correlation_tests.correlate(
            test.data,
            test.method,
            stream(*label),
            resamples,
            p=test.reached / (resamples + 1),
            treatment=treatment,
        )
        known = family and not math.isnan(result.estimate)
        add(test, test.group, test.method, result, test.reached_max / (resamples + 1) if known else math.nan)
        found[test.group, test.method] = (result, len(test.data.nuisance), test)
        if (test.timing, test.group, test.method) == ("change", control, "percentage_bend"):
            (one, k, _), (two, m, _) = found[treatment, "pearson"], found[control, "pearson"]
            both, everyone = f"{treatment} - {control}", found["all", "pearson"][2]
            method = "pearson_difference"
            add(test, both, method, correlation_tests.difference(one, two, (k, m)), None)
            method = "slope_interaction"
            result = correlation_tests.slope_interaction(
                everyone.data.x,
                everyone.data.y,
                everyone.data.strata == treatment,
                everyone.covariates,
                stream(test.roi, test.contrast, "change", both, method, test.region_of),
                resamples,
            )
            add(test, both, method, result, None)
    _correct(out)
    return out


def _correct(rows):
    """Write role, size of the family and the corrected p into rows that have ``p`` and ``family``.

    A test without a p stays in its family; a description has no corrected p.
    """
    for row in rows:
        row.update(
            role=families.TESTED if row["family"] else families.DESCRIBED,
            family_size=None,
            p_holm=math.nan,
            p_fdr=math.nan,
        )
    for name in dict.fromkeys(row["family"] for row in rows if row["family"]):
        members = [row for row in rows if row["family"] == name]
        p = [row["p"] for row in members]
        for row, holm, rate in zip(members, multiplicity.holm(p), multiplicity.q_values(p)):
            row.update(family_size=len(p), p_holm=float(holm), p_fdr=float(rate))


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
    resamples, seed = (
        int(craving.get("resamples", 9999)),
        int(craving.get("seed", 20200218)),
    )
    columns["p"].update(Permutations=resamples, Seed=seed)
    columns["p_max"].update(Permutations=resamples, Seed=seed)
    for name in ("bca_low", "bca_high"):
        columns[name].update(BootstrapSamples=resamples, Seed=seed)
    tables.write_table(table_path, analyse(scores, cbf, defined, craving, arms, sessions, others), columns)
