"""What the study's table is made of: the tables of the stages, each as measures of participants and visits."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pharmasl.conduct import flow
from pharmasl.endpoints import measure_scores
from pharmasl.errors import FilePath
from pharmasl.export.tidy_columns import Column, Measure, Visit, computed, entered, safe_name
from pharmasl.files import bids, tables
from pharmasl.regions.region_values import unit_of
from pharmasl.study.labels import Labels

YES, NO = "yes", "no"
_CRAVING = ("before", "after", "cue_elicited")


@dataclass(frozen=True, kw_only=True)
class TidyFiles:
    """The tables of which the study's table is made.

    Attributes
    ----------
    participants, randomised : path-like
        Those with a folder and their columns; everyone randomised.
    flow : path-like or None
        Who was lost at which stage, and why; None in a study without arms.
    quality : path-like or None
        A row per scan; None where the workflow has none.
    global_values : path-like or None
        Mean CBF over the brain and grey matter, in the same case.
    parcels : path-like
        CBF of every parcel of the atlas.
    regions : sequence of path-like
        CBF of each region.
    designs, inferences : sequence of path-like
        ``_design.tsv`` and ``_inference.json`` of each analysis.
    craving_scores : path-like or None
    endpoint_scores : sequence of path-like
    """

    participants: FilePath
    randomised: FilePath
    flow: FilePath | None
    quality: FilePath | None
    global_values: FilePath | None
    parcels: FilePath
    regions: Sequence[FilePath]
    designs: Sequence[FilePath]
    inferences: Sequence[FilePath]
    craving_scores: FilePath | None
    endpoint_scores: Sequence[FilePath]


@dataclass(frozen=True, kw_only=True)
class Names:
    """Names of the configuration.

    Attributes
    ----------
    sessions : sequence of str
        Labels, baseline and follow-up first; none in a study without sessions.
    arm_column : str or None
        The participants' table's own column of the arms.
    conditions, analyses, regions, endpoints : sequence of str
        In the configuration's order, in which the files are, too.
    measure : str
        What the contrast maps are of, ``CBF`` or another program's words.
    labels : Labels
        What they are called in words.
    """

    sessions: Sequence[str]
    arm_column: str | None
    conditions: Sequence[str]
    analyses: Sequence[str]
    regions: Sequence[str]
    endpoints: Sequence[str]
    measure: str
    labels: Labels


def below(path: FilePath) -> str:
    """The path of a table below the results' folder; all of them lie in a folder of it."""
    path = Path(path)
    folder = path.parent
    return (
        f"{folder.parent.name}/{folder.name}/{path.name}"
        if folder.parent.name == "group"
        else f"{folder.name}/{path.name}"
    )


def _dictionary(path: FilePath) -> dict[str, Any]:
    return tables.read_json(Path(path).with_suffix(".json"))


def _visit(row: tables.Row) -> Visit:
    session = row["session_id"]
    return row["participant_id"], None if session is None else bids.bare_label(session, "ses")


def people(files: TidyFiles, names: Names) -> Iterator[Measure]:
    """Arm, whether selected and scanned, and the columns of the participants' table."""
    everyone = tables.read_table(files.randomised, of_arms=True)
    source = below(files.randomised)
    for name, words in {
        "arm": "Arm of the trial",
        "selected": "Whether the configuration's participants name this participant",
        "scanned": "Whether there is a perfusion scan of any condition",
    }.items():
        values: dict[Visit, str | None] = {(row["participant_id"], None): _yes_no(row[name]) for row in everyone}
        if any(value is not None for value in values.values()):
            yield Measure(Column(name=name, words=words, source=source, source_column=name, by_session=False), values)
    yield from _covariates(files, names)


def _yes_no(text: str | None) -> str | None:
    return {"true": YES, "false": NO}.get(text or "", text)


def _covariates(files: TidyFiles, names: Names) -> Iterator[Measure]:
    """Columns of the participants' table; those that each session has of its own become one."""
    columns: dict[str, dict[str, str | None]] = {}
    sources: dict[str, str] = {}
    for path, passed_over in _with_covariates(files, names):
        for row in tables.read_table(path, of_arms=True):
            for name, value in row.items():
                if name not in passed_over and not name.startswith(measure_scores.POPULATION):
                    sources.setdefault(name, below(path))
                    values = columns.setdefault(name, {})
                    values[row["participant_id"]] = values.get(row["participant_id"]) or value
    split = _split_by_session(columns, names.sessions)
    parts = {name for by_session in split.values() for name in by_session.values()}
    words = "of the dataset's table of participants"
    for name, values in columns.items():
        if name not in parts:
            column = Column(
                name=safe_name(name),
                words=f"{name}, {words}",
                source=sources[name],
                source_column=name,
                by_session=False,
            )
            yield entered(column, {(who, None): value for who, value in values.items()})
    for base, by_session in split.items():
        column = Column(
            name=safe_name(base),
            words=f"{base} at the session, {words}",
            source=sources[next(iter(by_session.values()))],
            source_column=" ".join(by_session.values()),
        )
        at_visits: dict[Visit, str | None] = {
            (who, session): value for session, name in by_session.items() for who, value in columns[name].items()
        }
        yield entered(column, at_visits)


