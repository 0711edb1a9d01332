"""The whole-brain effects of the simulated trial: planted, expected and found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.simulate.comparison_table import (
    ASSOCIATION,
    CUE,
    CUE_REGION,
    RESTING,
    RESTING_REGION,
    Comparison,
    rounded,
    with_interval,
)
from pharmasl.simulate.planted_regions import REGIONS, Region
from pharmasl.space import images, resample, transforms
from pharmasl.study.settings import Arms, SessionPair

Point = tuple[float, ...]
Index = tuple[np.intp, ...]

# Distance (mm) from a planted centre within which a peak counts as found there.
REACH = 20.0


def ordinary_least_squares(design: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Coefficients of shape (K, V) of data of shape (N, V) on a design of shape (N, K)."""
    return np.linalg.lstsq(design, data, rcond=None)[0]


@dataclass(frozen=True)
class AnalysisFiles:
    """Paths of the outputs of a whole-brain analysis."""

    effect: FilePath
    t: FilePath
    verdict: FilePath
    clusters: FilePath
    table: FilePath
    inference: FilePath
    design: FilePath


class AnalysisResult:
    """The outputs of a whole-brain analysis.

    Parameters
    ----------
    files : AnalysisFiles
    """

    def __init__(self, files: AnalysisFiles) -> None:
        self.effect, self.affine = images.load(files.effect)
        self.t = images.load(files.t).data
        self.p = 10.0 ** -images.load(files.verdict).data.astype(np.float64)
        block = tables.read_json(files.inference)
        self.decision = block["verdict"]
        # The region of its seed by its name.
        self.seed: str | None = (block.get("seed") or {}).get("roi")
        self.clusters = images.load(files.clusters, dtype=np.int32).data
        self.rows = tables.read_table(files.table)
        self.people = {row["participant_id"] for row in tables.read_table(files.design)}
        self.points = transforms.points(images.Grid(self.t.shape, self.affine))
        self.finite = np.isfinite(self.t) & np.isfinite(self.effect)
        # The map is in single precision; an analysis that was not run has no verdict.
        alpha = self.decision["alpha"] if self.decision else 0.0
        self.significant = self.finite & (np.nan_to_num(self.p, nan=1.0) <= alpha * (1 + 1e-5))

    def mean(self, region: Region) -> float:
        """Mean effect over a region, by its weight."""
        weight = region.weight(self.points) * self.finite
        return float((weight * np.where(self.finite, self.effect, 0)).sum() / weight.sum()) if weight.any() else np.nan

    def peak(self, centre: Point, sign: float) -> Index | None:
        """The indices of the strongest significant voxel of a sign near a point, or None."""
        near = ((self.points - centre) ** 2).sum(axis=-1) < REACH**2
        score = np.where(self.significant & near, sign * self.t, -np.inf)
        index = np.unravel_index(np.argmax(score), score.shape)
        return index if score[index] > 0 else None

    def dice(self, index: Index, region: Region) -> float:
        """Overlap of a voxel's cluster with a region, where its weight is above one half, as Dice coefficient."""
        # A significant voxel need not lie in a cluster: by a voxelwise statistic it may be below the forming threshold.
        label = self.clusters[index]
        cluster = self.clusters == label if label else np.zeros(self.clusters.shape, dtype=bool)
        planted = (region.weight(self.points) > 0.5) & self.finite
        total = cluster.sum() + planted.sum()
        return float(2 * (cluster & planted).sum() / total)

    def region_name(self, index: Index) -> str | None:
        """The atlas region of the listed peak of a voxel's cluster that is nearest to the voxel."""
        rows = [row for row in self.rows if row["cluster"] == str(self.clusters[index])]
        if not rows or "region" not in rows[0]:
            return None
        place = self.points[index]
        distances = [np.linalg.norm([float(row[axis]) - value for axis, value in zip("xyz", place)]) for row in rows]
        return rows[int(np.argmin(distances))]["region"]


