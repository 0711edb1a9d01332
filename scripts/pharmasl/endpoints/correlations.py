"""Correlation of regional CBF with a clinical score such as cue-elicited craving, with intervals, permutation p values and corrections.

Three questions are asked of each region: is the *change* of CBF (follow-up minus baseline) related to the
change in craving, and are the two related at *baseline* and at *follow-up*? Each is answered over all participants,
adjusted for arm (both CBF and craving carry the treatment effect, so that an unadjusted correlation over both arms
would show it twice), and within each arm. Two comparisons of the arms complete them: the difference of their
correlations of changes, and the difference of their slopes (the arm-by-CBF interaction). The methods are those of
:mod:`pharmasl.statistics.partial_correlation`.

One of these is declared as the test; the others describe (:mod:`pharmasl.endpoints.families`).

All permutations of a table come from one list of orders, the same participants' for every test. The largest |r| of the
family in each order therefore has the dependence of the tests in it, and ``p_max`` controls the family-wise error with
more power than Holm's method (Westfall & Young 1993).
"""

import itertools
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pharmasl.endpoints import correlation_table, endpoint, families
from pharmasl.endpoints.correlation_table import COLUMNS, CRAVING, Outcome
from pharmasl.endpoints.regional_values import RegionalValues, Sample, Visits, read_cbf, read_values
from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.statistics import correlation_tests, multiplicity, partial_correlation
from pharmasl.statistics.correlation_tests import Correlation
from pharmasl.statistics.partial_correlation import METHODS, Observations
from pharmasl.study import settings

_TIMINGS = ("change", "baseline", "followup")


@dataclass(frozen=True)
class _Name:
    """What a row is about; the fields are columns of the table."""

    roi: str
    contrast: str
    timing: str
    group: str
    method: str
    region_of: str

    def generator(self, seed: int) -> np.random.Generator:
        """A random stream of its own: adding a region changes no other result."""
        label = [self.roi, self.contrast, self.timing, self.group, self.method]
        # The comparison of slopes has always named its reading, correlations only that of the others' cluster.
        if self.region_of != "all" or self.method in families.COMPARISONS:
            label.append(self.region_of)
        return np.random.default_rng([seed, zlib.crc32("\t".join(label).encode())])


@dataclass
class _Test:
    """A correlation, and how often permuted data reach it.

    Attributes
    ----------
    name : _Name
    data : Observations
    chosen : ndarray of bool, shape (n,)
        The participants in it.
    family : str or None
    estimate : float
        NaN where there are too few participants.
    reached, reached_max : int
        Orders, the observed one included, in which this correlation, or the largest of its family, reaches the estimate.
    """

    name: _Name
    data: Observations
    chosen: np.ndarray
    family: str | None
    estimate: float = field(init=False, default=math.nan)
    reached: int = field(init=False, default=1)
    reached_max: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        if correlation_tests.too_few(len(self.data), len(self.data.nuisance)) is None:
            self.estimate = float(self.data.statistic(self.name.method))


def _tests(
    sample: Sample,
    cbf: Mapping[tuple[str, str], Visits],
    region_of: str,
    asked: settings.RegionCorrelations,
    arms: settings.Arms,
    reread: Mapping[tuple[str, str], Visits],
) -> Iterator[_Test]:
    """All correlations of the regions, as read from the cluster of all participants or of the others."""
    for roi in asked.rois:
        if region_of == "others" and (roi, asked.contrast) not in cbf:
            continue
        for timing in _TIMINGS:
            x, y = sample.paired(cbf[roi, asked.contrast], timing)
            complete = sample.complete(x, y)
            for group in ("all", arms.treatment, arms.control):
                chosen = complete if group == "all" else complete & (sample.arm == group)
                nuisance = sample.adjustment(chosen, arms.treatment if group == "all" else None)
                data = Observations(x[chosen], y[chosen], nuisance, sample.arm[chosen])
                for method in METHODS:
                    name = _Name(roi, asked.contrast, timing, group, method, region_of)
                    yield _Test(name, data, chosen, families.family(vars(name), asked, arms, reread))


def _permute(tests: Sequence[_Test], participants: int, resamples: int, seed: int) -> None:
    """Count for every test the orders that reach it, alone and as the largest of its family."""
    estimated = [test for test in tests if not math.isnan(test.estimate)]
    for block, size in enumerate(partial_correlation.blocks(resamples)):
        # One key per participant: all tests of a block see the participants in the same orders, as far as they
        # have the same participants.
        keys = np.random.default_rng([seed, 0x6B65, block]).random((size, participants))
        greatest: dict[str, np.ndarray] = {}
        for test in estimated:
            order = partial_correlation.orders_within(keys[:, test.chosen], test.data.strata)
            null = partial_correlation.permuted(test.data, order, test.name.method)
            test.reached += int(partial_correlation.reaches(null, test.estimate).sum())
            if test.family:
                greatest[test.family] = np.fmax(greatest.get(test.family, null), null)
        for test in estimated:
            if test.family:
                test.reached_max += int(partial_correlation.reaches(greatest[test.family], test.estimate).sum())


