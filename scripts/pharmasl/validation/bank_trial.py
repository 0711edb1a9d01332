"""A trial of an error bank: people drawn anew, with the errors of a whole raw trial dealt to them.

A replicate from raw images takes hours; its statistics take seconds. The bank keeps what the pipeline made wrong in each scan
(:mod:`pharmasl.validation.error_maps`), and gives it to other people whose truth is drawn anew. A person gets all
errors of one donor, whose sessions change places at random, so that what the errors of a person and of a session have in common
stays in common, and no error goes with the arm.

Of a drug that changes the errors themselves (the time the blood takes to arrive), that change has to be known: a treated person's scans
after treatment get in addition what the drug changed in those of a donor in its arm, who was simulated with and without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pharmasl.errors import InputError
from pharmasl.files.tables import Row
from pharmasl.simulate import virtual_trial
from pharmasl.simulate.simulation_settings import ParticipantSettings, TrialSettings
from pharmasl.study.settings import Arms, Sessions, Settings
from pharmasl.validation.bank_truth import BankTruth
from pharmasl.validation.error_maps import ErrorMaps

# Streams of random numbers, after the trial's own.
_DEAL, _DRUG = 301, 306


@dataclass(frozen=True)
class ErrorBank:
    """The errors of a trial, and what new trials are drawn from.

    Attributes
    ----------
    maps : ErrorMaps
    study : settings.Settings
    trial : simulation_settings.TrialSettings
    person : simulation_settings.ParticipantSettings
    permutations : int
        Relabellings of each analysis.
    drug : ErrorMaps or None
        What the drug adds to the errors of treated people's scans after treatment, in the voxels of ``maps``; None of a drug
        that does not change them.
    """

    maps: ErrorMaps
    study: Settings
    trial: TrialSettings
    person: ParticipantSettings
    permutations: int
    drug: ErrorMaps | None = None

    @property
    def arms(self) -> Arms:
        """The trial's arms."""
        if self.study.arms is None:
            raise ValueError("a study without arms has no effect of a drug to validate")
        return self.study.arms

    @property
    def sessions(self) -> Sessions:
        """The trial's sessions."""
        if self.study.sessions is None:
            raise ValueError("a study without sessions has no change to validate")
        return self.study.sessions

    def truth(self) -> BankTruth:
        """What new people's CBF is made of."""
        return BankTruth(self.study, self.trial, self.person, self.maps.grid, self.maps.mask)

    def donors(self) -> list[str]:
        """The people with all scans of the trial."""
        return self._with_scans(self.maps, (self.sessions.baseline, self.sessions.later))

    def treated_donors(self) -> list[str]:
        """The people of whom it is known what the drug does to the errors of all scans after treatment."""
        return [] if self.drug is None else self._with_scans(self.drug, (self.sessions.later,))

    def _with_scans(self, maps: ErrorMaps, sessions: Sequence[str]) -> list[str]:
        scans = set(maps.scans)
        return [
            who
            for who in sorted({who for who, _, _ in scans})
            if all((who, session, condition) in scans for session in sessions for condition in self.study.conditions)
        ]


@dataclass(frozen=True, kw_only=True)
class BankTrial:
    """A trial with the maps that the workflow would have found.

    Attributes
    ----------
    participants, craving : sequence of dict
        Rows of :mod:`pharmasl.simulate.virtual_trial`.
    maps : mapping
        Participant to session and condition to the smoothed CBF of the scan, (V,); without those that the trial does not have.
    """

    participants: Sequence[Row]
    craving: Sequence[Row]
    maps: Mapping[str, Mapping[tuple[str, str], np.ndarray]]


def draw(bank: ErrorBank, truth: BankTruth, seed: int) -> BankTrial:
    """Draw a trial, and deal the errors.

    Parameters
    ----------
    bank : ErrorBank
    truth : BankTruth
    seed : int

    Raises
    ------
    InputError
        If nobody has all scans usable in the replicates whose errors are dealt.
    """
    # Scans whose labelling failed are not usable, and their errors are not in the bank.
    asked = replace(bank.trial, seed=seed, missing=replace(bank.trial.missing, failed=0.0))
    drawn = virtual_trial.draw(asked, bank.arms, bank.sessions)
    rng = np.random.default_rng([seed, 0, _DEAL])
    number = len(drawn.participants)
    order = _dealt(bank.donors(), number, rng)
    swapped = rng.random(number) < 0.5
    drug = _drug(bank, number, seed)
    index = {scan: number for number, scan in enumerate(bank.maps.scans)}
    sessions = (bank.sessions.baseline, bank.sessions.later)
    people: dict[str, dict[tuple[str, str], np.ndarray]] = {}
    for number, row in enumerate(drawn.participants):
        rows = [scan for scan in drawn.scans if scan["participant_id"] == row["participant_id"]]
        true = truth.scans(number + 1, rows, seed)
        turned = dict(zip(sessions, sessions[::-1] if swapped[number] else sessions))
        present = {(scan["session_id"], scan["condition"]) for scan in rows if scan.get("present") != "no"}
        own = {key: true[key] + bank.maps.errors[index[order[number], turned[key[0]], key[1]]] for key in present}
        if row["arm"] == bank.arms.treatment:
            for session, condition in present & drug[number].keys():
                own[session, condition] += drug[number][session, condition]
        people[row["participant_id"]] = own
    return BankTrial(participants=drawn.participants, craving=drawn.craving, maps=people)


def _dealt(donors: Sequence[str], number: int, rng: np.random.Generator) -> list[str]:
    """A donor for each of so many people: each once, and then again."""
    if not donors:
        raise InputError(
            "./run validate",
            "--bank",
            "nobody with all scans usable in the replicates whose errors are dealt",
            "somebody",
            "Add replicates, or ask for no bank: --bank 0.",
        )
    order = rng.permutation(donors)
    if number > len(order):
        order = np.concatenate([order, rng.choice(donors, number - len(order))])
    return [str(who) for who in order[:number]]


def _drug(bank: ErrorBank, number: int, seed: int) -> list[dict[tuple[str, str], np.ndarray]]:
    """What the drug adds to the errors of so many people if they are treated, by session and condition."""
    if bank.drug is None:
        return [{} for _ in range(number)]
    order = _dealt(bank.treated_donors(), number, np.random.default_rng([seed, 0, _DRUG]))
    own: dict[str, dict[tuple[str, str], np.ndarray]] = {}
    for (who, session, condition), values in zip(bank.drug.scans, bank.drug.errors):
        own.setdefault(who, {})[session, condition] = values
    return [own[who] for who in order]
