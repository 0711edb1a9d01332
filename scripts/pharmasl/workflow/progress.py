"""How far a run is, and how long it will take: jobs that begin and end, counted by stage. Knows neither terminal nor clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pharmasl.workflow.stages import OTHER_SECONDS, SECONDS, Stage, family, stages_of, works

MINUTE = 60
HOUR = 60 * MINUTE
# Seconds of jobs by which the time left is believed.
_ENOUGH = 15.0


@dataclass(frozen=True)
class Job:
    """A job that runs.

    Attributes
    ----------
    rule : str
    sentence : str
        What it does, in the rule's words.
    threads : int
        Cores that it takes.
    began : float
        When it began, in seconds.
    """

    rule: str
    sentence: str
    threads: int
    began: float


@dataclass(frozen=True)
class Row:
    """How far a stage is.

    Attributes
    ----------
    stage : Stage
    done, total : int
        Its units.
    unit : str
        What they are.
    share : float
        Of its work, 0 to 1.
    failed : int
        Jobs that failed.
    running : tuple of str
        What its running jobs do, the first to begin first.
    seconds : float or None
        Since its first job began; None before.
    """

    stage: Stage
    done: int
    total: int
    unit: str
    share: float
    failed: int
    running: tuple[str, ...]
    seconds: float | None

    @property
    def ended(self) -> bool:
        """Whether all of its jobs are done."""
        return self.share >= 1


@dataclass
class Progress:
    """The jobs of a run.

    Attributes
    ----------
    counts : dict
        Rules to the number of their jobs.
    capacity : int
        Cores that there are, or jobs that a cluster runs at once.
    shared : bool
        Whether jobs share those cores by their threads, as they do on this machine.
    later : float
        Core seconds of what follows this run, in the measure of :data:`pharmasl.workflow.stages.SECONDS`.
    """

    counts: dict[str, int] = field(default_factory=dict)
    capacity: int = 1
    shared: bool = True
    later: float = 0.0
    running: dict[int, Job] = field(default_factory=dict)
    _done: dict[str, int] = field(default_factory=dict)
    _taken: dict[str, float] = field(default_factory=dict)
    _threads: dict[str, int] = field(default_factory=dict)
    _failed: dict[int, str] = field(default_factory=dict)
    _began: dict[str, float] = field(default_factory=dict)
    _ended: dict[str, float] = field(default_factory=dict)
    _unreached: set[int] = field(default_factory=set)
    _by_visit: set[str] = field(default_factory=set)

    def expect(self, counts: Mapping[str, int]) -> None:
        """Take the number of jobs of each rule; those without work of their own do not count."""
        self.counts = {}
        for rule, number in counts.items():
            if works(rule):
                self.counts[family(rule)] = self.counts.get(family(rule), 0) + number

    def begin(self, number: int, job: Job, visit: bool = False) -> None:
        """A job begins, or begins again after it failed; ``visit`` where it is for one visit of a participant."""
        job = replace(job, rule=family(job.rule))
        self._failed.pop(number, None)
        self._unreached.discard(number)
        self.running[number] = job
        self._threads[job.rule] = job.threads
        for stage in stages_of([job.rule]):
            self._began.setdefault(stage.name, job.began)
            if visit and stage.unit == "person":
                self._by_visit.add(stage.name)

    def end(self, number: int, now: float) -> None:
        """A job is done."""
        job = self.running.pop(number, None)
        if job is None or not works(job.rule):
            return
        self._done[job.rule] = self._done.get(job.rule, 0) + 1
        self._taken[job.rule] = self._taken.get(job.rule, 0.0) + now - job.began
        for stage in stages_of([job.rule]):
            self._ended[stage.name] = now

    def fail(self, number: int, shown: bool = True) -> None:
        """A job fails; it may begin again. ``shown`` is false for one that was not reached, since another failed."""
        job = self.running.pop(number, None)
        if job:
            self._failed[number] = job.rule
            if not shown:
                self._unreached.add(number)

    @property
    def done(self) -> int:
        """Jobs done."""
        return sum(self._done.values())

    @property
    def total(self) -> int:
        """Jobs in all."""
        return sum(self.counts.values())

    def rows(self, now: float) -> list[Row]:
        """Each stage that has jobs, in order."""
        return [self._row(stage, now) for stage in stages_of(self.counts)]

    def _row(self, stage: Stage, now: float) -> Row:
        rules = [rule for rule in self.counts if rule in stage.seconds]
        counted = [rule for rule in rules if rule in stage.counted]
        # Where none of them is to be made, jobs are.
        one, many = ("job", "jobs") if stage.counted and not counted else (stage.unit, stage.units)
        if stage.name in self._by_visit:
            one, many = "visit", "visits"
        counted = counted or rules
        total = sum(self.counts[rule] for rule in counted)
        work = sum(self.counts[rule] * stage.seconds[rule] for rule in rules)
        done = sum(min(self._done.get(rule, 0), self.counts[rule]) * stage.seconds[rule] for rule in rules)
        began = self._began.get(stage.name)
        ended = done >= work
        last = self._ended.get(stage.name, now) if ended else now
        return Row(
            stage,
            sum(self._done.get(rule, 0) for rule in counted),
            total,
            one if total == 1 else many,
            1.0 if ended else done / work,
            sum(rule in stage.seconds for number, rule in self._failed.items() if number not in self._unreached),
            tuple(job.sentence for job in self.running.values() if job.rule in stage.seconds),
            None if began is None else last - began,
        )

    def _pace(self) -> float:
        """How many times longer than usual this run's jobs take."""
        usual = sum(number * SECONDS.get(rule, OTHER_SECONDS) for rule, number in self._done.items())
        return sum(self._taken.values()) / usual if usual else 1.0

    def _expected(self, rule: str, pace: float) -> float:
        number = self._done.get(rule, 0)
        return self._taken[rule] / number if number else SECONDS.get(rule, OTHER_SECONDS) * pace

    def left(self, now: float) -> float | None:
        """Seconds until the run ends; None as long as nothing can be said.

        A rule's jobs take as long as those that are done; a rule of which none is done takes what it usually takes, longer or
        shorter as this run's other jobs. A stage takes its work shared by the cores, and at least its longest job.
        """
        if sum(self._taken.values()) < _ENOUGH:
            return None
        pace = self._pace()
        seconds = sum(self._stage_left(stage, pace, now) for stage in stages_of(self.counts))
        return seconds + self.later * pace / max(self.capacity, 1)

    def _stage_left(self, stage: Stage, pace: float, now: float) -> float:
        work = longest = 0.0
        for rule in stage.seconds:
            expected = self._expected(rule, pace)
            threads = min(self._threads.get(rule, 1), self.capacity) if self.shared else 1
            ages = [now - job.began for job in self.running.values() if job.rule == rule]
            lost = sum(name == rule for name in self._failed.values())
            waiting = max(self.counts.get(rule, 0) - self._done.get(rule, 0) - len(ages) - lost, 0)
            rest = [max(expected - age, 0.0) for age in ages] + [expected] * (waiting > 0)
            work += (sum(rest[: len(ages)]) + expected * waiting) * threads
            longest = max([longest, *rest])
        return max(work / max(self.capacity, 1), longest)


def in_words(seconds: float) -> str:
    """A time for people: ``40 s``, ``4 min``, ``2 h 05 min``."""
    if seconds < MINUTE:
        return f"{max(round(seconds), 1)} s"
    if seconds < HOUR - MINUTE / 2:
        return f"{round(seconds / MINUTE)} min"
    minutes = round(seconds / MINUTE)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def roughly(seconds: float) -> str:
    """A time that is guessed: no finer than it is known."""
    if seconds < MINUTE / 2:
        return "less than a minute"
    return in_words(max(seconds, MINUTE)) if seconds < 10 * MINUTE else in_words(5 * MINUTE * round(seconds / 300))
