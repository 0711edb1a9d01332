"""The outcomes of many replicates counted: recovery, cover, what was called significant, and what it cost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from pharmasl.statistics.noncentral_t import critical_t
from pharmasl.statistics.proportions import Share, share
from pharmasl.validation.outcomes import DECLARED, Compared, Outcome
from pharmasl.validation.replicates import Record, Replicate, StageCost, read_record

Item = TypeVar("Item")

# What the comparison calls an effect that is significant and of the planted sign.
_CALLED = "found"
# How the verdicts begin of a region's estimate, of what is described, and of measures of accuracy.
_ESTIMATED, _DESCRIBED, _MEASURES = "estimated", "described", ("each", "lowest", "worst")
# Unit of the comparison's count of clusters that touch nothing planted.
_STRAY = "significant clusters"
ANY_PRIMARY = "any primary answer, corrected together"


@dataclass(frozen=True)
class Mean:
    """A mean over replicates with its 95 % interval by Student's t.

    Attributes
    ----------
    value : float
    low, high : float or None
        None of fewer than two replicates.
    """

    value: float
    low: float | None
    high: float | None


def mean(values: Sequence[float]) -> Mean:
    """The mean of one or more values."""
    data = np.array(values, dtype=np.float64)
    if len(data) < 2:
        return Mean(float(data.mean()), None, None)
    reach = float(critical_t(len(data) - 1, 0.05, two_sided=True)) * data.std(ddof=1) / np.sqrt(len(data))
    return Mean(float(data.mean()), float(data.mean() - reach), float(data.mean() + reach))


@dataclass(frozen=True, kw_only=True)
class Went:
    """How many replicates of a variant there are.

    Attributes
    ----------
    variant, kind : str
    asked, finished, failed : int
        Those that are neither finished nor failed were not begun, or were stopped.
    tried_again : int
        Of the finished and failed ones, those that had failed before.
    reasons : tuple of str
        Of the failed ones.
    """

    variant: str
    kind: str
    asked: int
    finished: int
    failed: int
    tried_again: int
    reasons: tuple[str, ...]


def went(replicates: Sequence[Replicate]) -> list[Went]:
    """How the replicates of each variant went, failures among them."""
    rows = []
    for name in _distinct(replicate.variant.name for replicate in replicates):
        own = [replicate for replicate in replicates if replicate.variant.name == name]
        records = [record for replicate in own if (record := read_record(replicate.folder))]
        failed = [record for record in records if not record.is_finished]
        rows.append(
            Went(
                variant=name,
                kind=own[0].variant.kind,
                asked=len(own),
                finished=len(records) - len(failed),
                failed=len(failed),
                tried_again=sum(record.failures > 0 for record in records),
                reasons=tuple(f"{record.number}, {record.failed_at}: {record.reason}" for record in failed),
            )
        )
    return rows


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """A planted effect over the replicates of a variant.

    Attributes
    ----------
    variant, effect, region, unit : str
    replicates : int
    planted : float or None
        Mean; None of a region, whose voxels are planted with unlike amounts.
    expected, estimate : float
        Means.
    error : Mean
        Of the estimate minus what is expected.
    ratio : float or None
        Mean estimate over mean expected; None of a region where the expected mean is not shown to differ from zero.
    called : Share
        Replicates in which it is significant with the planted sign.
    p, distance, dice : float or None
        Medians over the replicates that called it.
    """

    variant: str
    effect: str
    region: str
    unit: str
    replicates: int
    planted: float | None
    expected: float
    estimate: float
    error: Mean
    ratio: float | None
    called: Share
    p: float | None
    distance: float | None
    dice: float | None


def recovery(outcomes: Sequence[Outcome], alpha: float) -> list[Recovery]:
    """The effects that a replicate's comparison tests, by variant; those that were planted with an amount of zero have no place here."""
    rows = []
    for variant, effect, region, own in _compared(outcomes):
        pairs = [(row.expected, row.estimate) for row in own if row.planted != 0]
        known = [(expected, value) for expected, value in pairs if expected is not None and value is not None]
        if not known or own[0].verdict.startswith((*_MEASURES, _DESCRIBED)):
            continue
        expected, estimates = (np.array(values) for values in zip(*known))
        planted = [row.planted for row in own if row.planted is not None]
        away = mean(expected.tolist())
        is_there = bool(planted) or (away.low is not None and away.high is not None and not away.low <= 0 <= away.high)
        rows.append(
            Recovery(
                variant=variant,
                effect=effect,
                region=region,
                unit=own[0].unit,
                replicates=len(own),
                planted=float(np.mean(planted)) if planted else None,
                expected=away.value,
                estimate=float(estimates.mean()),
                error=mean((estimates - expected).tolist()),
                ratio=float(estimates.mean() / expected.mean()) if is_there else None,
                called=share(sum(_is_called(row, alpha) for row in own), len(own)),
                p=_median(row.p for row in own),
                distance=_median(row.distance for row in own),
                dice=_median(row.dice for row in own),
            )
        )
    return rows


