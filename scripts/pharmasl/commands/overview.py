"""A study in the lines of a terminal: people by arm and session, states, who is incomplete, how the scans were acquired."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.commands import cautions, scan_words
from pharmasl.files import bids
from pharmasl.study import arms as study_arms
from pharmasl.study import conditions, sheets
from pharmasl.study.trial import Study

# Rows of a list that a screen shows; the rest is counted.
MOST = 12


@dataclass(frozen=True)
class Part:
    """A section of the overview: a heading, and lines below it."""

    heading: str
    lines: list[str]

    def __str__(self) -> str:
        return "\n".join([self.heading, *(f"  {line}" for line in self.lines)])


def parts(study: Study) -> list[Part]:
    """All sections; those without a line are left out.

    Parameters
    ----------
    study : pharmasl.study.trial.Study

    Returns
    -------
    list of Part
    """
    every = [
        people(study),
        states(study),
        incomplete(study),
        other_programs(study),
        acquisition(study),
        analyses(study),
        left_out(study),
        warnings(study),
    ]
    return [part for part in every if part.lines]


def people(study: Study) -> Part:
    """Participants with scans by arm and session, the incomplete ones counted."""
    table = (
        f"{len(study.randomised)} in {study.settings.participants_table}" if study.randomised else "no table of them"
    )
    scanned = {subject for subject, _ in study.visits}
    heading = f"People: {len(scanned)} with {'contrast maps' if study.contrast_maps else 'scans'}, {table}"
    if study.settings.participants is not None:
        heading += f", {len(study.settings.participants)} chosen"
    if study.settings.blinded:
        heading += "; BLINDED: the arms are dealt at random"
    sessions = sessions_of(study)
    # Who lies in one visit of a study without sessions is neither early nor late.
    columns = [
        *(label or ("maps" if study.contrast_maps else "scanned") for label in sessions),
        *(["all sessions"] if len(sessions) > 1 else []),
    ]
    visits = set(study.visits)
    rows = []
    for arm, members in _by_arm(study).items():
        counts = [sum((who, label) in visits for who in members) for label in sessions]
        if len(sessions) > 1:
            counts.append(sum(all((who, label) in visits for label in sessions) for who in members))
        rows.append([arm, *counts])
    if len(rows) > 1:
        rows.append(["together", *(sum(column) for column in list(zip(*rows))[1:])])
    return Part(heading, table_lines(["", *columns], rows))


def seen(study: Study) -> list[tuple[str, str | None, str]]:
    """Subject, session and condition of every run, once for each that alternates within it; of ready-made maps, whose conditions are contrasts, of every map."""
    runs = [(own.subject, own.session, own.condition) for scan in study.scans.values() for own in scan.states]
    return runs + [(own.subject, own.session, own.contrast) for own in study.contrast_maps.values()]


def sessions_of(study: Study) -> list[str | None]:
    """The sessions in the trial's order; those of the scans, where the configuration names none."""
    if study.settings.sessions:
        return list(study.settings.sessions.labels)
    return sorted({session for _, session, _ in seen(study)}, key=lambda label: label or "")


def _by_arm(study: Study) -> dict[str, list[str]]:
    """Labels of the participants with a folder, by arm; those without one last."""
    arms = study.settings.arms
    if arms is None:
        return {"participants": list(study.participants)}
    groups: dict[str, list[str]] = {label: [] for label in arms.labels}
    for who, row in study.participants.items():
        groups.setdefault(row.get(arms.column) or "no arm", []).append(who)
    return groups


def states(study: Study) -> Part:
    """The runs of each state by session, with the entities by which they are known."""
    sessions = sessions_of(study)
    several = Counter(seen(study))
    counts = Counter((state, session) for _, session, state in several.elements())
    rows: list[list[Any]] = []
    for name, condition in study.settings.conditions.items():
        labels = [
            f"{key}: {getattr(condition, key)}"
            for key in (*conditions.SELECTORS, "block")
            if getattr(condition, key) is not None
        ]
        most = max((count for (_, _, state), count in several.items() if state == name), default=0)
        note = f"up to {most} runs a session, averaged" if most > 1 else ""
        by_session = [counts[name, label] for label in sessions]
        rows.append([name, ", ".join(labels) or "every run", *by_session, note])
    if study.contrast_maps:
        source = f", made by {study.contrast_source.words}" if study.contrast_source else ""
        heading = f"Contrasts: {several.total()} ready-made maps of {len(rows)}{source}"
        own = [[name, *numbers] for name, _, *numbers, _ in rows]
        return Part(heading, table_lines(["", *(label or "maps" for label in sessions)], own))
    heading = f"States: {len(study.scans)} runs of {len(study.settings.conditions)}"
    return Part(heading, table_lines(["", "runs with", *(label or "runs" for label in sessions), ""], rows))