def _split_by_session(columns: Iterable[str], sessions: Sequence[str]) -> dict[str, dict[str, str]]:
    """Columns that several sessions have of their own, ``drug_T1`` and ``drug_T2``: by base and session."""
    known = list(columns)
    split: dict[str, dict[str, str]] = {}
    for name in known:
        for session in sessions:
            base = name.removesuffix(f"_{session}")
            if base not in ("", name):
                split.setdefault(base, {})[session] = name
    return {base: own for base, own in split.items() if len(own) > 1 and base not in known}


def _with_covariates(files: TidyFiles, names: Names) -> Iterator[tuple[FilePath, set[str]]]:
    """Tables with columns of the participants' table, and their other columns; the scores have those never scanned, too."""
    own = {"participant_id", "session_id", "arm", *([names.arm_column] if names.arm_column else [])}
    yield files.participants, own
    for path in files.endpoint_scores:
        yield path, own | set(measure_scores.COLUMNS)


def used(files: TidyFiles, names: Names) -> Iterator[Measure]:
    """Of each analysis, who is in it, and why the others are not."""
    losses = flow.read_flow(files.flow) if files.flow is not None else []
    everyone = [row["participant_id"] for row in tables.read_table(files.randomised, of_arms=True)]
    for analysis, design, inference in zip(names.analyses, files.designs, files.inferences, strict=True):
        inside = {row["participant_id"] for row in tables.read_table(design)}
        why = {row["participant_id"]: row["reason"] for row in tables.read_json(inference)["excluded"]}
        why |= {
            who: row["reason"]
            for row in losses
            if (row["stage"], row["of"]) == ("left out", analysis)
            for who in (row["participants"] or "").split()
        }
        words = names.labels.analysis(analysis)
        yield Measure(
            Column(
                name=f"used_{safe_name(analysis)}",
                words=f"Whether the participant is in the analysis: {words}",
                source=below(design),
                source_column="participant_id",
                by_session=False,
            ),
            {(who, None): YES if who in inside else NO for who in everyone},
        )
        reasons = {who: why.get(who, "not of the arms or scans that it takes") for who in everyone if who not in inside}
        if reasons:
            yield Measure(
                Column(
                    name=f"why_not_{safe_name(analysis)}",
                    words=f"Why the participant is not in the analysis: {words}",
                    source=below(files.flow or inference),
                    source_column="reason",
                    by_session=False,
                ),
                {(who, None): reason for who, reason in reasons.items()},
            )


def craving(files: TidyFiles) -> Iterator[Measure]:
    """Craving before and after the cues, and the difference."""
    if files.craving_scores is None:
        return
    rows = tables.read_table(files.craving_scores, of_arms=True)
    yield from _entered_columns(files.craving_scores, rows, {name: f"craving_{name}" for name in _CRAVING})


def endpoints(files: TidyFiles, names: Names) -> Iterator[Measure]:
    """The scores of each endpoint, as analysed, and as measured where they were transformed; who is in which population."""
    for endpoint, path in zip(names.endpoints, files.endpoint_scores, strict=True):
        rows = tables.read_table(path, of_arms=True)
        name = safe_name(endpoint)
        wanted = {"score": name}
        if any(row["score"] != row["score_measured"] for row in rows):
            wanted["score_measured"] = f"{name}_measured"
        yield from _entered_columns(path, rows, wanted, about=f"{endpoint.replace('_', ' ')}: ")
        for column in rows[0] if rows else ():
            if column.startswith(measure_scores.POPULATION) and any(row[column] != "true" for row in rows):
                yield Measure(
                    Column(
                        name=safe_name(f"{name}_{column}"),
                        words=f"{endpoint.replace('_', ' ')}: {_dictionary(path)[column]['Description']}",
                        source=below(path),
                        source_column=column,
                        by_session=False,
                    ),
                    {(row["participant_id"], None): _yes_no(row[column]) for row in rows},
                )


def _entered_columns(
    path: FilePath, rows: Sequence[tables.Row], wanted: dict[str, str], about: str = ""
) -> Iterator[Measure]:
    described = _dictionary(path)
    for source_column, name in wanted.items():
        own = described[source_column]
        column = Column(
            name=name,
            words=f"{about}{own['Description']}",
            source=below(path),
            source_column=source_column,
            unit=own.get("Units"),
        )
        yield entered(column, {_visit(row): row[source_column] for row in rows})