class TruthMaps:
    """The truth's CBF maps, smoothed as by the workflow.

    Parameters
    ----------
    scans : sequence of dict
        Participant, session and condition of each map, as in the truth's ``scans.tsv``. Maps of one condition that several runs of a
        session have are averaged, as the workflow averages them.
    paths : sequence of path-like
        The maps, in the order of ``scans``.
    fwhm : float
        Of the workflow's smoothing, mm.
    """

    def __init__(self, scans: Sequence[Row], paths: Sequence[FilePath], fwhm: float) -> None:
        own: dict[tuple[str, str | None, str], list[np.ndarray]] = {}
        for scan, path in zip(scans, paths, strict=True):
            data, self.affine = images.load(path)
            smooth = resample.smooth(data, self.affine, fwhm)
            own.setdefault((scan["participant_id"], scan["session_id"], scan["condition"]), []).append(smooth)
        self._maps = {key: maps[0] if len(maps) == 1 else np.mean(maps, axis=0) for key, maps in own.items()}
        self.points = transforms.points(images.Grid(smooth.shape, self.affine))

    def cue(self, participants: Sequence[Row], session: str | None) -> np.ndarray:
        """Smoking minus neutral cues in a session: ndarray of shape (N, X, Y, Z)."""
        people = [row["participant_id"] for row in participants]
        return np.stack([self._maps[who, session, "smoking"] - self._maps[who, session, "neutral"] for who in people])

    def change(self, participants: Sequence[Row], sessions: SessionPair, weights: Mapping[str, float]) -> np.ndarray:
        """Follow-up minus baseline of a weighted sum of conditions: ndarray of shape (N, X, Y, Z)."""
        first, second = sessions.baseline, sessions.followup
        return np.stack(
            [
                sum(
                    (
                        w * (self._maps[row["participant_id"], second, c] - self._maps[row["participant_id"], first, c])
                        for c, w in weights.items()
                    ),
                    start=np.float32(0),
                )
                for row in participants
            ]
        )

    def mean(self, volume: np.ndarray, region: Region) -> np.ndarray:
        """Mean over a region, by its weight, of maps of shape (..., X, Y, Z)."""
        weight = region.weight(self.points)
        finite = np.isfinite(volume).reshape(-1, *weight.shape).all(axis=0)
        weight = weight * finite
        return (np.where(finite, volume, 0) * weight).sum(axis=(-3, -2, -1)) / weight.sum()


@dataclass(frozen=True)
class Truth:
    """What was planted.

    Attributes
    ----------
    participants, effects : sequence of dict
        Rows of the truth's tables.
    maps : TruthMaps
    """

    participants: Sequence[Row]
    effects: Sequence[Row]
    maps: TruthMaps

    def amount(self, effect: str, centre: Point) -> float:
        """The planted amount of an effect at a centre."""
        place = [repr(float(value)) for value in centre]
        (amount,) = {
            float(row["amount"])
            for row in self.effects
            if row["effect"] == effect and [row["x"], row["y"], row["z"]] == place
        }
        return amount

    def people(self, analysis: AnalysisResult) -> list[Row]:
        """The rows of the participants whom an analysis took."""
        return [row for row in self.participants if row["participant_id"] in analysis.people]


def _design(people: Sequence[Row], arms: Arms) -> np.ndarray:
    """Intercept and treatment of participants: ndarray of shape (N, 2)."""
    treated = np.array([row["arm"] == arms.treatment for row in people], dtype=float)
    return np.column_stack([np.ones(len(treated)), treated])


