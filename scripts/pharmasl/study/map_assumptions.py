"""What is assumed of a planned trial's maps, beside the spread of a region's values, and where an effect may be."""

from dataclasses import dataclass

ABSOLUTE, PROPORTIONAL = "absolute", "proportional"


@dataclass(frozen=True, kw_only=True)
class Sourced:
    """A number with its source, in words."""

    value: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Levels:
    """A number for what is a person's own in all sessions, and one for what differs between the sessions."""

    between: Sourced
    within: Sourced


@dataclass(frozen=True, kw_only=True)
class MapAssumptions:
    """How studies of maps are drawn; ``config/schemas/power.schema.yaml`` has the units, defaults and meanings."""

    studies: int
    studies_per_job: int
    relabellings: int
    voxel_size: float
    seed: int
    shift: float
    statistics: tuple[str, ...]
    models: tuple[str, ...]
    scalings: tuple[str, ...]
    mean: Sourced
    smoothness: Levels
    global_share: Levels


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an effect may be: a declared region, or a sphere in template space, mm."""

    name: str
    region: str | None
    sphere: tuple[float, ...] | None
    radius: float | None
