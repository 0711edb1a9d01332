"""The trials of an error bank counted: what was called, how p is distributed where nothing is planted, and the cover of intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from pharmasl.files.tables import Row
from pharmasl.statistics.proportions import Share, share
from pharmasl.validation.bank_study import STATISTICS, BankTrials
from pharmasl.validation.bank_tests import ABSOLUTE
from pharmasl.validation.outcomes import DECLARED
from pharmasl.validation.replicates import NOTHING
from pharmasl.validation.study_counts import Mean, mean

LEVELS = (0.01, 0.05, 0.1, 0.5)
# What a p may be above a level of which it is a whole share of the relabellings: tables keep logarithms.
_ROUNDING = 1e-9


def _at_most(p: np.ndarray, level: float) -> np.ndarray:
    return p <= level * (1 + _ROUNDING)


@dataclass(frozen=True, kw_only=True)
class BankCount:
    """An answer over the trials of a variant.

    Attributes
    ----------
    variant, kind, answer, scaling : str
    called : dict of str to Share
        Trials in which it is significant, by statistic, of those in which it was tested.
    at_effect : Share or None
        Trials in which the declared statistic is significant near the resting effect; None of answers that have no place.
    brain : float or None
        Mean share of the brain's voxels that are significant in the trials that called something.
    untested : int
    """

    variant: str
    kind: str
    answer: str
    scaling: str
    called: dict[str, Share]
    at_effect: Share | None
    brain: float | None
    untested: int


def called(trials: BankTrials) -> list[BankCount]:
    """Each answer of a variant."""
    counts = []
    for (answer, scaling), own in _grouped(trials.answers, ("analysis", "scaling")).items():
        tested = [row for row in own if row[DECLARED] is not None]
        shares = [float(row["brain"]) for row in tested if row["brain"] is not None]
        significant = [value for value in shares if value > 0]
        counts.append(
            BankCount(
                variant=trials.variant.name,
                kind=trials.variant.kind,
                answer=answer,
                scaling=scaling,
                called={
                    name: share(int(_at_most(_numbers(tested, name), trials.variant.alpha).sum()), len(tested))
                    for name in STATISTICS
                    if all(row[name] is not None for row in tested)
                },
                at_effect=share(sum(row["at_effect"] == "yes" for row in tested), len(tested)) if shares else None,
                brain=float(np.mean(significant)) if significant else None,
                untested=len(own) - len(tested),
            )
        )
    return counts


@dataclass(frozen=True, kw_only=True)
class Uniformity:
    """The p of an answer over trials in which nothing is planted.

    Attributes
    ----------
    variant, answer, scaling, statistic : str
    at_most : dict of float to Share
        Trials whose p is at most so much, of those in which it was tested.
    excess : float
        The largest amount by which the share of p at most x is above x, whatever x: Smirnov's one-sided statistic.
    chance : float
        Of an excess as large or larger if p is uniform (exactly, Birnbaum and Tingey, Ann Math Stat 1951, doi
        10.1214/aoms/1177729550), or stands above it, as the discrete p of relabellings and those of clusters do.
    """

    variant: str
    answer: str
    scaling: str
    statistic: str
    at_most: dict[float, Share]
    excess: float
    chance: float


def uniformity(trials: BankTrials) -> list[Uniformity]:
    """Each p of a variant in which nothing is planted: of answers by statistic, then of planned regions; none of other variants."""
    if trials.variant.kind != NOTHING:
        return []
    rows = []
    for (answer, scaling), own in _grouped(trials.answers, ("analysis", "scaling")).items():
        tested = [row for row in own if row[DECLARED] is not None]
        known = [name for name in STATISTICS if tested and all(row[name] is not None for row in tested)]
        for name in known:
            # What an analysis concludes by is one of the others, unless it is any of them.
            if name != DECLARED or not any(_same(tested, name, other) for other in known if other != name):
                rows.append(_uniformity(trials, answer, scaling, name, _numbers(tested, name)))
    for (answer, region), own in _grouped(trials.regions, ("analysis", "roi")).items():
        rows.append(_uniformity(trials, f"{answer}, {region}", ABSOLUTE, "region", _numbers(own, "p")))
    return rows


def _uniformity(trials: BankTrials, answer: str, scaling: str, statistic: str, p: np.ndarray) -> Uniformity:
    excess, chance = smirnov(p)
    return Uniformity(
        variant=trials.variant.name,
        answer=answer,
        scaling=scaling,
        statistic=statistic,
        at_most={level: share(int(_at_most(p, level).sum()), len(p)) for level in LEVELS},
        excess=excess,
        chance=chance,
    )


def smirnov(p: np.ndarray) -> tuple[float, float]:
    """By how much p are smaller than uniform ones, and the chance of that.

    Parameters
    ----------
    p : ndarray of shape (n,)

    Returns
    -------
    excess, chance : float
        See :class:`Uniformity`.
    """
    ordered = np.sort(p)
    excess = max(float((np.arange(1, len(p) + 1) / len(p) - ordered).max()), 0.0)
    return excess, float(special.smirnov(len(p), excess))


@dataclass(frozen=True, kw_only=True)
class RegionCover:
    """The estimate of a planned region over the trials of a variant.

    Attributes
    ----------
    variant, analysis, region : str
    planted : float
        The effect in the population's maps.
    error : Mean
        Of the estimates minus that.
    width : float
        Of the intervals, mean.
    holds : Share
        Trials whose interval holds what is planted.
    called : Share
        Trials whose p of the region alone is significant.
    """

    variant: str
    analysis: str
    region: str
    planted: float
    error: Mean
    width: float
    holds: Share
    called: Share


def cover(trials: BankTrials) -> list[RegionCover]:
    """Each planned region in each analysis whose effect in the population is known exactly."""
    rows = []
    for (analysis, region), every in _grouped(trials.regions, ("analysis", "roi")).items():
        own = [row for row in every if row["planted"] is not None]
        if own:
            low, high, estimate, planted = (
                _numbers(own, name) for name in ("ci_low", "ci_high", "estimate", "planted")
            )
            rows.append(
                RegionCover(
                    variant=trials.variant.name,
                    analysis=analysis,
                    region=region,
                    planted=float(planted.mean()),
                    error=mean((estimate - planted).tolist()),
                    width=float((high - low).mean()),
                    holds=share(int(((low <= planted) & (planted <= high)).sum()), len(own)),
                    called=share(int(_at_most(_numbers(own, "p"), trials.variant.alpha).sum()), len(own)),
                )
            )
    return rows


def _grouped(rows: Sequence[Row], columns: tuple[str, str]) -> dict[tuple[str, str], list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row[columns[0]], row[columns[1]]), []).append(row)
    return groups


def _same(rows: Sequence[Row], first: str, second: str) -> bool:
    return all(row[first] == row[second] for row in rows)


def _numbers(rows: Sequence[Row], column: str) -> np.ndarray:
    return np.array([float(row[column]) for row in rows])