def brain_rows(
    truth: Truth,
    rest: AnalysisResult,
    association: AnalysisResult,
    masks: Mapping[str, FilePath],
    *,
    arms: Arms,
    sessions: SessionPair,
) -> list[Comparison]:
    """Rows of the whole-brain effects.

    Parameters
    ----------
    truth : Truth
    rest : AnalysisResult
        Group by time of CBF at rest.
    association : AnalysisResult
        Change of the cue response with the dlPFC's change at rest.
    masks : mapping of str to path-like
        Region to its mask, the seed's among them.
    arms : settings.Arms
    sessions : settings.SessionPair

    Returns
    -------
    list of Comparison
    """
    people = truth.people(rest)
    design = _design(people, arms)
    resting = truth.maps.change(people, sessions, {"rest": 1})
    dlpfc = REGIONS["dlpfc"]
    rows = []
    for centre in dlpfc.centres:
        change = truth.maps.mean(resting, dlpfc.around(centre))
        expected = ordinary_least_squares(design, change[:, None])[1, 0]
        planted = truth.amount("resting group by time", centre)
        rows.append(_place_row(RESTING, dlpfc, centre, rest, unit="mL/100 g/min", planted=planted, expected=expected))
    rows.append(_elsewhere(RESTING, [dlpfc], rest))

    people = truth.people(association)
    if not people:
        return [*rows, *_not_run(truth)]
    resting = truth.maps.change(people, sessions, {"rest": 1})
    cue = truth.maps.change(people, sessions, {"smoking": 1, "neutral": -1})
    seeded = np.column_stack([_design(people, arms), _seed_change(truth.maps, resting, masks[association.seed or ""])])
    for name in ("insula", "vmpfc"):
        for centre in REGIONS[name].centres:
            change = truth.maps.mean(cue, REGIONS[name].around(centre))
            rows.append(
                _place_row(
                    ASSOCIATION,
                    REGIONS[name],
                    centre,
                    association,
                    unit="mL/100 g/min per mL/100 g/min",
                    planted=truth.amount("association with the dlPFC's change", centre),
                    expected=ordinary_least_squares(seeded, change[:, None])[2, 0],
                )
            )
    rows.append(_elsewhere(ASSOCIATION, [REGIONS["insula"], REGIONS["vmpfc"]], association))
    return rows


def _not_run(truth: Truth) -> list[Comparison]:
    """The rows of an association that was not run, as where its seed region was not found: what was planted, and nothing beside it."""
    return [
        Comparison(
            effect=ASSOCIATION,
            region=_side(REGIONS[name], centre),
            unit="mL/100 g/min per mL/100 g/min",
            planted=truth.amount("association with the dlPFC's change", centre),
            planted_at=" ".join(f"{value:g}" for value in centre),
            verdict="not run",
        )
        for name in ("insula", "vmpfc")
        for centre in REGIONS[name].centres
    ]


def region_rows(
    truth: Truth,
    rest: AnalysisResult,
    table: FilePath,
    masks: Mapping[str, FilePath],
    *,
    arms: Arms,
    sessions: SessionPair,
) -> list[Comparison]:
    """Rows of group by time at rest in the configuration's regions, with the intervals of the workflow's own estimates.

    Parameters
    ----------
    truth : Truth
    rest : AnalysisResult
    table : path-like
        The analysis' table of regions.
    masks : mapping of str to path-like
        Of the regions, by name.
    arms : settings.Arms
    sessions : settings.SessionPair

    Returns
    -------
    list of Comparison
        Regions without an estimate, and those that these data defined, have none.
    """
    people = truth.people(rest)
    resting = truth.maps.change(people, sessions, {"rest": 1})
    return _region_rows(RESTING_REGION, resting, _design(people, arms), truth.maps.points, table, masks)


def cue_rows(
    truth: Truth, cue: AnalysisResult, table: FilePath, masks: Mapping[str, FilePath], *, sessions: SessionPair
) -> list[Comparison]:
    """Rows of the cue response at baseline: at the planted centres, elsewhere, and in the configuration's regions.

    Parameters
    ----------
    truth : Truth
    cue : AnalysisResult
        Mean of smoking minus neutral cues at baseline.
    table : path-like
        The analysis' table of regions.
    masks : mapping of str to path-like
        Of the regions, by name.
    sessions : settings.SessionPair

    Returns
    -------
    list of Comparison
    """
    people = truth.people(cue)
    if not people:
        return []
    response = truth.maps.cue(people, sessions.baseline)
    rows = [
        _place_row(
            CUE,
            REGIONS[name],
            centre,
            cue,
            unit="mL/100 g/min",
            planted=truth.amount(CUE, centre),
            expected=float(truth.maps.mean(response, REGIONS[name].around(centre)).mean()),
        )
        for name in ("insula", "vmpfc")
        for centre in REGIONS[name].centres
    ]
    rows.append(_elsewhere(CUE, [REGIONS["insula"], REGIONS["vmpfc"]], cue))
    return rows + _region_rows(CUE_REGION, response, np.ones((len(people), 1)), truth.maps.points, table, masks)


