"""An error bank: trials drawn anew, with the errors of a whole raw trial dealt to their people, tested by the workflow's engine.

A replicate from raw images takes hours; its statistics take seconds. The bank keeps what the pipeline made wrong in each scan
(:mod:`pharmasl.validation.error_maps`), and gives it to other people whose truth is drawn anew: the levels and effects of
:mod:`pharmasl.simulate.virtual_trial`, and regional CBF of :mod:`pharmasl.simulate.flow_fields` on the template. A person gets all
errors of one donor, whose sessions change places at random, so that what the errors of a person and of a session have in common
stays in common, and no error goes with the arm.

The truth is that of :mod:`pharmasl.simulate.scanned_person` but for one step: the departures from a person's level, which are smooth, are applied after the
scanner's point spread, not before.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.group import analysis as group_analysis
from pharmasl.group.analysis_rows import InputFiles, NotRunError
from pharmasl.group.definitions import Question
from pharmasl.group.results import FAMILY_WISE, Result
from pharmasl.simulate import label_control_series, participant_anatomy, virtual_trial
from pharmasl.simulate.brain_comparison import REACH
from pharmasl.simulate.flow_fields import FlowFields
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.simulate.scanned_person import LEAST_FLOW
from pharmasl.simulate.scanner_model import M0
from pharmasl.simulate.simulation_settings import ParticipantSettings, TrialSettings
from pharmasl.space import images, resample, transforms
from pharmasl.study.settings import Analysis, Arms, Sessions, Settings
from pharmasl.validation.error_maps import ErrorMaps
from pharmasl.validation.outcomes import DECLARED

# Streams of random numbers, after the trial's and the person's own.
_DEAL, _PERSON, _VISIT, _CUE, _VISIT_CUE = range(301, 306)
# mm around the mask over which fields are drawn: their ends meet.
_MARGIN = 30.0
_EFFECT = "dlpfc"
# Of an arm, in a trial that is tested.
_FEWEST = 2


@dataclass(frozen=True, kw_only=True)
class BankAnswer:
    """What an analysis said of a trial of the bank.

    Attributes
    ----------
    analysis : str
    least_p : mapping of str to float
        Smallest p in the brain by statistic; empty where too few people were left to test.
    at_effect : bool
        Whether the declared statistic is significant, with a rise, near the centre of the resting effect.
    """

    analysis: str
    least_p: Mapping[str, float]
    at_effect: bool


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
    """

    maps: ErrorMaps
    study: Settings
    trial: TrialSettings
    person: ParticipantSettings
    permutations: int

    def analyses(self) -> list[Analysis]:
        """The study's analyses that need no value of a region and no more than both sessions."""
        return [
            replace(one, inference=replace(one.inference, permutations=self.permutations))
            for one in self.study.analyses.values()
            if one.seed is None and one.method == "differences" and not one.covariates
        ]

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

    def donors(self) -> list[str]:
        """The people with all scans of the trial."""
        scans = set(self.maps.scans)
        sessions = (self.sessions.baseline, self.sessions.later)
        return [
            who
            for who in sorted({who for who, _, _ in scans})
            if all((who, session, condition) in scans for session in sessions for condition in self.study.conditions)
        ]


