"""What the participants' figure of an analysis shows: each one's values in every cluster drawn and every declared region."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.figures import changes_adjusted, findings
from pharmasl.figures.changes_adjusted import Adjustment
from pharmasl.figures.changes_places import People, Place, Visit
from pharmasl.figures.findings import Findings
from pharmasl.figures.numerals import p_text
from pharmasl.files import tables
from pharmasl.files.bids import bare_label
from pharmasl.files.tables import Row
from pharmasl.study import effect_words
from pharmasl.study.labels import Labels, spaced

# Clusters drawn: the significant ones up to here, or the nearest where none is.
MOST = 10
# A column of the design with fewer values than this is a group, not a quantity.
_QUANTITY = 5
NOWHERE = ""  # the arm of a participant in a study without arms


@dataclass(frozen=True, kw_only=True)
class ChangesFiles:
    """The files of the figure.

    Attributes
    ----------
    table, inference, design, cluster_values : path-like
        The cluster table, what was tested, the design and each participant's values in the clusters.
    regions : path-like
        ``_regions.tsv``.
    region_values : sequence of path-like
        ``{roi}_values.tsv`` of every declared region.
    """

    table: FilePath
    inference: FilePath
    design: FilePath
    cluster_values: FilePath
    regions: FilePath
    region_values: Sequence[FilePath]


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A quantity of the participants that the model takes: its name in words, and its values by participant."""

    words: str
    values: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """All that the figure shows.

    Attributes
    ----------
    block : Mapping
        Content of ``_inference.json``.
    people : People
    clusters, regions : sequence of Place
    quantity : Quantity or None
        What the tested slope is of.
    unit : str
        Of the contrast's values.
    adjustment : Adjustment or None
        What the values are adjusted for.
    """

    block: Mapping[str, Any]
    people: People
    clusters: Sequence[Place]
    regions: Sequence[Place]
    quantity: Quantity | None
    unit: str
    adjustment: Adjustment | None = None


def _visits(rows: Iterable[Row], column: str) -> dict[Visit, float]:
    return {
        (row["participant_id"], bare_label(row["session_id"] or "", "ses")): float(row[column])
        for row in rows
        if row[column] is not None
    }


def _people(block: Mapping[str, Any], rows: Sequence[Row], labels: Labels) -> People:
    arms = {row["participant_id"]: row["arm"] or NOWHERE for row in rows}
    declared = [str(block["arms"][name]) for name in ("treatment", "control")] if block.get("arms") else []
    present = sorted(set(arms.values()))
    order = [arm for arm in declared if arm in present] + [arm for arm in present if arm not in declared]
    sessions = list(dict.fromkeys(bare_label(row["session_id"] or "", "ses") for row in rows))
    return People(arms=arms, order=order, sessions=sessions, labels=labels)


def _clusters(results: Findings, rows: Sequence[Row]) -> list[Place]:
    """The significant clusters, or the nearest where none is."""
    shown = list(results.significant().items())[:MOST]
    if not shown:
        shown = sorted(results.clusters.items(), key=lambda item: float(item[1]["p_verdict"]))[:1]
    letter = "q" if results.level.startswith("false") else "family-wise\u00a0p"
    own: dict[str, list[Row]] = {}
    for row in rows:
        own.setdefault(str(row["cluster"]), []).append(row)
    places = []
    for number, row in shown:
        where = ",\u00a0".join(f"{value:.0f}".replace("-", "\u2212") for value in findings.point(row))
        p = p_text(row["p_verdict"]).removeprefix("p ")
        places.append(
            Place(
                key=f"cluster-{number}",
                name=f"Cluster {number}" + (f": {words}" if (words := findings.cluster_regions(row)) else ""),
                note=f"peak at ({where})\u00a0mm; {float(row['volume_mm3']) / 1000:.1f}\u00a0mL; {letter}\u00a0{p}".replace(
                    "= ", "=\u00a0"
                ),
                chosen=True,
                values=_visits(own.get(str(number), []), "value"),
            )
        )
    return places