def _region_rows(
    effect: str,
    values: np.ndarray,
    design: np.ndarray,
    points: np.ndarray,
    table: FilePath,
    masks: Mapping[str, FilePath],
) -> list[Comparison]:
    """Rows of an effect in regions: the last coefficient of a design (N, K) of true maps (N, X, Y, Z), and the table's estimate."""
    finite = np.isfinite(values).all(axis=0)
    rows = []
    for row in tables.read_table(table):
        if row["roi"] not in masks or row["estimate"] is None or row["defined_by_same_data"] == "true":
            continue
        inside = resample.resample(*images.load(masks[row["roi"]]), points, fill=0.0) > 0.5
        inside &= finite
        if not inside.any():
            continue
        means = values[:, inside].mean(axis=1)
        expected = ordinary_least_squares(design, means[:, None])[-1, 0]
        low, high = (None if row[name] is None else float(row[name]) for name in ("ci_low", "ci_high"))
        estimate = float(row["estimate"])
        compared = Comparison(
            effect=effect,
            region=row["roi"],
            unit="mL/100 g/min",
            expected=rounded(float(expected)),
            found=rounded(estimate),
            p=None if row["p"] is None else rounded(float(row["p"])),
            p_kind=None if row["p"] is None else "single test, not corrected",
            verdict="estimated",
        )
        rows.append(with_interval(compared, low, high))
    return rows


def _seed_change(maps: TruthMaps, resting: np.ndarray, mask: FilePath) -> np.ndarray:
    """The true change (N,) of the seed that the workflow took, wherever that lies."""
    share = resample.resample(*images.load(mask), maps.points, fill=0.0)
    share[~np.isfinite(resting).all(axis=0)] = 0
    # A seed of a few voxels may lie between the points of the truth's grid: then those beside it.
    inside = share > min(0.5, share.max() / 2)
    return resting[:, inside].mean(axis=1)


def _side(region: Region, centre: Point) -> str:
    if len(region.centres) == 1:
        return region.label
    return f"{region.label.split(',')[0]}, {'right' if centre[0] > 0 else 'left'}"


def _place_row(
    effect: str,
    region: Region,
    centre: Point,
    analysis: AnalysisResult,
    *,
    unit: str,
    planted: float,
    expected: float,
) -> Comparison:
    """The row of an effect at one centre of a region."""
    sign = np.sign(planted) or 1.0
    estimate = analysis.mean(region.around(centre))
    row = Comparison(
        effect=effect,
        region=_side(region, centre),
        unit=unit,
        planted=planted,
        expected=rounded(expected),
        found=rounded(estimate),
        planted_at=" ".join(f"{value:g}" for value in centre),
        verdict="not found",
    )
    index = analysis.peak(centre, sign)
    if index is None:
        wrong = np.isfinite(estimate) and analysis.peak(centre, -sign) is not None
        return replace(row, verdict="wrong sign") if wrong else row
    return replace(
        row,
        p=rounded(float(analysis.p[index])),
        p_kind=f"{analysis.decision['statistic']}, {analysis.decision['error_rate']}",
        found_at=" ".join(f"{value:g}" for value in analysis.points[index]),
        distance=round(float(np.linalg.norm(analysis.points[index] - centre)), 1),
        dice=rounded(analysis.dice(index, region.around(centre)), 3),
        found_region=analysis.region_name(index),
        verdict="found",
    )


def _elsewhere(effect: str, regions: Sequence[Region], analysis: AnalysisResult) -> Comparison:
    """The row of significant clusters that touch no planted region: there should be none."""
    planted = np.maximum.reduce([region.weight(analysis.points) for region in regions]) > 0
    labels = set(np.unique(analysis.clusters[analysis.significant])) - {0}
    stray = sorted(labels - set(np.unique(analysis.clusters[planted])))
    voxel = abs(np.linalg.det(analysis.affine[:3, :3]))
    volume = voxel * np.isin(analysis.clusters, stray).sum() / 1000 if stray else 0
    return Comparison(
        effect=effect,
        region="clusters that touch no planted region",
        unit="significant clusters",
        planted=0,
        expected=0,
        found=len(stray),
        verdict="none" if not stray else f"{volume:.1f} mL by chance or by error",
    )