@dataclass(frozen=True)
class _Row:
    """A result with its name, its family, and the p corrected by the largest correlation."""

    name: _Name
    result: Correlation
    family: str | None
    p_max: float | None


class _Table:
    """Makes the rows of the tests, and of the comparisons of the arms."""

    def __init__(self, sample: Sample, asked: settings.RegionCorrelations, arms: settings.Arms) -> None:
        self.sample, self.asked, self.arms = sample, asked, arms

    def row(self, test: _Test) -> _Row:
        """The row of a correlation."""
        orders = self.asked.resamples + 1
        result = correlation_tests.correlate(
            test.data,
            test.name.method,
            test.name.generator(self.asked.seed),
            self.asked.resamples,
            p=test.reached / orders,
            treatment=self.arms.treatment,
        )
        known = test.family and not math.isnan(result.estimate)
        return _Row(test.name, result, test.family, test.reached_max / orders if known else math.nan)

    def comparisons(
        self, tests: Sequence[_Test], rows: Sequence[_Row], reread: Mapping[tuple[str, str], Visits]
    ) -> Iterator[_Row]:
        """The two comparisons of the arms from one region's tests of changes and their rows."""
        pearson = {
            test.name.group: (test, row.result) for test, row in zip(tests, rows) if test.name.method == "pearson"
        }
        (treated, one), (control, two) = pearson[self.arms.treatment], pearson[self.arms.control]
        everyone, _ = pearson["all"]
        group = f"{self.arms.treatment} - {self.arms.control}"

        def named(method: str) -> tuple[_Name, str | None]:
            name = _Name(everyone.name.roi, everyone.name.contrast, "change", group, method, everyone.name.region_of)
            return name, families.family(vars(name), self.asked, self.arms, reread)

        name, family = named("pearson_difference")
        adjusted = (len(treated.data.nuisance), len(control.data.nuisance))
        yield _Row(name, correlation_tests.difference(one, two, adjusted), family, None)
        name, family = named("slope_interaction")
        result = correlation_tests.slope_interaction(
            everyone.data.x,
            everyone.data.y,
            everyone.data.strata == self.arms.treatment,
            self.sample.adjustment(everyone.chosen),
            name.generator(self.asked.seed),
            self.asked.resamples,
        )
        yield _Row(name, result, family, None)


def analyse(
    scores: pd.DataFrame,
    values: RegionalValues,
    asked: settings.RegionCorrelations,
    arms: settings.Arms,
    sessions: settings.SessionPair,
    left_out: Mapping[tuple[str, str], Visits] | None = None,
    *,
    column: str = CRAVING.column,
) -> pd.DataFrame:
    """All correlations of the regions with a score.

    Parameters
    ----------
    scores : DataFrame
        As :class:`pharmasl.endpoints.regional_values.Sample` takes them, with the covariates.
    values : RegionalValues
    asked : RegionCorrelations
    arms : Arms
    sessions : SessionPair
    left_out : mapping, optional
        CBF by region and contrast, read from regions that were found without each participant; it gives rows in addition to
        those of the region of all participants, with ``region_of`` "others".
    column : str
        Of the score.

    Returns
    -------
    DataFrame
        Columns of :data:`COLUMNS`.
    """
    reread = left_out or {}
    sample = Sample(scores, asked.covariates, arms, sessions, column)
    tests = [
        test
        for region_of, cbf in (("all", values.cbf), ("others", reread))
        for test in _tests(sample, cbf, region_of, asked, arms, reread)
    ]
    _permute(tests, len(sample.participants), asked.resamples, asked.seed)
    table = _Table(sample, asked, arms)
    rows: list[_Row] = []
    # All groups and methods of one region and timing stand together.
    for name, together in itertools.groupby(tests, lambda test: (test.name.region_of, test.name.roi, test.name.timing)):
        own = list(together)
        made = [table.row(test) for test in own]
        rows += made
        if name[-1] == "change":
            rows += table.comparisons(own, made, reread)
    return _corrected(_frame(rows, asked.covariates, values.defined_by_data))


