"""The tables of a validation as a page in Markdown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pharmasl.validation import bank_page, study_counts
from pharmasl.validation.bank_study import BankStudy
from pharmasl.validation.error_maps import ErrorParts
from pharmasl.validation.markdown import Section, mean_words, number, share_words, table
from pharmasl.validation.outcomes import DECLARED, Outcome
from pharmasl.validation.replicates import CONFOUNDED, NOTHING, PLANTED, Replicate
from pharmasl.validation.study_counts import Called

_KINDS = {
    PLANTED: "the drug's effects are planted",
    NOTHING: "nothing is planted",
    CONFOUNDED: "the drug changes something that is no local effect on CBF",
}


@dataclass(frozen=True, kw_only=True)
class VariantParts:
    """Components of the errors of a variant's scans, one for each finished replicate."""

    variant: str
    replicates: Sequence[ErrorParts]


def compose(
    replicates: Sequence[Replicate],
    outcomes: Sequence[Outcome],
    alpha: float,
    asked: str,
    parts: Sequence[VariantParts],
    bank: BankStudy | None,
) -> str:
    """The page.

    Parameters
    ----------
    replicates : sequence of Replicate
        All that were asked for.
    outcomes : sequence of Outcome
        Of those that are finished.
    alpha : float
        Level of the analyses.
    asked : str
        What was typed after the command.
    parts : sequence of VariantParts
        Components of the scans' errors.
    bank : BankStudy or None
        None where it was not asked for, or no replicate has errors to deal.

    Returns
    -------
    str
    """
    sections = [
        _went(replicates),
        _recovery(outcomes, alpha),
        _cover(outcomes),
        _called(outcomes, alpha),
        _confounded(outcomes, alpha),
        _accuracy(outcomes),
        _parts(parts),
        *bank_page.sections(bank, alpha),
        _costs(outcomes),
    ]
    first = (
        "# Validation on simulated trials\n\n"
        f"Printed by `./run validate {asked}`. Each replicate is a whole trial with known truth ([A simulated trial](simulation.md)): drawn "
        "anew, simulated as raw images, analysed by the workflow as a study is, and compared with what was planted. Nothing is left out: "
        "replicates that failed and answers that were not given are counted as such. Intervals of shares are those of Clopper and "
        "Pearson, of means Student's, at 95 %. Replicates of one number are the same people in each variant."
    )
    return "\n\n".join([first, *map(str, sections)]) + "\n"


def _went(replicates: Sequence[Replicate]) -> Section:
    rows = study_counts.went(replicates)
    failures = [f"- {row.variant} {reason}" for row in rows for reason in row.reasons]
    return Section(
        "Replicates",
        [
            table(
                (
                    "variant",
                    "what it is",
                    "asked for",
                    "finished",
                    "failed",
                    "not ended",
                    "tried again after a failure",
                ),
                (
                    (
                        row.variant,
                        _KINDS[row.kind],
                        str(row.asked),
                        str(row.finished),
                        str(row.failed),
                        str(row.asked - row.finished - row.failed),
                        str(row.tried_again),
                    )
                    for row in rows
                ),
            ),
            "\n".join(["Why they failed:", "", *failures]) if failures else "",
        ],
    )


def _recovery(outcomes: Sequence[Outcome], alpha: float) -> Section:
    rows = [row for row in study_counts.recovery(outcomes, alpha) if row.called.number]
    kinds = {outcome.record.variant: outcome.kind for outcome in outcomes}
    return Section(
        "Recovery of what was planted",
        [
            "Means over replicates. *Planted* is the amount in grey matter at the centre; *expected* what a perfect workflow would find in these "
            "people: the truth through the scanner's resolution and the maps' smoothing, as a mean over the region; *found* the same mean of the workflow's "
            f"map. *Called* is significant at {alpha:g}, family-wise over the brain where it is a map, with the planted sign. p, distance of the peak "
            "from the planted centre and overlap with the region (Dice) are medians.",
            table(
                (
                    "variant",
                    "effect",
                    "place",
                    "planted",
                    "expected",
                    "found",
                    "found minus expected",
                    "found / expected",
                    "called",
                    "p",
                    "distance, mm",
                    "Dice",
                ),
                (
                    (
                        row.variant,
                        row.effect,
                        row.region,
                        number(row.planted),
                        number(row.expected),
                        number(row.estimate),
                        mean_words(row.error),
                        number(row.ratio),
                        share_words(row.called),
                        number(row.p, 2),
                        number(row.distance),
                        number(row.dice, 2),
                    )
                    for row in rows
                    if kinds[row.variant] == PLANTED
                ),
            ),
        ],
    )


def _cover(outcomes: Sequence[Outcome]) -> Section:
    return Section(
        "Cover of intervals",
        [
            "How often a 95 % interval of the workflow holds the truth. *In these people* is what is true of those who were drawn, which an interval for the "
            "population holds more often than 95 %; *in the population* is what was planted, where it is known exactly: no effect, and effects on scores.",
            table(
                (
                    "variant",
                    "effect",
                    "place",
                    "holds what is true in these people",
                    "holds what is true in the population",
                ),
                (
                    (row.variant, row.effect, row.region, share_words(row.sample), share_words(row.population))
                    for row in study_counts.cover(outcomes)
                ),
            ),
        ],
    )


