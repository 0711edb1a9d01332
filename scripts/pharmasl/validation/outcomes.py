"""What the workflow said of a replicate, read from the tables that stay of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.simulate.comparison_table import CIGARETTES, CRAVING, CUE_REGION, RESTING_REGION
from pharmasl.validation.replicates import NOTHING, RESULTS, TRUTH, Record, Replicate, read_record

COMPARISON = "comparison.tsv"
# Names in the truth's table of effects.
_SCORES = {CRAVING: "cue-elicited craving group by time", CIGARETTES: "cigarettes a day at follow-up"}
# The statistic by which an analysis concludes, as it was declared.
DECLARED = "declared"


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A row of the comparison of planted and found; fields as :data:`pharmasl.simulate.comparison_table.COLUMNS`.

    Attributes
    ----------
    estimate : float or None
        What was found.
    holds_population : bool or None
        Whether the interval holds what is planted in the population; None where that is not known exactly.
    """

    effect: str
    region: str
    unit: str
    planted: float | None
    expected: float | None
    estimate: float | None
    p: float | None
    holds: bool | None
    holds_population: bool | None
    distance: float | None
    dice: float | None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class AnalysisOutcome:
    """A whole-brain analysis.

    Attributes
    ----------
    name : str
    was_run : bool
    least_p : mapping of str to float
        Smallest p in the brain by statistic, that of :data:`DECLARED` among them.
    called : float
        Share of the brain's voxels that are significant by the declared statistic.
    """

    name: str
    was_run: bool
    least_p: Mapping[str, float]
    called: float


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A declared answer of the trial.

    Attributes
    ----------
    name, role : str
    p, p_corrected : float or None
    """

    name: str
    role: str
    p: float | None
    p_corrected: float | None


@dataclass(frozen=True, kw_only=True)
class RegionChange:
    """An estimate of a region, or of the whole brain, in an analysis.

    Attributes
    ----------
    analysis, region : str
    estimate, low, high, p : float or None
    """

    analysis: str
    region: str
    estimate: float | None
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A finished replicate."""

    kind: str
    record: Record
    compared: Sequence[Compared]
    analyses: Sequence[AnalysisOutcome]
    answers: Sequence[Answer]
    changes: Sequence[RegionChange]
    scans: int
    usable: int


def read(replicate: Replicate) -> Outcome | None:
    """The outcome of a replicate; None unless it is finished."""
    record = read_record(replicate.folder)
    if record is None or not record.is_finished:
        return None
    results, kind = replicate.folder / RESULTS, replicate.variant.kind
    population = _population(tables.read_table(replicate.folder / TRUTH / "effects.tsv"), kind)
    quality = tables.read_table(results / "quality/scans.tsv")
    folders = sorted(path for path in (results / "group").iterdir() if path.is_dir())
    return Outcome(
        kind=kind,
        record=record,
        compared=[_compared(row, population) for row in tables.read_table(replicate.folder / COMPARISON)],
        analyses=[_analysis(folder) for folder in folders],
        answers=[
            Answer(
                name=row["answer"],
                role=row["role"],
                p=_number(row["p"]),
                p_corrected=_number(row["p_corrected"]),
            )
            for row in tables.read_table(results / "trial/verdict.tsv")
        ],
        changes=[change for folder in folders for change in _changes(folder)],
        scans=len(quality),
        usable=sum(row["usable"] == "yes" for row in quality),
    )


def _population(effects: Sequence[Row], kind: str) -> dict[str, float]:
    """What is planted in the population by effect, where it is known exactly: no effect, and effects on scores."""
    by_name = {row["effect"]: float(row["amount"]) for row in effects}
    known = {effect: by_name[name] for effect, name in _SCORES.items() if name in by_name}
    # Where nothing is planted and the cue response is compared, it is none either.
    return {**known, RESTING_REGION: 0.0, CUE_REGION: 0.0} if kind == NOTHING else known


def _compared(row: Row, population: Mapping[str, float]) -> Compared:
    truth, low, high = population.get(row["effect"]), _number(row["ci_low"]), _number(row["ci_high"])
    return Compared(
        effect=row["effect"],
        region=row["region"],
        unit=row["unit"],
        planted=_number(row["planted"]),
        expected=_number(row["expected"]),
        estimate=_number(row["found"]),
        p=_number(row["p"]),
        holds=None if row["holds"] is None else row["holds"] == "yes",
        holds_population=None if truth is None or low is None or high is None else low <= truth <= high,
        distance=_number(row["distance"]),
        dice=_number(row["dice"]),
        verdict=row["verdict"],
    )


def _analysis(folder: Path) -> AnalysisOutcome:
    (path,) = folder.glob("*_inference.json")
    content = tables.read_json(path)
    verdict = content.get("verdict")
    if content["status"] != "run" or verdict is None:
        return AnalysisOutcome(name=folder.name, was_run=False, least_p={}, called=0.0)
    least = {name: float(p) for name, p in content["result"]["least_p"].items() if p is not None}
    return AnalysisOutcome(
        name=folder.name,
        was_run=True,
        least_p={DECLARED: float(verdict["p"]), **least},
        called=verdict["significant_voxels"] / content["search_volume"]["voxels"],
    )


def _changes(folder: Path) -> list[RegionChange]:
    """The estimates of an analysis' planned regions and of the whole brain; regions that these data defined have none."""
    rows = []
    for ending, column in (("_global.tsv", "reference"), ("_regions.tsv", "roi")):
        for path in folder.glob(f"*{ending}"):
            rows += [
                RegionChange(
                    analysis=folder.name,
                    region=row[column],
                    estimate=_number(row["estimate"]),
                    low=_number(row["ci_low"]),
                    high=_number(row["ci_high"]),
                    p=_number(row["p"]),
                )
                for row in tables.read_table(path)
                if row.get("defined_by_same_data") != "true"
            ]
    return rows


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
