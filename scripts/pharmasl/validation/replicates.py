"""The replicates of a validation: variants of a simulated trial, each drawn anew by number, in a folder of its own."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.records import fingerprints
from pharmasl.simulate.simulation_settings import ParticipantSettings, TrialSettings
from pharmasl.study.settings import Settings

# What a variant plants: effects of the drug; nothing; or something that is no local effect of the drug on CBF.
PLANTED, NOTHING, CONFOUNDED = "planted", "nothing", "confounded"

# Names in a replicate's folder.
BIDS, RESULTS, TRUTH = "bids", "results", "truth"
CONFIGURATION, RECORD, LOG, ERRORS = "replicate.yaml", "record.json", "log.txt", "errors.npz"


@dataclass(frozen=True)
class Variant:
    """A simulated trial that differs from the others in one thing.

    Attributes
    ----------
    name : str
    files : tuple of Path
        Of its configuration, later ones over earlier ones.
    study : settings.Settings
    trial : simulation_settings.TrialSettings
    person : simulation_settings.ParticipantSettings
    cue : str
        Name of the analysis of the cue response at baseline, where the study has it.
    """

    name: str
    files: tuple[Path, ...]
    study: Settings
    trial: TrialSettings
    person: ParticipantSettings
    cue: str

    @property
    def kind(self) -> str:
        """What the drug does, and cues where they are analysed: :data:`PLANTED`, :data:`NOTHING` or :data:`CONFOUNDED`."""
        effects = self.trial.effects
        if effects.resting_rise or effects.slope or (effects.cue_response and self.cue in self.study.analyses):
            return PLANTED
        by_arm = any(effect.amount and effect.arm != "both" for effect in self.trial.planted.values())
        return CONFOUNDED if by_arm or self.trial.transit.drug else NOTHING

    @property
    def configuration(self) -> str:
        """A digest of all its settings, by which a trial of another configuration is known."""
        return fingerprints.digest([repr(part) for part in (self.study, self.trial, self.person)])

    @property
    def alpha(self) -> float:
        """Level of the analyses."""
        return self.study.inference.alpha


@dataclass(frozen=True)
class Replicate:
    """One trial of a variant.

    Attributes
    ----------
    variant : Variant
    number : int
        From one.
    folder : Path
    """

    variant: Variant
    number: int
    folder: Path

    @property
    def seed(self) -> int:
        """Of all its draws: the same in each variant, whose replicates of one number are the same people."""
        return self.variant.trial.seed + self.number - 1

    def settings(self) -> dict[str, Any]:
        """What its configuration has beside the variant's."""
        return {
            "bids_dir": BIDS,
            "output_dir": RESULTS,
            "simulate": {"truth_dir": TRUTH, "seed": self.seed},
        }

    def write_settings(self) -> None:
        """Write the replicate's own configuration into its folder."""
        text = yaml.safe_dump(self.settings(), sort_keys=False)
        (self.folder / CONFIGURATION).write_text(text, encoding="utf-8")


def numbered(variants: Sequence[Variant], numbers: Mapping[str, int], root: FilePath) -> list[Replicate]:
    """All replicates: the first of each variant, then the second, so that a study that is stopped has as many of each.

    Parameters
    ----------
    variants : sequence of Variant
    numbers : mapping of str to int
        Replicates by the variant's name.
    root : path-like
        Folder of the study.
    """
    last = max(numbers.values(), default=0)
    return [
        Replicate(variant, number, Path(root) / variant.name / f"{number:04d}")
        for number in range(1, last + 1)
        for variant in variants
        if number <= numbers[variant.name]
    ]


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """What a stage of a replicate took, all its attempts together."""

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, kw_only=True)
class Record:
    """How a replicate went.

    Attributes
    ----------
    variant, number, seed, configuration
        Of the replicate.
    status : {"finished", "failed"}
    failed_at, reason : str or None
        Stage and words of the failure.
    failures : int
        Failures before this outcome: a replicate that was tried again says so.
    costs : mapping of str to StageCost
        By stage.
    peak_bytes : int
        Of its folder before it was emptied.
    """

    variant: str
    number: int
    seed: int
    configuration: str
    status: str
    failed_at: str | None
    reason: str | None
    failures: int
    costs: Mapping[str, StageCost]
    peak_bytes: int

    @property
    def is_finished(self) -> bool:
        """Whether the replicate can be counted as analysed."""
        return self.status == "finished"

    def write(self, folder: Path) -> None:
        """Write it into the replicate's folder."""
        content = {name: value for name, value in vars(self).items() if name != "costs"}
        tables.write_json(folder / RECORD, {**content, "costs": {name: vars(one) for name, one in self.costs.items()}})


def check_same(asked: Sequence[Replicate], accepted: Collection[str] = ()) -> None:
    """Refuse to count trials that are not what their folder says: of other settings, or another replicate's, counted twice.

    A finished trial's folder may come from another machine; it then has to be the same trial that would have been made here.

    Parameters
    ----------
    asked : sequence of Replicate
    accepted : collection of str
        Digests of settings that are taken for those asked for: of a version that had fewer of them, say.

    Raises
    ------
    InputError
        Naming the first such trial.
    """
    for one in asked:
        record = read_record(one.folder)
        if record is None:
            continue
        wanted = {
            "variant": (record.variant, one.variant.name),
            "number": (record.number, one.number),
            "seed": (record.seed, one.seed),
        }
        for field, (held, expected) in wanted.items():
            if held != expected:
                raise InputError(
                    one.folder / RECORD,
                    field,
                    held,
                    f"{expected}, as its folder says",
                    "Put each trial into the folder of its own variant and number, or remove it.",
                )
        if record.configuration not in (one.variant.configuration, *accepted):
            raise InputError(
                one.folder / RECORD,
                "configuration",
                f"{record.configuration}, of other settings or of another version",
                f"{one.variant.configuration}, that of {one.variant.name} as it is configured now",
                "Name another folder by --output, or remove this trial's. If the settings mean the same: --accept "
                f"{record.configuration}.",
            )


def read_record(folder: Path) -> Record | None:
    """The record of a replicate's folder; None of one that has not ended."""
    path = folder / RECORD
    if not path.is_file():
        return None
    content = tables.read_json(path)
    costs = {name: StageCost(**values) for name, values in content.pop("costs").items()}
    return Record(**{"configuration": "none", **content}, costs=costs)