def _frame(rows: Sequence[_Row], covariates: Sequence[str], defined_by_data: Mapping[str, bool]) -> pd.DataFrame:
    """The rows as a table, without the corrections of p."""
    records = []
    for row in rows:
        adjusted = [*["arm"] * (row.name.group == "all"), *covariates]
        records.append(
            {
                **vars(row.name),
                **vars(row.result),
                "adjusted_for": ", ".join(adjusted) or None,
                "family": row.family,
                "p_max": row.p_max,
                "roi_defined_by_same_data": defined_by_data[row.name.roi],
            }
        )
    return pd.DataFrame(records, columns=list(COLUMNS), dtype=object)


def _corrected(table: pd.DataFrame) -> pd.DataFrame:
    """The table with role, size of the family and corrected p from its columns ``p`` and ``family``.

    A test without a p stays in its family; a description has no corrected p.
    """
    tested = table["family"].notna()
    table = table.assign(
        role=np.where(tested, families.TESTED, families.DESCRIBED), family_size=None, p_holm=math.nan, p_fdr=math.nan
    ).astype(object)
    for _, own in table[tested].groupby("family"):
        p = own["p"].to_numpy(np.float64)
        table.loc[own.index, "family_size"] = len(own)
        table.loc[own.index, "p_holm"] = multiplicity.holm(p)
        table.loc[own.index, "p_fdr"] = multiplicity.q_values(p)
    return table


def write_correlations(
    scores_path: FilePath,
    values_paths: Sequence[FilePath],
    sidecar_paths: Sequence[FilePath],
    table_path: FilePath,
    asked: settings.RegionCorrelations,
    arms: settings.Arms,
    sessions: settings.SessionPair,
    *,
    left_out: Sequence[FilePath] = (),
) -> None:
    """Read scores and regional values and write the table of their correlations.

    Parameters
    ----------
    scores_path : path-like
        As ``craving_scores`` writes it.
    values_paths : sequence of path-like
        As ``roi_values`` writes them, one per region.
    sidecar_paths : sequence of path-like
        The JSON of each of those regions' masks, in the same order.
    table_path : path-like
    asked : RegionCorrelations
    arms : Arms
    sessions : SessionPair
    left_out : sequence of path-like
        Tables as ``values_paths`` of regions found without each participant.

    Raises
    ------
    InputError
        If a configured region has no values of the contrast, or a covariate is not in the scores.
    """
    files = RelationFiles(values=values_paths, sidecars=sidecar_paths, left_out=left_out, table=table_path)
    scores = endpoint.read_scores(scores_path)
    for name in asked.covariates:
        if name not in scores:
            raise InputError(
                file=scores_path,
                field="craving.covariates",
                found=name,
                expected=f"one of {list(scores)}",
                fix="Correct craving.covariates of the configuration.",
            )
    relate(scores, files, asked, arms, sessions, outcome=CRAVING)


@dataclass(frozen=True, kw_only=True)
class RelationFiles:
    """The files of a score's relations to regions.

    Attributes
    ----------
    values : sequence of path-like
        As ``roi_values`` writes them, one per region.
    sidecars : sequence of path-like
        The JSON of each of those regions' masks, in the same order.
    left_out : sequence of path-like
        Tables as ``values`` of regions found without each participant.
    table : path-like
        Written.
    """

    values: Sequence[FilePath]
    sidecars: Sequence[FilePath]
    left_out: Sequence[FilePath]
    table: FilePath


def relate(
    scores: pd.DataFrame,
    files: RelationFiles,
    asked: settings.RegionCorrelations,
    arms: settings.Arms,
    sessions: settings.SessionPair,
    *,
    outcome: Outcome,
) -> None:
    """Correlate a score with regional values and write the table.

    Parameters
    ----------
    scores : DataFrame
        As for :func:`analyse`.
    files : RelationFiles
    asked : RegionCorrelations
    arms : Arms
    sessions : SessionPair
    outcome : Outcome

    Raises
    ------
    InputError
        If a configured region has no values of the contrast.
    """
    values = read_values(files.values, files.sidecars)
    for roi in asked.rois:
        if (roi, asked.contrast) not in values.cbf:
            raise InputError(
                file="config",
                field=outcome.field,
                found=f"{roi}, {asked.contrast}",
                expected=f"one of the pairs {sorted(values.cbf)}",
                fix=f"Correct {outcome.field}.rois or {outcome.field}.contrast.",
            )
    columns = correlation_table.columns(outcome)
    for name in ("p", "p_max"):
        columns[name] |= {"Permutations": asked.resamples, "Seed": asked.seed}
    for name in ("bca_low", "bca_high"):
        columns[name] |= {"BootstrapSamples": asked.resamples, "Seed": asked.seed}
    table = analyse(scores, values, asked, arms, sessions, read_cbf(files.left_out), column=outcome.column)
    tables.write_table(files.table, tables.records(table), columns)