def _alike(region: Place, cluster: Place) -> bool:
    """Whether a region that the data chose is this cluster."""
    values = cluster.values
    return region.chosen and all(
        visit in region.values and abs(region.values[visit] - value) <= 1e-4 * max(abs(value), 1)
        for visit, value in values.items()
    )


def _regions(files: ChangesFiles, contrast: str, people: People, drawn: Sequence[Place]) -> list[Place]:
    """The declared regions, in the order of their table; those drawn as clusters are left out."""
    results = {str(row["roi"]): row for row in tables.read_table(files.regions)}
    places = []
    for path in files.region_values:
        rows = [row for row in tables.read_table(path) if row["contrast"] == contrast]
        if not rows or str(rows[0]["roi"]) not in results:
            continue
        name, result = str(rows[0]["roi"]), results[str(rows[0]["roi"])]
        chosen = result["defined_by_same_data"] == "true"
        p = f"; corrected {p_text(result['p_fwe'])}" if result["p_fwe"] is not None else ""
        values = {visit: value for visit, value in _visits(rows, "cbf").items() if visit[0] in people.arms}
        places.append(
            Place(
                key=f"region-{name}",
                name=people.labels.region(name),
                note="declared region, a cluster of these data" if chosen else f"declared region{p}",
                chosen=chosen,
                values=values,
            )
        )
    order = list(results)
    # A region that is a cluster drawn already is not drawn twice.
    places = [place for place in places if not any(_alike(place, other) for other in drawn)]
    return sorted(places, key=lambda place: order.index(place.key.removeprefix("region-")))


def quantity(block: Mapping[str, Any], design: Sequence[Row], labels: Labels) -> Quantity | None:
    """What the tested slope is of: a seed's change, a predictor or a numeric term of a formula; None where arms are compared.

    Parameters
    ----------
    block : Mapping
        Content of ``_inference.json``.
    design : sequence of Row
        One row per participant.
    labels : Labels
    """
    if not effect_words.of_block(block).is_slope or not design or "session_id" in design[0]:
        return None
    seed = block.get("seed")
    wanted = "seed_change" if seed else block.get("predictor")
    for column in [wanted, *block["model"]["tested_columns"]]:
        if column in design[0] and ":" not in column:
            values = {str(row["participant_id"]): float(row[column]) for row in design}
            if len(set(values.values())) >= _QUANTITY:
                words = spaced(str(column))
                if seed and column == "seed_change":
                    where = f"{labels.region(seed['roi'])} ({labels.contrast(seed['contrast'])})"
                    words = f"Change in {where}, from its mean"
                return Quantity(words=words, values=values)
    return None


def read(files: ChangesFiles, labels: Labels) -> Changes | None:
    """Read all that the figure shows; None for an analysis that was not run."""
    results = Findings(files.table, files.inference)
    rows = tables.read_table(files.cluster_values)
    if not results.ran:
        return None
    design = tables.read_table(files.design)
    people = _people(results.block, rows, labels)
    if not rows:  # no cluster at all: the regions' tables say who was there
        wanted = set(results.block["participants"])
        rows = [
            row for path in files.region_values for row in tables.read_table(path) if row["participant_id"] in wanted
        ]
        people = _people(results.block, [row for row in rows if row["contrast"] == results.block["contrast"]], labels)
    clusters = _clusters(results, tables.read_table(files.cluster_values))
    slope_of = quantity(results.block, design, labels)
    return Changes(
        block=results.block,
        people=people,
        clusters=clusters,
        regions=_regions(files, str(results.block["contrast"]), people, clusters),
        quantity=slope_of,
        unit=effect_words.unit_of(results.block),
        adjustment=changes_adjusted.read(results.block, design, people, by_arm=slope_of is None),
    )


def mean(values: Iterable[float]) -> tuple[float, float]:
    """A mean and half the width of its 95 % confidence interval by Student's t; NaN where there is none."""
    from scipy.special import stdtrit

    own = np.array(list(values), dtype=np.float64)
    if not len(own):
        return np.nan, np.nan
    half = stdtrit(len(own) - 1, 0.975) * own.std(ddof=1) / np.sqrt(len(own)) if len(own) > 1 else np.nan
    return float(own.mean()), float(half)
