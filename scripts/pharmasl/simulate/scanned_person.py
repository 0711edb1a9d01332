"""A participant of the simulated trial: the head, the T1w image, and the runs of each session."""

from dataclasses import dataclass

import numpy as np

from pharmasl.files.tables import Row
from pharmasl.simulate import deformation, label_control_series, participant_anatomy, smooth_noise
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.simulate.simulation_settings import ParticipantSettings
from pharmasl.space import transforms
from pharmasl.space.images import Grid

# Streams of random numbers, one per purpose, so that a change of one leaves the others unchanged.
_TRIAL, _SHAPE, _HEAD, _PLACEMENT, _REGIONAL, _RUN, _PATTERN = range(7)

# mm around the template's tissue over which random fields of CBF are drawn.
_FIELD_MARGIN = 60


def _stream(seed: int, index: int, purpose: int, *more: int) -> np.random.Generator:
    return np.random.default_rng([seed, index, purpose, *more])


@dataclass(frozen=True)
class Session:
    """A visit.

    Attributes
    ----------
    placement : ndarray of shape (4, 4)
        Maps points of the ASL frame to the T1w frame.
    regional : ndarray of shape (X, Y, Z)
        Smooth departure of CBF from one.
    """

    placement: np.ndarray
    regional: np.ndarray


@dataclass(frozen=True)
class Run:
    """A run and its truth.

    Attributes
    ----------
    data : ndarray of shape (X, Y, Z, volumes)
    grid : images.Grid
    tissue : label_control_series.Tissue
    placement : ndarray of shape (4, 4)
        Maps points of the ASL frame, with the head as in the first volume, to the T1w frame.
    motions : ndarray of shape (volumes, 4, 4)
    """

    data: np.ndarray
    grid: Grid
    tissue: label_control_series.Tissue
    placement: np.ndarray
    motions: np.ndarray


@dataclass(frozen=True)
class Person:
    """A participant.

    Attributes
    ----------
    settings : simulation_settings.ParticipantSettings
    index : int
        The number that seeds the random draws.
    template : participant_anatomy.Template
    shape : deformation.Deformation
    head : participant_anatomy.Head
    t1w : ndarray of shape (X, Y, Z), int16
    magnetisation : dict of str to ndarray
        M0 by tissue with the point spread of the ASL scanner.
    pattern : ndarray of shape (X, Y, Z)
        The person's own smooth variation of CBF, as a share.
    """

    settings: ParticipantSettings
    index: int
    template: participant_anatomy.Template
    shape: deformation.Deformation
    head: participant_anatomy.Head
    t1w: np.ndarray
    magnetisation: dict[str, np.ndarray]
    pattern: np.ndarray

    @classmethod
    def draw(cls, settings: ParticipantSettings, index: int, template: participant_anatomy.Template) -> "Person":
        """A participant's shape, head, T1w image, and pattern of CBF."""
        anatomy = settings.anatomy
        shape = deformation.draw(
            _stream(settings.seed, index, _SHAPE), template.low, template.high, template.centre, anatomy.warp
        )
        rng = _stream(settings.seed, index, _HEAD)
        grid = participant_anatomy.t1w_grid(template, shape, anatomy.voxel_size)
        head = participant_anatomy.head(rng, template, shape, grid)
        t1w = participant_anatomy.scanned(rng, head, anatomy.bias, anatomy.noise)
        magnetisation = label_control_series.magnetisation(head, settings.perfusion)
        low, high = template.low - _FIELD_MARGIN, template.high + _FIELD_MARGIN
        pattern = smooth_noise.sample(_stream(settings.seed, index, _PATTERN), head.template_points, 10.0, low, high)
        # Three standard deviations at most, so that no tissue's CBF becomes negative.
        pattern = np.float32(settings.blood_flow.pattern) * np.clip(pattern, -3, 3)
        return cls(settings, index, template, shape, head, t1w, magnetisation, pattern)

    @property
    def centre(self) -> np.ndarray:
        """The brain's centre in the T1w frame, mm."""
        return self.shape.from_template(self.template.centre)

    def session(self, number: int) -> Session:
        """The visit whose first run has this number."""
        seed, index = self.settings.seed, self.index
        low, high = self.template.low - _FIELD_MARGIN, self.template.high + _FIELD_MARGIN
        placement = _placement(_stream(seed, index, _PLACEMENT, number), self.centre)
        rng = _stream(seed, index, _REGIONAL, number)
        field = smooth_noise.sample(rng, self.head.template_points, 18.0, low, high)
        return Session(placement, self.pattern + np.float32(self.settings.blood_flow.regional) * field)

    def run(self, scan: Row, session: Session) -> Run:
        """One run, by its row of the truth's scans."""
        scanner, head, centre = self.settings.perfusion, self.head, self.centre
        levels = {"gm": float(scan["gm_cbf"]), "wm": float(scan["wm_cbf"])}
        gains = {name: float(scan[name]) for name in REGIONS}
        multiple = label_control_series.modulation(head.template_points, REGIONS, gains, levels["gm"], session.regional)
        tissue = label_control_series.Tissue(
            head.grid.affine,
            self.magnetisation,
            label_control_series.perfusion(head, levels, multiple, scanner),
        )
        rng = _stream(self.settings.seed, self.index, _RUN, int(scan["run"]))
        # Within a session the head lies nearly, not quite, where it lay; the ASL frame is the session's.
        placement = session.placement @ _small_motion(rng, 0.6, 0.5, centre)
        grid = scanner.grid(transforms.apply(np.linalg.inv(session.placement), centre))
        middle = grid.affine[:3] @ [*((np.array(grid.shape) - 1) / 2), 1]
        motions = label_control_series.motion_matrices(label_control_series.drift(rng, scanner), middle)
        data = label_control_series.acquire(rng, scanner, tissue, grid, placement, motions)
        return Run(data, grid, tissue, placement, motions)


def _small_motion(rng: np.random.Generator, translation: float, rotation: float, centre: np.ndarray) -> np.ndarray:
    """A rigid motion about a centre, drawn with these standard deviations (mm, degrees)."""
    return transforms.rigid_matrix(
        translation * rng.standard_normal(3), np.deg2rad(rotation * rng.standard_normal(3)), centre
    )


def _placement(rng: np.random.Generator, centre: np.ndarray) -> np.ndarray:
    """The place of the ASL frame in the T1w frame: the head has moved between the scans, unknown to the headers."""
    return _small_motion(rng, 1.5, 1.0, centre)
