"""The settings of the simulator as typed, frozen objects, a class per part of the configuration's section ``simulate``.

Its schema (``config/schemas/simulate.schema.yaml``) alone has the defaults, limits, units and meanings.
"""

from dataclasses import dataclass

from pharmasl.simulate.scanner_model import Scanner

_settings = dataclass(frozen=True, kw_only=True)


@_settings
class HeadSettings:
    """The heads and their T1-weighted images."""

    voxel_size: float
    warp: float
    bias: float
    noise: float


@_settings
class BloodFlow:
    """CBF away from the planted effects."""

    grey: float
    white: float
    grey_spread: float
    pattern: float
    regional: float
    between_sessions: float
    between_runs: float


@_settings
class PlantedEffects:
    """The effects on CBF."""

    resting_rise: float
    resting_spread: float
    cue_response: float
    cue_spread: float
    slope: float


@_settings
class Ratings:
    """The ratings of craving."""

    before: float
    before_spread: float
    elicited: float
    elicited_spread: float
    slope: float
    noise: float


@_settings
class Cigarettes:
    """Cigarettes a day."""

    baseline: float
    baseline_spread: float
    change: float
    slope: float
    effect: float
    noise: float
    lost: int


@_settings
class TrialSettings:
    """What the draw of the trial depends on."""

    seed: int
    participants_per_arm: int
    blood_flow: BloodFlow
    effects: PlantedEffects
    craving: Ratings
    cigarettes: Cigarettes


@_settings
class ParticipantSettings:
    """What the images of a participant depend on."""

    seed: int
    anatomy: HeadSettings
    perfusion: Scanner
    blood_flow: BloodFlow


@_settings
class ComparedNames:
    """Names of the analyses, the regions and the endpoint of the configuration that answer the planted questions."""

    rest: str
    association: str
    insula: str
    vmpfc: str
    cigarettes: str
