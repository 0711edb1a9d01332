"""The error bank of a validation: trials of its variants, tested one after the other, and what they said counted."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pharmasl.files import tables
from pharmasl.files.tables import Columns, Row
from pharmasl.statistics.proportions import Share, share
from pharmasl.validation import error_bank, error_maps
from pharmasl.validation.error_bank import BankTruth, ErrorBank
from pharmasl.validation.outcomes import DECLARED
from pharmasl.validation.replicates import CONFOUNDED, ERRORS, NOTHING, Replicate, Variant, read_record

FOLDER = "bank"
STATISTICS = (DECLARED, "voxel", "extent", "mass", "tfce")
_COLUMNS: Columns = {
    "seed": "Seed of the trial",
    "source": "Replicate whose errors it was given",
    "analysis": "Analysis",
    **{name: f"Smallest p in the brain, {name}; n/a where it was not tested" for name in STATISTICS},
    "at_effect": "Whether the declared statistic is significant, with a rise, within 20 mm of the resting effect's centre: yes or no",
    "cpu_seconds": {"Description": "Of the trial with all its analyses", "Units": "s"},
}


@dataclass(frozen=True, kw_only=True)
class BankCount:
    """An analysis of a variant over the trials of the bank.

    Attributes
    ----------
    variant, kind, analysis : str
    called : dict of str to Share
        Trials in which it is significant, by statistic, of those that were tested.
    at_effect : Share
        Trials in which the declared statistic is significant near the resting effect.
    untested : int
    """

    variant: str
    kind: str
    analysis: str
    called: dict[str, Share]
    at_effect: Share
    untested: int


@dataclass(frozen=True, kw_only=True)
class BankStudy:
    """The trials of a bank.

    Attributes
    ----------
    counts : sequence of BankCount
    sources : sequence of str
        Replicates whose errors were dealt.
    permutations : int
    cpu_seconds : float
        Of a trial, mean.
    """

    counts: Sequence[BankCount]
    sources: Sequence[str]
    permutations: int
    cpu_seconds: float


def sources(replicates: Sequence[Replicate]) -> list[Replicate]:
    """The finished replicates whose errors are dealt: those in which nothing is planted, or else any whose drug does not go with the errors."""
    own = [
        one
        for one in replicates
        if one.variant.kind != CONFOUNDED
        and (record := read_record(one.folder))
        and record.is_finished
        and (one.folder / ERRORS).is_file()
    ]
    return [one for one in own if one.variant.kind == NOTHING] or own


def run(
    root: Path,
    replicates: Sequence[Replicate],
    trials: int,
    permutations: int,
    say: Callable[[str], None],
) -> BankStudy | None:
    """Test the trials that are lacking; None where no replicate has errors to deal.

    Parameters
    ----------
    root : Path
        Folder of the study.
    replicates : sequence of Replicate
    trials : int
        Of each variant that is not confounded.
    permutations : int
    say : callable
        Takes what is done, in words.
    """
    dealt = sources(replicates)
    if not dealt or not trials:
        return None
    # What a configuration plants beside the model study's effects has no place in the bank's truth.
    variants = {one.variant.name: one.variant for one in replicates if one.variant.kind != CONFOUNDED}
    own = [variant for variant in variants.values() if not variant.trial.planted]
    if not own:
        return None
    (root / FOLDER).mkdir(exist_ok=True)
    counts, spent = [], []
    for variant in own:
        rows = _trials(root / FOLDER / f"{variant.name}_{permutations}.tsv", variant, dealt, trials, permutations, say)
        counts += _counts(variant, rows)
        spent += [float(row["cpu_seconds"]) for row in rows]
    return BankStudy(
        counts=counts,
        sources=[_name(one) for one in dealt],
        permutations=permutations,
        cpu_seconds=sum(spent) / len(spent),
    )


def _name(replicate: Replicate) -> str:
    return f"{replicate.variant.name} {replicate.number}"


def _trials(
    path: Path,
    variant: Variant,
    dealt: Sequence[Replicate],
    trials: int,
    permutations: int,
    say: Callable[[str], None],
) -> list[Row]:
    """The rows of a variant's trials, those of an earlier call among them."""
    rows = tables.read_table(path) if path.is_file() else []
    done = {int(row["seed"]) for row in rows}
    truth = None
    for number in range(trials):
        seed = variant.trial.seed + number
        if seed in done:
            continue
        source = dealt[number % len(dealt)]
        maps = error_maps.read(source.folder / ERRORS)
        bank = ErrorBank(maps, variant.study, variant.trial, variant.person, permutations)
        # The template's, whoever's errors are dealt.
        truth = truth or BankTruth(bank)
        start = time.process_time()
        answers = error_bank.test(bank, truth, seed)
        spent = round(time.process_time() - start, 2)
        rows += [
            {
                "seed": seed,
                "source": _name(source),
                "analysis": answer.analysis,
                **{name: answer.least_p.get(name) for name in STATISTICS},
                "at_effect": "yes" if answer.at_effect else "no",
                "cpu_seconds": spent,
            }
            for answer in answers
        ]
        tables.write_table(path, rows, _COLUMNS)
        say(f"error bank, {variant.name}: {number + 1} of {trials}")
    wanted = {variant.trial.seed + number for number in range(trials)}
    return [row for row in rows if int(row["seed"]) in wanted]


def _counts(variant: Variant, rows: Sequence[Row]) -> list[BankCount]:
    counts = []
    for analysis in dict.fromkeys(row["analysis"] for row in rows):
        own = [row for row in rows if row["analysis"] == analysis]
        tested = [row for row in own if row[DECLARED] is not None]
        called = {
            name: share(sum(float(row[name]) <= variant.alpha for row in tested), len(tested))
            for name in STATISTICS
            if all(row[name] is not None for row in tested)
        }
        counts.append(
            BankCount(
                variant=variant.name,
                kind=variant.kind,
                analysis=analysis,
                called=called,
                at_effect=share(sum(row["at_effect"] == "yes" for row in tested), len(tested)),
                untested=len(own) - len(tested),
            )
        )
    return counts
