"""What is assumed of a planned trial's maps, beside the spread of a region's values, and where an effect may be."""

from dataclasses import dataclass, fields

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
class Parts:
    """The numbers of :class:`Levels` without their sources."""

    between: float
    within: float

    @classmethod
    def without_sources(cls, levels: Levels) -> "Parts":
        """Of numbers with their sources."""
        return cls(between=levels.between.value, within=levels.within.value)


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How many studies are drawn of each outcome, and how jobs share them. More of them leave the first as they are."""

    studies: int
    studies_per_job: int

    @property
    def jobs(self) -> int:
        """Number of jobs that share the studies."""
        return -(-self.studies // self.studies_per_job)

    def first(self, job: int) -> int:
        """The number of a job's first study, from 0; jobs are counted from 1."""
        return (job - 1) * self.studies_per_job

    def of_job(self, job: int) -> int:
        """How many studies a job draws."""
        return min(self.studies_per_job, self.studies - self.first(job))


@dataclass(frozen=True, kw_only=True)
class Procedure:
    """How studies are drawn and tested; ``config/schemas/power.schema.yaml`` has the units, defaults and meanings."""

    relabellings: int
    voxel_size: int
    seed: int
    shift: float
    statistics: tuple[str, ...]
    models: tuple[str, ...]
    scalings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Drawing(Procedure):
    """All numbers by which studies are drawn and tested, whatever their sources."""

    mean: float
    smoothness: Parts
    global_share: Parts


@dataclass(frozen=True, kw_only=True)
class MapAssumptions(Procedure, Shares):
    """How studies are drawn and tested, with the sources of what is assumed."""

    mean: Sourced
    smoothness: Levels
    global_share: Levels

    @property
    def shares(self) -> Shares:
        """How jobs share the studies."""
        return Shares(studies=self.studies, studies_per_job=self.studies_per_job)

    @property
    def drawing(self) -> Drawing:
        """The numbers alone: another source is no reason to draw anew."""
        procedure = {field.name: getattr(self, field.name) for field in fields(Procedure)}
        return Drawing(
            mean=self.mean.value,
            smoothness=Parts.without_sources(self.smoothness),
            global_share=Parts.without_sources(self.global_share),
            **procedure,
        )


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an effect may be: a declared region, or a sphere in template space, mm."""

    name: str
    region: str | None
    sphere: tuple[float, ...] | None
    radius: float | None
