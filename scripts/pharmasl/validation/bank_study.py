"""The error bank of a validation: trials of its variants, tested one after the other, and what they said as tables."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.files.tables import Columns, Row
from pharmasl.space import images
from pharmasl.validation import bank_trial, error_maps
from pharmasl.validation.bank_tests import BankTests
from pharmasl.validation.bank_trial import ErrorBank
from pharmasl.validation.bank_truth import BankTruth
from pharmasl.validation.error_maps import ErrorMaps
from pharmasl.validation.outcomes import DECLARED
from pharmasl.validation.replicates import CONFOUNDED, ERRORS, NOTHING, TRUTH, Replicate, Variant, read_record

FOLDER = "bank"
STATISTICS = (DECLARED, "voxel", "extent", "mass", "tfce")
# Trials that are given the errors of one replicate before the next one's are read.
_IN_A_ROW = 10
_TRIAL: Columns = {
    "configuration": "Digest of the settings of its variant",
    "seed": "Seed of the trial",
    "source": "Replicate whose errors it was given, and where the drug changes them, that from which the change is known",
}
_COLUMNS: Columns = {
    **_TRIAL,
    "analysis": "Analysis, or another answer",
    "scaling": {
        "Description": "Of CBF",
        "Levels": {"absolute": "As it is configured", "scaled": "Each scan divided by its brain's mean"},
    },
    **{name: f"Smallest p in the brain, {name}; n/a where it was not tested" for name in STATISTICS},
    "brain": {
        "Description": "Share of the brain's voxels that are significant by the declared statistic",
        "Units": "1",
    },
    "at_effect": "Whether the declared statistic is significant, with a rise, within 20 mm of the resting effect's centre: yes or no",
    "cpu_seconds": {"Description": "Of the trial with all its analyses", "Units": "s"},
}
_REGION_COLUMNS: Columns = {
    **_TRIAL,
    "analysis": "Analysis",
    "roi": "Planned region",
    "estimate": {"Description": "Tested effect on the region's mean", "Units": "mL/100 g/min"},
    "ci_low": {"Description": "Lower end of its interval", "Units": "mL/100 g/min"},
    "ci_high": {"Description": "Upper end of its interval", "Units": "mL/100 g/min"},
    "p": "Of the region alone",
    "planted": {
        "Description": "The effect in the population's maps; n/a where it is not known exactly",
        "Units": "mL/100 g/min",
    },
}


@dataclass(frozen=True, kw_only=True)
class BankTrials:
    """The trials of a variant.

    Attributes
    ----------
    variant : Variant
    answers, regions : sequence of dict
        Rows of the tables.
    """

    variant: Variant
    answers: Sequence[Row]
    regions: Sequence[Row]

    @property
    def sources(self) -> list[str]:
        """The replicates whose errors were dealt to these trials."""
        return list(dict.fromkeys(row["source"] for row in self.answers))

    @property
    def cpu_seconds(self) -> list[float]:
        """Of each trial."""
        return list({row["seed"]: float(row["cpu_seconds"]) for row in self.answers}.values())


@dataclass(frozen=True, kw_only=True)
class BankStudy:
    """The trials of a bank.

    Attributes
    ----------
    variants : sequence of BankTrials
    lacking : mapping of str to str
        Variants of which there are no trials, to the reason.
    permutations : int
    spacing : float
        Of the grid, mm.
    """

    variants: Sequence[BankTrials]
    lacking: Mapping[str, str]
    permutations: int
    spacing: float


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Where the errors of a trial come from: a replicate, and of a drug that changes them the same people treated with it."""

    errors: Replicate
    treated: Replicate | None = None

    @property
    def name(self) -> str:
        own = [one for one in (self.errors, self.treated) if one is not None]
        return " and ".join(f"{one.variant.name} {one.number}" for one in own)

    def read(self) -> tuple[ErrorMaps, ErrorMaps | None]:
        """The errors, and what the drug changes in them."""
        maps = error_maps.read(self.errors.folder / ERRORS)
        if self.treated is None:
            return maps, None
        study = self.treated.variant.study
        if study.arms is None or study.sessions is None:
            raise ValueError("a study without arms and sessions has no effect of a drug to validate")
        people = tables.read_table(self.treated.folder / TRUTH / "participants.tsv")
        treated = [row["participant_id"] for row in people if row["arm"] == study.arms.treatment]
        changed = error_maps.read(self.treated.folder / ERRORS)
        return maps, error_maps.difference(changed, maps, treated, study.sessions.later)


def sources(replicates: Sequence[Replicate]) -> list[Replicate]:
    """The finished replicates whose errors are dealt: those in which nothing is planted, or else any whose drug does not go with the errors."""
    own = [one for one in replicates if one.variant.kind != CONFOUNDED and _is_finished(one)]
    return [one for one in own if one.variant.kind == NOTHING] or own


def _is_finished(replicate: Replicate) -> bool:
    record = read_record(replicate.folder)
    return record is not None and record.is_finished and (replicate.folder / ERRORS).is_file()


def _sources_of(variant: Variant, replicates: Sequence[Replicate], dealt: Sequence[Replicate]) -> list[_Source]:
    """What the trials of a variant can be given; empty where the drug changes the errors, and by how much is not known."""
    if not variant.trial.transit.drug:
        return [_Source(errors=one) for one in dealt]
    own = {one.number: one for one in replicates if one.variant.name == variant.name and _is_finished(one)}
    return [_Source(errors=one, treated=own[one.number]) for one in dealt if one.number in own]