def _is_called(row: Compared, alpha: float) -> bool:
    """Whether an effect was significant and had the sign of the truth."""
    if row.verdict != _ESTIMATED:
        return row.verdict == _CALLED
    same_sign = np.sign(row.estimate or 0) == np.sign(row.expected or 0)
    return row.p is not None and row.p <= alpha and bool(same_sign)


@dataclass(frozen=True, kw_only=True)
class Cover:
    """How often an interval holds the truth.

    Attributes
    ----------
    variant, effect, region : str
    sample : Share
        What is true of the people who were drawn.
    population : Share
        What was planted in the population, where that is known exactly; of no replicates elsewhere.
    """

    variant: str
    effect: str
    region: str
    sample: Share
    population: Share


def cover(outcomes: Sequence[Outcome]) -> list[Cover]:
    """The intervals of each variant, by effect and region."""
    rows = []
    for variant, effect, region, own in _compared(outcomes):
        sample = [row.holds for row in own if row.holds is not None]
        population = [row.holds_population for row in own if row.holds_population is not None]
        if sample or population:
            rows.append(
                Cover(
                    variant=variant,
                    effect=effect,
                    region=region,
                    sample=share(sum(sample), len(sample)),
                    population=share(sum(population), len(population)),
                )
            )
    return rows


@dataclass(frozen=True, kw_only=True)
class Called:
    """How often an answer was significant.

    Attributes
    ----------
    variant, kind : str
    answer : str
        Name of the analysis or the answer.
    statistic : str
        Of a whole-brain analysis; empty of another answer.
    called : Share
        Of the replicates in which it was answered.
    unanswered : int
        Replicates in which it was not.
    brain : float or None
        Mean share of the brain's voxels that are significant, of the declared statistic, in the replicates that called it.
    """

    variant: str
    kind: str
    answer: str
    statistic: str
    called: Share
    unanswered: int
    brain: float | None


def called(outcomes: Sequence[Outcome], alpha: float) -> list[Called]:
    """Each answer of each variant: analyses by statistic, then the other answers, then the trial's verdict."""
    rows = []
    for variant in _distinct(outcome.record.variant for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.record.variant == variant]
        rows += _called_analyses(variant, own, alpha)
        analyses = {analysis.name for outcome in own for analysis in outcome.analyses}
        for name in _distinct(answer.name for outcome in own for answer in outcome.answers):
            if name not in analyses:
                p = [answer.p for outcome in own for answer in outcome.answers if answer.name == name]
                rows.append(_called(variant, own, name, "", p, alpha))
        rows += _stray(variant, own)
        least = [_least(answer.p_corrected for answer in outcome.answers) for outcome in own]
        rows.append(_called(variant, own, ANY_PRIMARY, "", least, alpha))
    return rows


def _called_analyses(variant: str, outcomes: Sequence[Outcome], alpha: float) -> list[Called]:
    rows = []
    for name in _distinct(analysis.name for outcome in outcomes for analysis in outcome.analyses):
        own = [analysis for outcome in outcomes for analysis in outcome.analyses if analysis.name == name]
        for statistic in _distinct([DECLARED, *(key for analysis in own for key in analysis.least_p)]):
            p = [analysis.least_p.get(statistic) for analysis in own]
            shares = [analysis.called for analysis in own if analysis.called > 0]
            brain = float(np.mean(shares)) if shares and statistic == DECLARED else None
            rows.append(_called(variant, outcomes, name, statistic, p, alpha, brain))
    return rows


def _stray(variant: str, outcomes: Sequence[Outcome]) -> list[Called]:
    """Analyses with a significant cluster that touches nothing of what was planted."""
    counts: dict[str, list[float]] = {}
    for outcome in outcomes:
        for row in outcome.compared:
            if row.unit == _STRAY and row.estimate is not None:
                counts.setdefault(f"{row.effect}, {row.region}", []).append(row.estimate)
    return [
        Called(
            variant=variant,
            kind=outcomes[0].kind,
            answer=name,
            statistic="",
            called=share(sum(value > 0 for value in own), len(own)),
            unanswered=len(outcomes) - len(own),
            brain=None,
        )
        for name, own in counts.items()
    ]