def _called(outcomes: Sequence[Outcome], alpha: float) -> Section:
    rows = study_counts.called(outcomes, alpha)
    parts = [
        f"Replicates in which an answer is significant at {alpha:g}. Of whole-brain analyses by statistic, each corrected over the brain by itself; the "
        f"workflow concludes by the *{DECLARED}* one alone. A seed region that was not found leaves its analysis unanswered.",
    ]
    for kind, words in (
        (NOTHING, "Nothing is planted: each of these is a false positive."),
        (PLANTED, "The drug's effects are planted: power, and clusters away from all that was planted."),
    ):
        own = [row for row in rows if row.kind == kind]
        if own:
            parts += [words, _called_table(own)]
    return Section("False positives and power", parts)


def _called_table(rows: Sequence[Called]) -> str:
    return table(
        ("variant", "answer", "statistic", "significant", "not answered"),
        ((row.variant, row.answer, row.statistic or "–", share_words(row.called), str(row.unanswered)) for row in rows),
    )


def _confounded(outcomes: Sequence[Outcome], alpha: float) -> Section:
    own = [outcome for outcome in outcomes if outcome.kind == CONFOUNDED]
    if not own:
        return Section("What a confounded trial makes the workflow claim", ["No confounded replicate is finished."])
    rows = [row for row in study_counts.called(own, alpha) if row.statistic in ("", DECLARED)]
    return Section(
        "What a confounded trial makes the workflow claim",
        [
            "The drug has no local effect on CBF in these variants, and every claim of one is wrong, however good the test: `transit` delays the arrival of "
            "blood and changes no flow; `global_flow` lowers CBF everywhere alike. *Of the brain* is the mean share of its voxels that are "
            "significant in the replicates that claim something.",
            table(
                ("variant", "answer", "significant", "of the brain", "not answered"),
                (
                    (
                        row.variant,
                        row.answer,
                        share_words(row.called),
                        "–" if row.brain is None else f"{100 * row.brain:.2g} %",
                        str(row.unanswered),
                    )
                    for row in rows
                ),
            ),
            "What the estimates are of, group by time in the planned regions and in the whole brain, mL/100 g/min:",
            table(
                ("variant", "analysis", "place", "estimate, mean over replicates", "interval without zero"),
                (
                    (row.variant, row.analysis, row.region, mean_words(row.estimate), share_words(row.called))
                    for row in study_counts.changes(own)
                ),
            ),
        ],
    )


def _accuracy(outcomes: Sequence[Outcome]) -> Section:
    return Section(
        "Accuracy of the stages",
        [
            "Means of a replicate's scans or people: smallest, median and largest over all replicates.",
            table(
                ("measure", "where", "unit", "replicates", "perfect", "smallest", "median", "largest"),
                (
                    (
                        row.measure,
                        row.region,
                        row.unit,
                        str(row.replicates),
                        number(row.perfect),
                        number(row.low),
                        number(row.median),
                        number(row.high),
                    )
                    for row in study_counts.accuracy(outcomes)
                ),
            ),
        ],
    )


def _parts(variants: Sequence[VariantParts]) -> Section:
    names = ("common", "person", "session", "run")

    def cells(own: Sequence[ErrorParts]) -> list[str]:
        total = sum(sum(getattr(one, name) for name in names) for one in own)
        shares = [100 * sum(getattr(one, name) for one in own) / total for name in names]
        root = (sum(one.total for one in own) / len(own)) ** 0.5
        return [number(root), *(f"{value:.0f} %" for value in shares)]

    return Section(
        "Where the error of a scan lies",
        [
            "Smoothed CBF of a scan minus its truth, in grey matter: root mean square, mL/100 g/min, and the shares of its variance by what has it in common. "
            "What is common to *all people* is bias; what is common to all scans of a *person* (the anatomy's part: tissue, registration to the template) "
            "cancels in a change; what a *session* has in common (M0, the head's place, transit of that day) cancels in a contrast of states; the *run* has noise, motion and "
            "its registration. In a variant whose drug changes transit, that is part of the session's.",
            table(
                ("variant", "replicates", "error", "all people", "person", "session", "run"),
                ((one.variant, str(len(one.replicates)), *cells(one.replicates)) for one in variants if one.replicates),
            ),
        ],
    )


def _costs(outcomes: Sequence[Outcome]) -> Section:
    rows = study_counts.costs(outcomes)
    if not rows:
        return Section("Cost", ["Not known of these replicates."])
    stages = list(dict.fromkeys(name for row in rows for name in row.stages))

    def cells(stage: str) -> Callable[[study_counts.Cost], str]:
        def words(row: study_counts.Cost) -> str:
            cost = row.stages.get(stage)
            return "–" if cost is None else f"{cost.cpu_seconds:,.0f} ({cost.seconds / 60:.1f} min)"

        return words

    return Section(
        "Cost",
        [
            "A replicate's processor seconds and minutes by stage, and the largest its folder was before it was emptied.",
            table(
                ("variant", "replicates", "scans", "usable", *stages, "GB"),
                (
                    (
                        row.variant,
                        str(row.replicates),
                        f"{row.scans:.1f}",
                        f"{row.usable:.1f}",
                        *(cells(stage)(row) for stage in stages),
                        f"{row.gigabytes:.2f}",
                    )
                    for row in rows
                ),
            ),
        ],
    )