class BankTruth:
    """What new people's CBF is made of, on the grid of the bank.

    Parameters
    ----------
    bank : ErrorBank

    Raises
    ------
    InputError
        If the configuration plants effects of its own: the bank has no place for them.
    """

    def __init__(self, bank: ErrorBank) -> None:
        self._bank = bank
        if bank.trial.planted:
            raise InputError(
                "config",
                "simulate.planted",
                list(bank.trial.planted),
                "nothing: the error bank draws the model study's effects alone",
                "Ask for no bank: --bank 0.",
            )
        self.points = transforms.points(bank.maps.grid)
        scanner, flow = bank.person.perfusion, bank.person.blood_flow
        template = participant_anatomy.read_template()
        affine = template.grid.affine
        spread = {
            name: label_control_series.spread(np.float32(M0[name]) * share, affine, scanner)
            for name, share in template.fractions.items()
        }
        whole = np.sum(list(spread.values()), axis=0)
        tissue = spread["gm"] + np.float32(flow.white / flow.grey) * spread["wm"]
        sampled = [resample.resample(volume, affine, self.points, fill=0.0) for volume in (tissue, whole)]
        # Where the truth has values: the workflow's maps are compared with it smoothed over all of these.
        self._region = sampled[1] > 0.5 * M0["wm"]
        # CBF as a share of the level of the person's grey matter.
        self._share = sampled[0][self._region] / sampled[1][self._region]
        inside = self.points[self._region]
        low, high = inside.min(axis=0) - _MARGIN, inside.max(axis=0) + _MARGIN
        self._fields = FlowFields.at(inside, low, high, bank.person.variability, flow)
        grey = resample.resample(template.fractions["gm"], affine, inside, fill=0.0)
        self._grey = grey / grey.sum()
        self._weights = {name: region.weight(inside) for name, region in REGIONS.items()}

    def scans(self, number: int, rows: Sequence[Row], seed: int) -> dict[tuple[str, str], np.ndarray]:
        """The smoothed true CBF of a person's scans by session and condition, (V,).

        Parameters
        ----------
        number : int
            Of the person, from one.
        rows : sequence of dict
            The person's rows of the trial's scans.
        seed : int
        """

        def about_grey(field: np.ndarray) -> np.ndarray:
            return field - np.float32((field * self._grey).sum(dtype=np.float64))

        def stream(purpose: int, *more: int) -> np.random.Generator:
            return np.random.default_rng([seed, number, purpose, *more])

        fields, maps = self._fields, {}
        own = about_grey(fields.person(stream(_PERSON)))
        cue = fields.person_cue(stream(_CUE))
        for session, label in enumerate(dict.fromkeys(row["session_id"] for row in rows)):
            regional = own + about_grey(fields.visit(stream(_VISIT, session)))
            visit_cue = about_grey(cue + fields.visit_cue(stream(_VISIT_CUE, session)))
            for row in (row for row in rows if row["session_id"] == label):
                level = float(row["gm_cbf"])
                field = regional + visit_cue / np.float32(level) if row["condition"] == "smoking" else regional
                multiple = 1 + np.maximum(field, LEAST_FLOW - 1)
                for name, weight in self._weights.items():
                    if float(row[name]):
                        multiple = multiple + np.float32(float(row[name]) / level) * weight
                maps[label, row["condition"]] = self._smoothed(np.float32(level) * multiple)
        return maps

    def _smoothed(self, values: np.ndarray) -> np.ndarray:
        maps = self._bank.maps
        volume = np.full(maps.mask.shape, np.nan, dtype=np.float32)
        volume[self._region] = values * self._share
        return resample.smooth(volume, maps.grid.affine, self._bank.study.perfusion.smoothing_fwhm)[maps.mask]


def test(bank: ErrorBank, truth: BankTruth, seed: int) -> list[BankAnswer]:
    """Draw a trial, deal the errors, and test the analyses.

    Parameters
    ----------
    bank : ErrorBank
    truth : BankTruth
    seed : int

    Returns
    -------
    list of BankAnswer
        One for each of the bank's analyses.
    """
    # Scans whose labelling failed are not usable, and their errors are not in the bank.
    asked = replace(bank.trial, seed=seed, missing=replace(bank.trial.missing, failed=0.0))
    drawn = virtual_trial.draw(asked, bank.arms, bank.sessions)
    rng = np.random.default_rng([seed, 0, _DEAL])
    donors = bank.donors()
    if not donors:
        raise InputError(
            "./run validate",
            "--bank",
            "nobody with all scans usable in the replicates whose errors are dealt",
            "somebody",
            "Add replicates, or ask for no bank: --bank 0.",
        )
    index = {scan: number for number, scan in enumerate(bank.maps.scans)}
    order = rng.permutation(donors)
    if len(drawn.participants) > len(order):
        order = np.concatenate([order, rng.choice(donors, len(drawn.participants) - len(order))])
    swapped = rng.random(len(drawn.participants)) < 0.5
    sessions = (bank.sessions.baseline, bank.sessions.later)
    people: dict[str, dict[tuple[str, str], np.ndarray]] = {}
    for number, row in enumerate(drawn.participants):
        rows = [scan for scan in drawn.scans if scan["participant_id"] == row["participant_id"]]
        true = truth.scans(number + 1, rows, seed)
        turned = dict(zip(sessions, sessions[::-1] if swapped[number] else sessions))
        present = {(scan["session_id"], scan["condition"]) for scan in rows if scan.get("present") != "no"}
        people[row["participant_id"]] = {
            key: true[key] + bank.maps.errors[index[str(order[number]), turned[key[0]], key[1]]] for key in present
        }
    return [_answer(bank, one, drawn.participants, people) for one in bank.analyses()]