def _called(
    variant: str,
    outcomes: Sequence[Outcome],
    answer: str,
    statistic: str,
    p: Sequence[float | None],
    alpha: float,
    brain: float | None = None,
) -> Called:
    answered = [value for value in p if value is not None]
    return Called(
        variant=variant,
        kind=outcomes[0].kind,
        answer=answer,
        statistic=statistic,
        called=share(sum(value <= alpha for value in answered), len(answered)),
        unanswered=len(outcomes) - len(answered),
        brain=brain,
    )


@dataclass(frozen=True, kw_only=True)
class Change:
    """The estimate of a region or the whole brain over replicates.

    Attributes
    ----------
    variant, kind, analysis, region : str
    estimate : Mean
    called : Share
        Of the replicates, those with an interval that does not hold zero.
    """

    variant: str
    kind: str
    analysis: str
    region: str
    estimate: Mean
    called: Share


def changes(outcomes: Sequence[Outcome]) -> list[Change]:
    """Estimates of regions and of the whole brain, by variant and analysis."""
    by_key: dict[tuple[str, str, str, str], list[tuple[float, bool]]] = {}
    for outcome in outcomes:
        for row in outcome.changes:
            if row.estimate is not None and row.low is not None and row.high is not None:
                key = (outcome.record.variant, outcome.kind, row.analysis, row.region)
                by_key.setdefault(key, []).append((row.estimate, not row.low <= 0 <= row.high))
    return [
        Change(
            variant=variant,
            kind=kind,
            analysis=analysis,
            region=region,
            estimate=mean([estimate for estimate, _ in own]),
            called=share(sum(away for _, away in own), len(own)),
        )
        for (variant, kind, analysis, region), own in by_key.items()
    ]


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """A measure of the workflow's accuracy over all replicates.

    Attributes
    ----------
    measure, region, unit : str
    replicates : int
    perfect : float
    low, median, high : float
        Of the replicates' means.
    """

    measure: str
    region: str
    unit: str
    replicates: int
    perfect: float
    low: float
    median: float
    high: float


def accuracy(outcomes: Sequence[Outcome]) -> list[Accuracy]:
    """What the comparison measures of maps, masks, registrations and motion correction, over all variants."""
    by_key: dict[tuple[str, str, str], list[Compared]] = {}
    for outcome in outcomes:
        for row in outcome.compared:
            if row.verdict.startswith(_MEASURES) and row.estimate is not None:
                by_key.setdefault((row.effect, row.region, row.unit), []).append(row)
    rows = []
    for (measure, region, unit), own in by_key.items():
        values = np.array([float(row.estimate or 0) for row in own])
        perfect = [float(row.expected or 0) for row in own]
        rows.append(
            Accuracy(
                measure=measure,
                region=region,
                unit=unit,
                replicates=len(own),
                perfect=float(np.mean(perfect)),
                low=float(values.min()),
                median=float(np.median(values)),
                high=float(values.max()),
            )
        )
    return rows


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a replicate costs, as means over those that are finished.

    Attributes
    ----------
    variant : str
    replicates : int
    stages : dict of str to StageCost
    gigabytes : float
        Largest folder.
    scans, usable : float
    """

    variant: str
    replicates: int
    stages: dict[str, StageCost]
    gigabytes: float
    scans: float
    usable: float


def costs(outcomes: Sequence[Outcome]) -> list[Cost]:
    """Costs by variant, of replicates that this command has run."""
    rows = []
    for variant in _distinct(outcome.record.variant for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.record.variant == variant and outcome.record.costs]
        if not own:
            continue
        records: list[Record] = [outcome.record for outcome in own]
        names = _distinct(name for record in records for name in record.costs)
        rows.append(
            Cost(
                variant=variant,
                replicates=len(own),
                stages={name: _mean_cost([record.costs[name] for record in records]) for name in names},
                gigabytes=max(record.peak_bytes for record in records) / 1e9,
                scans=float(np.mean([outcome.scans for outcome in own])),
                usable=float(np.mean([outcome.usable for outcome in own])),
            )
        )
    return rows


def _mean_cost(parts: Sequence[StageCost]) -> StageCost:
    return StageCost(
        seconds=float(np.mean([part.seconds for part in parts])),
        cpu_seconds=float(np.mean([part.cpu_seconds for part in parts])),
    )


def _compared(outcomes: Sequence[Outcome]) -> list[tuple[str, str, str, list[Compared]]]:
    """The comparisons' rows by variant, effect and region, one of each replicate that has it."""
    by_key: dict[tuple[str, str, str], list[Compared]] = {}
    for outcome in outcomes:
        for row in outcome.compared:
            by_key.setdefault((outcome.record.variant, row.effect, row.region), []).append(row)
    return [(*key, own) for key, own in by_key.items()]


def _distinct(items: Iterable[Item]) -> list[Item]:
    return list(dict.fromkeys(items))


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _least(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)
