"""What is true of the people of an error bank: smoothed CBF of their scans, drawn anew, and what is planted in the population.

The truth is that of :mod:`pharmasl.simulate.scanned_person` but for two steps: the departures from a person's level, which are smooth, are
applied after the scanner's point spread, not before; and they are drawn on the bank's own grid, by the same spectrum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.files.tables import Row
from pharmasl.power.smooth_fields import SmoothNoise
from pharmasl.simulate import effect_places, label_control_series, participant_anatomy
from pharmasl.simulate.flow_fields import FlowFields
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.simulate.scanned_person import LEAST_FLOW
from pharmasl.simulate.scanner_model import M0
from pharmasl.simulate.simulation_settings import ParticipantSettings, TrialSettings
from pharmasl.simulate.trial_draws import CUE_REGIONS
from pharmasl.space import resample, transforms
from pharmasl.space.images import Grid
from pharmasl.space.resample import FWHM_PER_SIGMA, Smoothing
from pharmasl.study.settings import Settings

BASELINE, FOLLOWUP = "baseline", "followup"
# Streams of random numbers, after the trial's and the person's own.
_PERSON, _VISIT, _CUE, _VISIT_CUE = range(302, 306)


@dataclass(frozen=True, kw_only=True)
class _GridFields(FlowFields):
    """Fields on the grid of the bank, where the noise is drawn.

    Attributes
    ----------
    drawn : mapping of float to SmoothNoise
        By the SD of the kernel, mm.
    """

    drawn: dict[float, SmoothNoise]
    inside: np.ndarray
    voxel_size: float

    def noise(self, rng: np.random.Generator, scale: float) -> np.ndarray:
        """Noise of unit SD in the voxels, smoothed by a Gaussian of SD ``scale`` mm."""
        if scale not in self.drawn:
            self.drawn[scale] = SmoothNoise(self.inside, self.voxel_size, scale * FWHM_PER_SIGMA)
        return self.drawn[scale].draw(rng, 1)[0]


def planted_difference(trial: TrialSettings, session: str, condition: str) -> dict[str, float]:
    """What is planted in the population: the mean gain of the treatment arm minus that of the control arm, by region.

    Parameters
    ----------
    trial : TrialSettings
    session : {"baseline", "followup"}
    condition : str

    Returns
    -------
    dict of str to float
        mL/100 g/min of grey matter where the region's weight is one.
    """
    effects, later = trial.effects, session == FOLLOWUP
    cue = effects.slope * effects.resting_rise if later and condition == "smoking" else 0.0
    gains = {"dlpfc": effects.resting_rise if later else 0.0, **dict.fromkeys(CUE_REGIONS, cue)}
    sign = {"treatment": 1.0, "control": -1.0, "both": 0.0}
    for name, effect in trial.planted.items():
        concerned = effect.session in (session, "both") and condition in effect.conditions
        gains[name] = sign[effect.arm] * effect.amount * concerned
    return gains


class BankTruth:
    """What new people's CBF is made of.

    Parameters
    ----------
    study : settings.Settings
    trial : TrialSettings
    person : ParticipantSettings
    grid : images.Grid
        Of the bank.
    mask : ndarray of bool, shape (X, Y, Z)
        Its V voxels.

    Attributes
    ----------
    grey : ndarray of shape (V,), float32
        Share of grey matter in the template.

    Raises
    ------
    InputError
        If the place of a planted effect cannot be used.
    """

    def __init__(
        self, study: Settings, trial: TrialSettings, person: ParticipantSettings, grid: Grid, mask: np.ndarray
    ) -> None:
        self._trial, self._mask = trial, mask
        points = transforms.points(grid)
        scanner, flow = person.perfusion, person.blood_flow
        template = participant_anatomy.read_template()
        affine = template.grid.affine
        spread = {
            name: label_control_series.spread(np.float32(M0[name]) * share, affine, scanner)
            for name, share in template.fractions.items()
        }
        whole = np.sum(list(spread.values()), axis=0)
        grey_part, white_part, sampled = (
            resample.resample(volume, affine, points, fill=0.0) for volume in (spread["gm"], spread["wm"], whole)
        )
        # Where the truth has values: the workflow's maps are compared with it smoothed over all of these.
        self._region = sampled > 0.5 * M0["wm"]
        # What a voxel's CBF has of the levels of grey and of white matter.
        self._shares = [part[self._region] / sampled[self._region] for part in (grey_part, white_part)]
        self._smoothing = Smoothing(self._region, grid.affine, study.perfusion.smoothing_fwhm)
        inside = points[self._region]
        low, high = inside.min(axis=0), inside.max(axis=0)
        fields = FlowFields.at(inside, low, high, person.variability, flow)
        voxel_size = float(np.linalg.norm(grid.affine[:3, 0]))
        self._fields = _GridFields(**vars(fields), drawn={}, inside=self._region, voxel_size=voxel_size)
        grey = resample.resample(template.fractions["gm"], affine, points, fill=0.0)
        self.grey = grey[mask]
        self._in_grey = grey[self._region] / grey[self._region].sum()
        places = {**REGIONS, **effect_places.places(dict(trial.planted), study.atlas)}
        self._weights = {name: place.weight(inside) for name, place in places.items()}
        # White matter's part of the level of grey matter has this mean over people, whatever their own.
        mean = self._share(flow.white / flow.grey)
        self._spread = {name: self._smoothed(weight * mean) for name, weight in self._weights.items()}

    def planted(self, weights: Mapping[str, float], session: str) -> np.ndarray:
        """The planted difference between the arms, treatment minus control, in the population's smoothed maps of a contrast, (V,).

        Parameters
        ----------
        weights : mapping of str to float
            Of the conditions.
        session : {"baseline", "followup"}
        """
        difference = np.zeros(int(self._mask.sum()))
        for condition, weight in weights.items():
            for name, gain in planted_difference(self._trial, session, condition).items():
                if gain:
                    difference += weight * gain * self._spread[name]
        return difference

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
            return field - np.float32((field * self._in_grey).sum(dtype=np.float64))

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
                share = self._share(float(row["wm_cbf"]) / level)
                field = regional + visit_cue / np.float32(level) if row["condition"] == "smoking" else regional
                multiple = 1 + np.maximum(field, LEAST_FLOW - 1)
                for name, weight in self._weights.items():
                    if float(row[name]):
                        multiple = multiple + np.float32(float(row[name]) / level) * weight
                maps[label, row["condition"]] = self._smoothed(np.float32(level) * multiple * share)
        return maps

    def _share(self, white: float) -> np.ndarray:
        """CBF in the truth's voxels as a share of the level of grey matter, of which white matter has so much."""
        return self._shares[0] + np.float32(white) * self._shares[1]

    def _smoothed(self, values: np.ndarray) -> np.ndarray:
        """CBF in the truth's voxels as the smoothed map has it, (V,)."""
        volume = np.full(self._mask.shape, np.nan, dtype=np.float32)
        volume[self._region] = values
        return self._smoothing.smoothed(volume)[self._mask]