def _answer(
    bank: ErrorBank,
    analysis: Analysis,
    participants: Sequence[Row],
    people: Mapping[str, Mapping[tuple[str, str], np.ndarray]],
) -> BankAnswer:
    """An analysis of the people who have its scans."""
    weights = bank.study.contrasts[analysis.contrast].weights
    sessions = {"baseline": bank.sessions.baseline, "followup": bank.sessions.later}
    names = [
        who for who, own in people.items() if all((s, state) in own for s in sessions.values() for state in weights)
    ]
    nothing = BankAnswer(analysis=analysis.name, least_p={}, at_effect=False)
    present = [row["arm"] for row in participants if row["participant_id"] in names]
    if min(present.count(arm) for arm in (bank.arms.treatment, bank.arms.control)) < _FEWEST:
        return nothing
    with tempfile.TemporaryDirectory() as folder:
        paths: dict[str, list[Path]] = {}
        for session, label in sessions.items():
            paths[session] = [Path(folder, f"{session}_{who}.nii") for who in names]
            for who, path in zip(names, paths[session]):
                contrast = np.sum([weight * people[who][label, state] for state, weight in weights.items()], axis=0)
                images.save(path, _volume(bank.maps, contrast), bank.maps.grid.affine)
        mask = Path(folder, "mask.nii")
        images.save(mask, bank.maps.mask.astype(np.float32), bank.maps.grid.affine)
        table = Path(folder, "participants.tsv")
        own = [{"participant_id": row["participant_id"], "arm": row["arm"]} for row in participants]
        tables.write_table(table, own, {"participant_id": "Participant", "arm": "Arm"})
        question = Question(analysis=analysis, arms=bank.arms, sessions=sessions, is_cbf=False)
        files = InputFiles(
            baseline=paths["baseline"],
            followup=paths["followup"],
            members=dict.fromkeys(sessions, names),
            participants=table,
            template_mask=mask,
        )
        try:
            result = group_analysis.find(question, files)
        except NotRunError:
            return nothing
    least = {name: _least(result.maps[key]) for name, key in FAMILY_WISE.items() if key in result.maps}
    return BankAnswer(
        analysis=analysis.name,
        least_p={DECLARED: _least(result.maps["verdict"]), **least},
        at_effect=_at_effect(result, bank.maps, analysis.inference.alpha),
    )


def _volume(maps: ErrorMaps, values: np.ndarray) -> np.ndarray:
    volume = np.full(maps.mask.shape, np.nan, dtype=np.float32)
    volume[maps.mask] = values
    return volume


def _least(logarithms: np.ndarray) -> float:
    """The smallest p of a map of -log10 p."""
    return float(10.0 ** -np.nanmax(logarithms.astype(np.float64)))


def _at_effect(result: Result, maps: ErrorMaps, alpha: float) -> bool:
    points = transforms.points(maps.grid)[result.mask]
    near = REGIONS[_EFFECT].distance(points) < REACH
    # Maps are in single precision.
    p = 10.0 ** -np.nan_to_num(result.maps["verdict"].astype(np.float64))
    return bool((near & (p <= alpha * (1 + 1e-5)) & (result.maps["t"] > 0)).any())
