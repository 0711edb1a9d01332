"""The error bank's sections of the page of a validation."""

from collections.abc import Sequence

from pharmasl.validation import bank_counts
from pharmasl.validation.bank_counts import LEVELS, BankCount
from pharmasl.validation.bank_study import STATISTICS, BankStudy, BankTrials
from pharmasl.validation.markdown import Section, mean_words, number, share_words, table
from pharmasl.validation.replicates import CONFOUNDED, NOTHING, PLANTED

_TITLE = "Error bank"
_KINDS = {
    NOTHING: "Nothing is planted: each of these is a false positive.",
    PLANTED: "The drug's effects are planted: power.",
}


def sections(bank: BankStudy | None, alpha: float) -> list[Section]:
    """What the bank's trials were and called, the p where nothing is planted, and the cover of intervals.

    Parameters
    ----------
    bank : BankStudy or None
        None where it was not asked for, or no replicate has errors to deal.
    alpha : float
        Level of the analyses.
    """
    if bank is None:
        words = "No trials of the error bank: none were asked for, no replicate has errors to deal, or the command was stopped before them."
        return [Section(_TITLE, [words])]
    return [_called(bank, alpha), _uniform(bank), _cover(bank)]


def _called(bank: BankStudy, alpha: float) -> Section:
    spent = [seconds for trials in bank.variants for seconds in trials.cpu_seconds]
    cost = f", {sum(spent) / len(spent):.1f} processor seconds a trial" if spent else ""
    parts = [
        f"Trials drawn anew on a grid of {bank.spacing:g} mm: people, levels and effects as the simulator draws them, with the errors of whole people of a replicate "
        "dealt at random, their sessions in random order, and tested by the workflow's own analyses, models of regions, comparison of craving and correction of the primary "
        f"answers, {bank.permutations} relabellings{cost}. The intervals take trials as independent, though all are given the errors of the same few raw trials: "
        "they say what the tests do with such errors, and nothing of how errors differ between raw trials. *Scaled* is with each scan divided by its brain's mean. "
        "Not tested is an analysis whose seed region, a cluster of another analysis, is not there, or too few people had its scans.",
        table(
            ("variant", "trials", "errors of"),
            ((one.variant.name, str(len(one.cpu_seconds)), ", ".join(one.sources)) for one in bank.variants),
        ),
        "\n".join(f"- {name}: none, since {reason}" for name, reason in bank.lacking.items()),
        f"Significant at {alpha:g}:",
    ]
    for kind, words in _KINDS.items():
        own = [trials for trials in bank.variants if trials.variant.kind == kind]
        if own:
            parts += [words, _called_table(own, with_place=kind == PLANTED)]
    confounded = [trials for trials in bank.variants if trials.variant.kind == CONFOUNDED]
    if confounded:
        parts += [
            "The drug has no local effect in these variants, and each claim of one is wrong. *Of the brain* is the mean share of its voxels that are significant in "
            "the trials that claim something.",
            _confounded_table(confounded),
        ]
    return Section(_TITLE, parts)


def _name(count: BankCount) -> tuple[str, str]:
    return count.answer, "–" if count.at_effect is None else count.scaling


def _called_table(trials: Sequence[BankTrials], *, with_place: bool) -> str:
    place = ("declared, at the resting effect",) if with_place else ()
    return table(
        ("variant", "answer", "CBF", *STATISTICS, *place, "not tested"),
        (
            (
                one.variant,
                *_name(one),
                *(share_words(one.called[name]) if name in one.called else "–" for name in STATISTICS),
                *(("–" if one.at_effect is None else share_words(one.at_effect),) if with_place else ()),
                str(one.untested),
            )
            for variant in trials
            for one in bank_counts.called(variant)
        ),
    )


def _confounded_table(trials: Sequence[BankTrials]) -> str:
    return table(
        ("variant", "answer", "CBF", *STATISTICS, "of the brain", "not tested"),
        (
            (
                one.variant,
                *_name(one),
                *(share_words(one.called[name]) if name in one.called else "–" for name in STATISTICS),
                "–" if one.brain is None else f"{100 * one.brain:.2g} %",
                str(one.untested),
            )
            for variant in trials
            for one in bank_counts.called(variant)
        ),
    )


def _uniform(bank: BankStudy) -> Section:
    rows = [row for trials in bank.variants for row in bank_counts.uniformity(trials)]
    title = "Are p uniform where nothing is planted?"
    if not rows:
        return Section(title, ["No variant of the error bank plants nothing."])
    return Section(
        title,
        [
            "Shares of the trials of the error bank whose p is at most so much, which a valid test exceeds by chance alone. A p of an analysis is the smallest in the brain, family-wise "
            "over it; of any primary answer the smallest of those, corrected together; of a region its own. Relabellings give whole multiples of one over their number, and p by clusters, "
            "or corrected by Holm's method, that are 1 too often. *Excess* is the largest amount by which a share of p at most x is above x, whatever x, and *chance* that of such an excess if p are uniform "
            "(Smirnov's one-sided test, exact).",
            table(
                ("variant", "p", "CBF", "statistic", *(f"at most {level:g}" for level in LEVELS), "excess", "chance"),
                (
                    (
                        row.variant,
                        row.answer,
                        row.scaling,
                        row.statistic,
                        *(share_words(row.at_most[level]) for level in LEVELS),
                        number(row.excess, 2),
                        number(row.chance, 2),
                    )
                    for row in rows
                ),
            ),
        ],
    )


def _cover(bank: BankStudy) -> Section:
    rows = [row for trials in bank.variants for row in bank_counts.cover(trials)]
    return Section(
        "Cover of regions' intervals over the error bank",
        [
            "How often a 95 % interval of a planned region holds what is planted in the population: the difference between the arms of the smoothed truth, as a mean over the region, mL/100 g/min. "
            "What the pipeline takes off an effect itself (resolution beyond the smoothing, registration) is not in the errors that are dealt, but in the recovery over replicates; where the drug changes the errors, its change is in them, "
            "and an interval misses the truth that much.",
            table(
                (
                    "variant",
                    "analysis",
                    "region",
                    "planted",
                    "error, mean",
                    "interval's width",
                    "holds it",
                    "significant",
                ),
                (
                    (
                        row.variant,
                        row.analysis,
                        row.region,
                        number(row.planted),
                        mean_words(row.error),
                        number(row.width),
                        share_words(row.holds),
                        share_words(row.called),
                    )
                    for row in rows
                ),
            ),
        ],
    )
