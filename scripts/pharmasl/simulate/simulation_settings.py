"""The settings of the simulator as typed, frozen objects, a class per part of the configuration's section ``simulate``.

Its schema (``config/schemas/simulate.schema.yaml``) alone has the defaults, limits, units and meanings.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pharmasl.simulate.alternating_cues import CueBlocks
from pharmasl.simulate.scanner_model import Scanner
from pharmasl.simulate.susceptibility import Susceptibility


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """The heads and their T1-weighted images."""

    voxel_size: float
    warp: float
    bias: float
    noise: float


@dataclass(frozen=True, kw_only=True)
class BloodFlow:
    """CBF away from the planted effects."""

    grey: float
    white: float
    grey_spread: float
    pattern: float
    regional: float
    between_sessions: float
    between_runs: float


@dataclass(frozen=True, kw_only=True)
class PlantedEffects:
    """The effects on CBF."""

    resting_rise: float
    resting_spread: float
    cue_response: float
    cue_spread: float
    slope: float


@dataclass(frozen=True, kw_only=True)
class Ratings:
    """The ratings of craving."""

    before: float
    before_spread: float
    elicited: float
    elicited_spread: float
    slope: float
    noise: float


@dataclass(frozen=True, kw_only=True)
class Cigarettes:
    """Cigarettes a day."""

    baseline: float
    baseline_spread: float
    change: float
    slope: float
    effect: float
    noise: float
    lost: int


@dataclass(frozen=True, kw_only=True)
class People:
    """Who takes part, and how CBF goes with age, sex and site."""

    treatment: int
    control: int
    age: tuple[int, ...]
    female: float
    age_slope: float
    sex_difference: float
    sites: int
    site_spread: float

    @property
    def number(self) -> int:
        """Participants in both arms."""
        return self.treatment + self.control


@dataclass(frozen=True, kw_only=True)
class ChanceByArm:
    """A chance by arm."""

    treatment: float
    control: float


@dataclass(frozen=True, kw_only=True)
class MissingScans:
    """What is lost: people, sessions, single scans, and scans whose labelling failed."""

    dropout: ChanceByArm
    session: float
    scan: float
    failed: float


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How a quantity varies over people and from scan to scan, as its SD and its repeatability."""

    sd: float
    wscv: float | None
    icc: float | None


@dataclass(frozen=True, kw_only=True)
class RegionalVariability:
    """How regional CBF varies beside whole-brain CBF."""

    sd: float
    icc: float
    territory: float
    smoothness: float


@dataclass(frozen=True, kw_only=True)
class CueVariability:
    """How the response to cues varies over people and visits."""

    sd: float
    icc: float
    smoothness: float


@dataclass(frozen=True, kw_only=True)
class Variability:
    """Variability between people, sessions and runs."""

    grey: Reliability
    white: float
    runs: float
    regional: RegionalVariability
    cue: CueVariability


@dataclass(frozen=True, kw_only=True)
class Transit:
    """Arterial transit times, seconds, and by how much the drug changes them."""

    simulated: bool
    anterior: float
    middle: float
    posterior: float
    cerebellar: float
    border: float
    people: float
    sessions: float
    vessels: float
    lead: float
    drug: float


@dataclass(frozen=True, kw_only=True)
class PlannedEffect:
    """An effect that the configuration plants: where, in whom, when, and how much."""

    sphere: tuple[float, ...] | None
    radius: float | None
    atlas: tuple[str, ...] | None
    image: str | None
    everywhere: bool | None
    arm: str
    session: str
    conditions: tuple[str, ...]
    amount: float
    spread: float


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """What the draw of the trial depends on."""

    seed: int
    exact: bool
    people: People
    missing: MissingScans
    variability: Variability
    blood_flow: BloodFlow
    effects: PlantedEffects
    planted: Mapping[str, PlannedEffect]
    transit: Transit
    craving: Ratings
    cigarettes: Cigarettes
    blocks: CueBlocks


@dataclass(frozen=True, kw_only=True)
class ParticipantSettings:
    """What the images of a participant depend on."""

    seed: int
    exact: bool
    anatomy: HeadSettings
    perfusion: Scanner
    blood_flow: BloodFlow
    variability: Variability
    planted: Mapping[str, PlannedEffect]
    transit: Transit
    blocks: CueBlocks
    distortion: Susceptibility


@dataclass(frozen=True, kw_only=True)
class ComparedNames:
    """Names of the analyses, the regions and the endpoint of the configuration that answer the planted questions."""

    rest: str
    association: str
    cue: str
    insula: str
    vmpfc: str
    cigarettes: str
