"""A participant of the simulated trial: the head, the T1w image, and the runs of each session."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pharmasl.files.tables import Row
from pharmasl.simulate import (
    arteries,
    deformation,
    echo_planar,
    field_map_images,
    label_control_series,
    magnetic_field,
    participant_anatomy,
    smooth_noise,
    territories,
)
from pharmasl.simulate.alternating_cues import CUES
from pharmasl.simulate.echo_planar import Readout
from pharmasl.simulate.effect_places import Place
from pharmasl.simulate.flow_fields import FlowFields
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.simulate.scanner_model import ECHO_TIME, M0, PARTITION
from pharmasl.simulate.simulation_settings import ParticipantSettings
from pharmasl.simulate.trial_draws import CUE_REGIONS
from pharmasl.space import images, transforms
from pharmasl.space.images import Grid, Volume

# Streams of random numbers, one per purpose, so that a change of one leaves the others unchanged.
_TRIAL, _SHAPE, _HEAD, _PLACEMENT, _REGIONAL, _RUN, _PATTERN, _CUE, _VISIT_CUE, _HERTZ, _FIELD_MAP = range(11)

# mm around the template's tissue over which random fields of CBF are drawn.
_FIELD_MARGIN = 60

# mm between the points at which transit times are worked out: they change over as much as a border between territories is wide.
_TRANSIT_SPACING = 2.0

# A voxel's CBF is at least this share of what the person's tissue has there on average.
LEAST_FLOW = 0.05

# Standard deviations of the head's place between scans of a session, and between two images of a field map: mm and degrees.
_BETWEEN_SCANS, _BETWEEN_IMAGES = (0.6, 0.5), (0.2, 0.2)

# Share of the label's signal that a run keeps whose labelling failed.
_FAILED_LABEL = 0.1


def _stream(seed: int, index: int, purpose: int, *more: int) -> np.random.Generator:
    return np.random.default_rng([seed, index, purpose, *more])


@dataclass(frozen=True)
class Session:
    """A visit.

    Attributes
    ----------
    placement : ndarray of shape (4, 4)
        Maps points of the ASL frame to the T1w frame.
    regional : ndarray of shape (N,)
        Smooth departure of CBF from one, where blood feeds the head.
    cue : ndarray of shape (N,) or None
        The person's own response to cues in this visit, mL/100 g/min of grey matter; None in an exact trial.
    """

    placement: np.ndarray
    regional: np.ndarray
    cue: np.ndarray | None


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
    states : mapping of str to label_control_series.Tissue
        During each condition of a run in which several alternate; empty of a run of one state.
    """

    data: np.ndarray
    grid: Grid
    tissue: label_control_series.Tissue
    placement: np.ndarray
    motions: np.ndarray
    states: Mapping[str, label_control_series.Tissue]


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
    magnetisation : label_control_series.Magnetisation
        With the point spread of the ASL scanner, but along the phase encoding of a head with a field.
    pattern : ndarray of shape (N,)
        The person's own smooth variation of CBF where blood feeds the head, as a share.
    places : mapping of str to Place
        Of the configuration's own effects.
    fields : FlowFields or None
        What regional CBF departs by; None in an exact trial.
    hertz : ndarray of shape (X, Y, Z) or None
        The magnetic field, Hz; None where none is simulated.
    """

    settings: ParticipantSettings
    index: int
    template: participant_anatomy.Template
    shape: deformation.Deformation
    head: participant_anatomy.Head
    t1w: np.ndarray
    magnetisation: label_control_series.Magnetisation
    pattern: np.ndarray
    places: Mapping[str, Place]
    fields: FlowFields | None
    hertz: np.ndarray | None

    @classmethod
    def draw(
        cls,
        settings: ParticipantSettings,
        index: int,
        template: participant_anatomy.Template,
        places: Mapping[str, Place],
    ) -> "Person":
        """A participant's shape, head, T1w image, and pattern of CBF."""
        anatomy = settings.anatomy
        shape = deformation.draw(
            _stream(settings.seed, index, _SHAPE), template.low, template.high, template.centre, anatomy.warp
        )
        rng = _stream(settings.seed, index, _HEAD)
        grid = participant_anatomy.t1w_grid(template, shape, anatomy.voxel_size)
        head = participant_anatomy.head(rng, template, shape, grid)
        t1w = participant_anatomy.scanned(rng, head, anatomy.bias, anatomy.noise)
        asked = settings.distortion
        magnetisation = label_control_series.magnetisation(head, settings.perfusion, asked.blurred_axes)
        hertz = None
        if asked.planted:
            own = _stream(settings.seed, index, _HERTZ)
            hertz = magnetic_field.draw(own, head, shape, asked.hertz, asked.people)
        rng = _stream(settings.seed, index, _PATTERN)
        fed = head.fed_points
        low, high = template.low - _FIELD_MARGIN, template.high + _FIELD_MARGIN
        fields = None
        if settings.exact:
            pattern = smooth_noise.sample(rng, fed, 10.0, low, high)
            # Three standard deviations at most, so that no tissue's CBF becomes negative.
            pattern = np.float32(settings.blood_flow.pattern) * np.clip(pattern, -3, 3)
        else:
            fields = FlowFields.at(fed, low, high, settings.variability, settings.blood_flow)
            pattern = _about_grey(fields.person(rng), head)
        return cls(settings, index, template, shape, head, t1w, magnetisation, pattern, places, fields, hertz)

    @property
    def centre(self) -> np.ndarray:
        """The brain's centre in the T1w frame, mm."""
        return self.shape.from_template(self.template.centre)

    def session_place(self, number: int) -> np.ndarray:
        """The place of the ASL frame in the T1w frame at the visit whose first run has this number."""
        return _placement(_stream(self.settings.seed, self.index, _PLACEMENT, number), self.centre)

    def session(self, number: int) -> Session:
        """The visit whose first run has this number."""
        seed, index = self.settings.seed, self.index
        placement = self.session_place(number)
        rng = _stream(seed, index, _REGIONAL, number)
        if self.fields is None:
            low, high = self.template.low - _FIELD_MARGIN, self.template.high + _FIELD_MARGIN
            field = smooth_noise.sample(rng, self.head.fed_points, 18.0, low, high)
            return Session(placement, self.pattern + np.float32(self.settings.blood_flow.regional) * field, None)
        regional = self.pattern + _about_grey(self.fields.visit(rng), self.head)
        cue = self.fields.person_cue(_stream(seed, index, _CUE))
        cue += self.fields.visit_cue(_stream(seed, index, _VISIT_CUE, number))
        return Session(placement, regional, _about_grey(cue, self.head))

    @functools.cached_property
    def _usual_transit(self) -> Volume:
        """Arterial transit time, seconds, without what is the person's, the session's and the drug's."""
        asked = self.settings.transit
        times = {name: getattr(asked, name) for name in ("anterior", "middle", "posterior", "cerebellar")}
        grid = images.spaced(self.head.grid, _TRANSIT_SPACING)
        share = territories.shares(self.shape.to_template(transforms.points(grid)))
        return Volume(territories.transit(times, asked.border, share), grid.affine)

    @functools.cached_property
    def _arteries(self) -> np.ndarray | None:
        """M0 of the blood in large arteries, with the point spread of the scanner; None where they are not simulated."""
        share = self.settings.transit.vessels
        if not share:
            return None
        blood = np.zeros(self.head.grid.shape, dtype=np.float32)
        amount = np.float32(share * M0["gm"] / PARTITION)
        blood[self.head.mask] = amount * arteries.share(self.head.template_points[self.head.mask])
        axes = self.settings.distortion.blurred_axes
        return label_control_series.spread(blood, self.head.grid.affine, self.settings.perfusion, axes)

    def _transit(self, offset: float) -> Volume:
        """Arterial transit time in a run; ``offset`` is the person's, the session's and the drug's part."""
        usual = self._usual_transit
        return usual._replace(data=usual.data + np.float32(offset))

    def _perfusion(self, scan: Row, session: Session, state: Row) -> np.ndarray:
        """CBF times M0 in a state of a run, both by their rows of the truth's scans."""
        head, levels = self.head, {"gm": float(scan["gm_cbf"]), "wm": float(scan["wm_cbf"])}
        gains = {name: float(state[name]) for name in (*REGIONS, *self.places)}
        weights = {name: self._weight(name) for name, gain in gains.items() if gain}
        regional = session.regional
        if session.cue is not None:
            if state["condition"] == "smoking":
                regional = regional + session.cue / np.float32(levels["gm"])
            regional = np.maximum(regional, LEAST_FLOW - 1)
        multiple = label_control_series.modulation(weights, gains, levels["gm"], regional)
        scanner, axes = self.settings.perfusion, self.settings.distortion.blurred_axes
        return label_control_series.perfusion(head, levels, multiple, scanner, axes)

    def _weight(self, name: str) -> np.ndarray:
        """The weight of a region or of an effect of the configuration where blood feeds the head: ndarray of shape (N,)."""
        if name not in self._weights:
            self._weights[name] = {**REGIONS, **self.places}[name].weight(self.head.fed_points)
        return self._weights[name]

    @functools.cached_property
    def _weights(self) -> dict[str, np.ndarray]:
        """Those that have been asked for: they are the same in all runs."""
        return {}

    def _alternation(
        self, scan: Row, session: Session, states: Mapping[str, Row]
    ) -> tuple[np.ndarray, label_control_series.Alternation]:
        """Perfusion during the neutral cues of a run in which both alternate, and what the smoking cues add."""
        smoking, neutral = (self._perfusion(scan, session, states[cue]) for cue in CUES)
        blocks, points = self.settings.blocks, self.head.template_points
        bold = np.float32(blocks.bold) * np.sum([REGIONS[name].weight(points) for name in CUE_REGIONS], axis=0)
        course = blocks.course(self.settings.perfusion, str(scan["condition"]))
        return neutral, label_control_series.Alternation(smoking - neutral, bold, course)

    def run(self, scan: Row, session: Session, states: Mapping[str, Row] | None = None) -> Run:
        """One run, by its row of the truth's scans.

        Parameters
        ----------
        scan : dict
        session : Session
        states : mapping of str to dict, optional
            The session's rows by condition, of a run in which cues alternate.
        """
        scanner, head, centre = self.settings.perfusion, self.head, self.centre
        alternation = None
        if states is not None:
            perfusion, alternation = self._alternation(scan, session, states)
        else:
            perfusion = self._perfusion(scan, session, scan)
        tissue = label_control_series.Tissue(
            head.grid.affine,
            self.magnetisation,
            perfusion,
            self._transit(float(scan["transit"])) if self.settings.transit.simulated else None,
            self._arteries,
            self.settings.transit.lead,
        )
        rng = _stream(self.settings.seed, self.index, _RUN, int(scan["run"]))
        # Within a session the head lies nearly, not quite, where it lay; the ASL frame is the session's.
        placement = session.placement @ _small_motion(rng, *_BETWEEN_SCANS, centre)
        grid = scanner.grid(transforms.apply(np.linalg.inv(session.placement), centre))
        middle = grid.affine[:3] @ [*((np.array(grid.shape) - 1) / 2), 1]
        motions = label_control_series.motion_matrices(label_control_series.drift(rng, scanner), middle)
        labelled = _FAILED_LABEL if scan.get("failed") == "yes" else 1.0
        seen, alternates, readout = self._dimmed(tissue, alternation, placement @ grid.affine)
        data = label_control_series.acquire(rng, scanner, seen, grid, placement, motions, labelled, alternates, readout)
        alternating = {}
        if alternation is not None:
            levels = {CUES[0]: tissue.perfusion + alternation.perfusion, CUES[1]: tissue.perfusion}
            alternating = {cue: replace(tissue, perfusion=level) for cue, level in levels.items()}
            # The truth of the whole run is the mean of what its volumes had.
            mean = np.float32(alternation.course[1:].mean()) * alternation.perfusion
            tissue = replace(tissue, perfusion=tissue.perfusion + mean)
        if self.hertz is not None:
            blurred = self.settings.distortion.blurred_axes
            tissue = label_control_series.finished(tissue, scanner, blurred)
            alternating = {
                cue: label_control_series.finished(own, scanner, blurred) for cue, own in alternating.items()
            }
        return Run(data, grid, tissue, placement, motions, alternating)

    def _dimmed(
        self,
        tissue: label_control_series.Tissue,
        alternation: label_control_series.Alternation | None,
        to_head: np.ndarray,
    ) -> tuple[label_control_series.Tissue, label_control_series.Alternation | None, Readout | None]:
        """What a readout sees of tissue in a field, and that readout; ``to_head`` maps voxels of the images to the head."""
        asked, scanner = self.settings.distortion, self.settings.perfusion
        if self.hertz is None:
            return tissue, alternation, None
        readout = Readout(asked.encoding, self.hertz, tissue.affine)
        if not asked.dropout or scanner.slice_time == 0:
            return tissue, alternation, readout
        share = echo_planar.kept(self.hertz, tissue.affine, to_head[:3, 2], ECHO_TIME)
        dimmed = replace(
            tissue,
            magnetisation=replace(tissue.magnetisation, data=tissue.magnetisation.data * share[..., None]),
            perfusion=tissue.perfusion * share,
        )
        if alternation is not None:
            alternation = replace(alternation, perfusion=alternation.perfusion * share)
        return dimmed, alternation, readout

    def field_map(self, number: int) -> dict[str, field_map_images.Image]:
        """The field map of the visit whose first run has this number: its images by their names' last parts."""
        asked, scanner = self.settings.distortion, self.settings.perfusion
        if self.hertz is None or asked.field_map == "none":
            return {}
        session, rng = self.session_place(number), _stream(self.settings.seed, self.index, _FIELD_MAP, number)
        grid = scanner.grid(transforms.apply(np.linalg.inv(session), self.centre))
        # The head lies in them nearly where it lies in the runs, and moves a little between two images.
        first, move = (_small_motion(rng, *size, self.centre) for size in (_BETWEEN_SCANS, _BETWEEN_IMAGES))
        scene = field_map_images.Scene(scanner, self.magnetisation, self.hertz, self.head.grid.affine)
        placements = (session @ first, session @ move @ first)
        if asked.field_map == "opposed":
            return field_map_images.opposed(rng, scene, grid, placements, (asked.encoding, asked.opposed))
        return field_map_images.phase_difference(rng, scene, grid, placements[0], asked.encoding.axis)


def _about_grey(field: np.ndarray, head: participant_anatomy.Head) -> np.ndarray:
    """A field where blood feeds the head without its mean over grey matter, so that a run's level is the mean CBF of its grey matter."""
    grey = head.fed_fractions["gm"]
    return field - np.float32((field * grey).sum(dtype=np.float64) / grey.sum(dtype=np.float64))


def _small_motion(rng: np.random.Generator, translation: float, rotation: float, centre: np.ndarray) -> np.ndarray:
    """A rigid motion about a centre, drawn with these standard deviations (mm, degrees)."""
    return transforms.rigid_matrix(
        translation * rng.standard_normal(3), np.deg2rad(rotation * rng.standard_normal(3)), centre
    )


def _placement(rng: np.random.Generator, centre: np.ndarray) -> np.ndarray:
    """The place of the ASL frame in the T1w frame: the head has moved between the scans, unknown to the headers."""
    return _small_motion(rng, 1.5, 1.0, centre)