def global_cbf(files: TidyFiles, names: Names) -> Iterator[Measure]:
    """Mean CBF over the brain and over grey matter in each contrast."""
    if files.global_values is None:
        return
    described = _dictionary(files.global_values)
    for contrast, rows in _by(tables.read_table(files.global_values), "contrast").items():
        for part in ("brain", "grey_matter"):
            column = Column(
                name=f"cbf_{safe_name(contrast)}_{part}",
                words=f"Mean CBF of the {part.replace('_', ' ')}: {names.labels.contrast(contrast)}",
                source=below(files.global_values),
                source_column=part,
                unit=described[part]["Units"],
            )
            yield computed(column, {_visit(row): row[part] for row in rows})


def region_values(files: TidyFiles, names: Names) -> Iterator[Measure]:
    """What every declared region has in each contrast."""
    for region, path in zip(names.regions, files.regions, strict=True):
        described = _dictionary(path)["cbf"]
        for contrast, rows in _by(tables.read_table(path, of_arms=True), "contrast").items():
            column = Column(
                name=f"{safe_name(names.measure).lower()}_{safe_name(contrast)}_{safe_name(region)}",
                words=f"{names.measure} of the region {names.labels.region(region)}: {names.labels.contrast(contrast)}",
                source=below(path),
                source_column="cbf",
                unit=unit_of(described, contrast),
            )
            yield computed(column, {_visit(row): row["cbf"] for row in rows})


def parcel_values(files: TidyFiles, names: Names) -> Iterator[Measure]:
    """What every parcel of the atlas has in each contrast."""
    described = _dictionary(files.parcels)["cbf"]
    for contrast, rows in _by(tables.read_table(files.parcels), "contrast").items():
        for parcel, own in _by(rows, "parcel").items():
            column = Column(
                name=f"parcel_{safe_name(contrast)}_{safe_name(parcel)}",
                words=f"{names.measure} of the parcel {parcel.replace('_', ' ')}: {names.labels.contrast(contrast)}",
                source=below(files.parcels),
                source_column="cbf",
                unit=unit_of(described, contrast),
            )
            yield computed(column, {_visit(row): row["cbf"] for row in own})


def _by(rows: Iterable[tables.Row], name: str) -> dict[str, list[tables.Row]]:
    groups: dict[str, list[tables.Row]] = {}
    for row in rows:
        groups.setdefault(row[name], []).append(row)
    return groups


def scans(files: TidyFiles, names: Names) -> Iterator[Measure]:
    """How many scans of each condition there are and are usable, and why the others are not."""
    if files.quality is None:
        return
    source = below(files.quality)
    for condition, visits in _scans(files.quality, names).items():
        words = names.labels.condition(condition)
        name = safe_name(condition)
        for source_column, start, about, counted in (
            ("scan", "scans", "Number of scans", lambda row: True),
            ("usable", "scans_usable", "Number of usable scans", lambda row: row["usable"] != NO),
        ):
            column = Column(
                name=f"{start}_{name}",
                words=f"{about}: {words}",
                source=source,
                source_column=source_column,
                decimals=0,
            )
            yield Measure(column, {visit: str(sum(map(counted, rows))) for visit, rows in visits.items()})
        for source_column, start, about in (
            ("exclusion_reason", "why_excluded", "Why scans are excluded"),
            ("flags", "flags", "Measures of quality outside their limits"),
        ):
            texts = {visit: _joined(row.get(source_column) for row in rows) for visit, rows in visits.items()}
            if any(texts.values()):
                yield Measure(
                    Column(
                        name=f"{start}_{name}", words=f"{about}: {words}", source=source, source_column=source_column
                    ),
                    texts,
                )


def _joined(texts: Iterable[str | None]) -> str | None:
    return "; ".join(dict.fromkeys(text for text in texts if text)) or None


def _scans(quality: FilePath, names: Names) -> dict[str, dict[Visit, list[tables.Row]]]:
    """Rows of scans by condition and visit, in the configuration's order of conditions."""
    visits: dict[str, dict[Visit, list[tables.Row]]] = {condition: {} for condition in names.conditions}
    for row in tables.read_table(quality):
        visits.setdefault(row["condition"], {}).setdefault(_visit(row), []).append(row)
    return {condition: own for condition, own in visits.items() if own}


def quality(files: TidyFiles, names: Names) -> Iterator[Measure]:
    """Each measure of quality in each condition; of several scans at a visit, their mean."""
    if files.quality is None:
        return
    described = {name: own for name, own in _dictionary(files.quality).items() if "LongName" in own}
    for condition, visits in _scans(files.quality, names).items():
        for measure, own in described.items():
            values = {visit: _mean([row.get(measure) for row in rows]) for visit, rows in visits.items()}
            if all(value is None for value in values.values()):
                continue
            column = Column(
                name=f"quality_{safe_name(condition)}_{measure}",
                words=f"{own['LongName']}: {names.labels.condition(condition)}",
                source=below(files.quality),
                source_column=measure,
                unit=own.get("Units"),
            )
            yield computed(column, values)


def _mean(texts: Sequence[str | None]) -> str | None:
    """The mean of numbers as texts, of those that are there."""
    numbers = [float(text) for text in texts if text is not None]
    return repr(sum(numbers) / len(numbers)) if numbers else None