def run(
    root: Path,
    replicates: Sequence[Replicate],
    trials: Mapping[str, int],
    permutations: int,
    say: Callable[[str], None],
    accepted: Collection[str] = (),
) -> BankStudy | None:
    """Test the trials that are lacking; None where no replicate has errors to deal.

    Parameters
    ----------
    root : Path
        Folder of the study.
    replicates : sequence of Replicate
    trials : mapping of str to int
        By the names of variants; one of which none are asked for is left out.
    permutations : int
    say : callable
        Takes what is done, in words.
    accepted : collection of str
        Digests of settings that are taken for those asked for, as by :func:`pharmasl.validation.replicates.check_same`.

    Raises
    ------
    InputError
        If trials of other settings are there.
    """
    dealt = sources(replicates)
    if not dealt or not any(trials.values()):
        return None
    (root / FOLDER).mkdir(exist_ok=True)
    done, lacking = [], {}
    for variant in {one.variant.name: one.variant for one in replicates if trials[one.variant.name]}.values():
        own = _sources_of(variant, replicates, dealt)
        if own:
            done.append(_Table(root / FOLDER, variant, permutations, accepted).complete(own, trials[variant.name], say))
        else:
            lacking[variant.name] = (
                "its drug changes the errors of the scans, and by how much is known from a finished replicate alone, of the "
                f"number of one of these: {', '.join(f'{one.variant.name} {one.number}' for one in dealt)}"
            )
    spacing = float(images.voxel_sizes(error_maps.read(dealt[0].folder / ERRORS).grid.affine)[0])
    return BankStudy(variants=done, lacking=lacking, permutations=permutations, spacing=spacing)


class _Table:
    """The trials of a variant on disk: a table of answers and one of regions."""

    def __init__(self, folder: Path, variant: Variant, permutations: int, accepted: Collection[str] = ()) -> None:
        self._variant, self._permutations, self._accepted = variant, permutations, accepted
        self._paths = [folder / f"{variant.name}_{permutations}{what}.tsv" for what in ("", "_regions")]
        self._answers, self._regions = (self._read(path) for path in self._paths)

    def _read(self, path: Path) -> list[Row]:
        rows = tables.read_table(path) if path.is_file() else []
        wanted = self._variant.configuration
        for row in rows:
            digest = row.get("configuration") or "none"
            if digest not in (wanted, *self._accepted):
                raise InputError(
                    path,
                    "configuration",
                    f"{digest}, of other settings or of another version",
                    f"{wanted}, that of {self._variant.name} as it is configured now",
                    "Name another folder by --output, or remove this file. If the settings mean the same: --accept "
                    f"{digest}.",
                )
        return rows

    def complete(self, own: Sequence[_Source], trials: int, say: Callable[[str], None]) -> BankTrials:
        """So many trials, those of an earlier call among them."""
        variant, done = self._variant, {int(row["seed"]) for row in self._answers}
        # A call that was stopped between the two tables has left regions of a trial that comes again.
        self._regions = [row for row in self._regions if int(row["seed"]) in done]
        wanted = [variant.trial.seed + number for number in range(trials)]
        dealing: _Dealing | None = None
        for number, seed in enumerate(wanted):
            source = own[number // _IN_A_ROW % len(own)]
            if seed not in done:
                if dealing is None or dealing.source != source:
                    dealing = _Dealing.read(source, variant, self._permutations, dealing)
                self._add(dealing, seed)
                say(f"error bank, {variant.name}: {number + 1} of {trials}")
        rows = [[row for row in table if int(row["seed"]) in wanted] for table in (self._answers, self._regions)]
        return BankTrials(variant=variant, answers=rows[0], regions=rows[1])

    def _add(self, dealing: "_Dealing", seed: int) -> None:
        """Test a trial, and write the tables."""
        start = time.process_time()
        own = dealing.tests.test(bank_trial.draw(dealing.bank, dealing.truth, seed))
        spent = round(time.process_time() - start, 2)
        trial = {"configuration": self._variant.configuration, "seed": seed, "source": dealing.source.name}
        self._regions += [
            {
                **trial,
                "analysis": one.analysis,
                "roi": one.region,
                "estimate": one.estimate,
                "ci_low": one.low,
                "ci_high": one.high,
                "p": one.p,
                "planted": one.planted,
            }
            for one in own.regions
        ]
        self._answers += [
            {
                **trial,
                "analysis": one.analysis,
                "scaling": one.scaling,
                **{name: one.least_p.get(name) for name in STATISTICS},
                "brain": one.called,
                "at_effect": "yes" if one.at_effect else "no",
                "cpu_seconds": spent,
            }
            for one in own.answers
        ]
        tables.write_table(self._paths[1], self._regions, _REGION_COLUMNS)
        tables.write_table(self._paths[0], self._answers, _COLUMNS)


@dataclass(frozen=True, kw_only=True)
class _Dealing:
    """The errors of a source, ready to be dealt and tested."""

    source: _Source
    bank: ErrorBank
    truth: BankTruth
    tests: BankTests

    @classmethod
    def read(cls, source: _Source, variant: Variant, permutations: int, earlier: "_Dealing | None") -> "_Dealing":
        """The same truth and regions as of an earlier source, if their voxels are the same."""
        maps, drug = source.read()
        bank = ErrorBank(maps, variant.study, variant.trial, variant.person, permutations, drug)
        if earlier is not None and earlier.bank.maps.has_voxels_of(maps):
            return cls(source=source, bank=bank, truth=earlier.truth, tests=earlier.tests)
        truth = bank.truth()
        return cls(source=source, bank=bank, truth=truth, tests=BankTests(bank, truth))