def incomplete(study: Study) -> Part:
    """Who lacks a session, a state or a T1w."""
    rows, present = [], set(seen(study))
    sessions = sessions_of(study)
    for who in study.participants:
        reasons = [f"not scanned at {label}" for label in sessions if label and (who, label) not in study.visits]
        for subject, session in study.visits:
            if subject == who:
                absent = [name for name in study.settings.conditions if (who, session, name) not in present]
                reasons += [f"no {name}" + (f" at {session}" if session else "") for name in absent]
        stems = {stem for (subject, _), stem in study.anatomies.items() if subject == who}
        if stems and not all(study.t1w[stem] for stem in stems):
            reasons.append(f"{sheets.TEMPLATE_ANATOMY} takes its place")
        arms = study.settings.arms
        if arms and study.participants[who].get(arms.column) is None:
            reasons.append("no arm")
        if reasons:
            rows.append([f"sub-{who}", "; ".join(reasons)])
    return Part(f"Incomplete: {len(rows) or 'nobody'}", shortened(table_lines([], rows)))


def other_programs(study: Study) -> Part:
    """What other programs made in place of the workflow's own stages."""
    lines = []
    if imported := study.imported_anatomies:
        own = f"; {' and '.join(imported.own)} by this workflow" if imported.own else ""
        number = len(imported.files)
        lines.append(f"{number} {'anatomy' if number == 1 else 'anatomies'} of {imported.dataset.words}{own}")
    programs = Counter(scan.imported.program for scan in study.scans.values() if scan.imported)
    lines += [
        f"{number} CBF {'map' if number == 1 else 'maps'} of {program.name} {program.version}"
        for program, number in programs.items()
    ]
    return Part("Results of other programs", lines)


def acquisition(study: Study) -> Part:
    """How the scans were acquired: what most have, and which scans differ in what."""
    scans = list(study.scans.values())
    if not scans:
        return Part("Acquisition", [])
    kinds = Counter(scan_words.signature(scan) for scan in scans)
    (usual, number), *others = kinds.most_common()
    words = ", ".join(text for _, text in usual)
    lines = [
        f"{words}: {'all' if len(kinds) == 1 else number} {len(scans) if len(kinds) == 1 else f'of {len(scans)}'} scans"
    ]
    for kind, count in others:
        names = [scan.name for scan in scans if scan_words.signature(scan) == kind]
        ours, theirs = dict(usual), dict(kind)
        differing = [theirs.get(key, f"no {key}") for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
        lines.append(f"{count}: {', '.join(differing)} ({named(names)})")
    return Part("Acquisition", shortened(lines))


def analyses(study: Study) -> Part:
    """How many of each arm each analysis has, and the smallest p that so few people allow."""
    rows = []
    for name, analysis in study.settings.analyses.items():
        counts = cautions.people_by_arm(study, analysis)
        number, smallest = cautions.relabellings(analysis, counts), cautions.smallest_p(analysis, counts)
        limit = "" if smallest is None else f"{number} relabellings: no p below {smallest:.2g}"
        rows.append([name, ", ".join(f"{count} {label}" for label, count in counts.items()), limit])
    return Part("Analyses, if every scan is usable", table_lines([], rows))


def warnings(study: Study) -> Part:
    """What is worth a second look before a run."""
    lines = cautions.cautions(study)
    return Part(f"Warnings: {len(lines)}", lines)


def left_out(study: Study) -> Part:
    """What is not used, and why, alike reasons together."""
    reasons: dict[str, list[str]] = {}
    # Whose arm an analysis does not ask about is not left out of it.
    rows = [row for row in study.incomplete() if _is_concerned(study, row)]
    for row in [*study.exclusions, *rows]:
        place = f"{row['analysis']}: " if row.get("analysis") else ""
        who = "_".join(filter(None, [row["participant_id"], row.get("session_id") and f"ses-{row['session_id']}"]))
        reasons.setdefault(f"{place}{row['reason']}", []).append(who)
    lines = [f"{reason} ({named(people)})" for reason, people in reasons.items()]
    return Part("Left out", shortened(lines))


def _is_concerned(study: Study, row: Mapping[str, str | None]) -> bool:
    if study.settings.arms is None:
        return True
    arm = study.participants[bids.bare_label(str(row["participant_id"]), "sub")].get(study.arms.column)
    return arm is None or arm in study_arms.concerned(study.settings.analyses[str(row["analysis"])], study.arms)


def named(names: Sequence[str], most: int = 3) -> str:
    """The first of some names, the others counted; each once."""
    once = list(dict.fromkeys(names))
    return ", ".join(once[:most]) + (f" and {len(once) - most} more" if len(once) > most else "")


def shortened(lines: Sequence[str]) -> list[str]:
    """The first lines of a list, the others counted."""
    return [*lines[:MOST], *([f"... and {len(lines) - MOST} more"] if len(lines) > MOST else [])]


def table_lines(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> list[str]:
    """A table in columns: numbers to the right, texts to the left.

    Parameters
    ----------
    header : sequence
        Empty for none.
    rows : iterable of sequence

    Returns
    -------
    list of str
    """
    body = [list(row) for row in rows]
    lines = [*([list(header)] if header else []), *body]
    if not body:
        return []
    return ["   ".join(cells).rstrip() for cells in zip(*(_column(column, bool(header)) for column in zip(*lines)))]


def _column(cells: Sequence[Any], with_header: bool) -> Iterator[str]:
    width = max(len(str(cell)) for cell in cells)
    is_number = all(isinstance(cell, int) for cell in cells[with_header:])
    for cell in cells:
        yield str(cell).rjust(width) if is_number else str(cell).ljust(width)
