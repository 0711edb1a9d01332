"""Why participants are not kept at a stage of the trial: the earliest of the obstacles that the study's tables record.

Where several things stood in a participant's way, the loss is by the earliest of :data:`CAUSES` (Schulz, Altman and Moher
2010, BMJ 340:c332; items 13a and 13b).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pharmasl.errors import FilePath, InputError
from pharmasl.files import bids, tables
from pharmasl.study import conditions

# In the order in which it happens to participants.
CAUSES = {
    "not selected": "Not among the participants that the configuration names",
    "not scanned": "No perfusion run of any condition at any session",
    "no session": "Scanned, and not at a session that is needed",
    "no state": "Scanned at the session, and not in a state that is needed",
    "scan excluded": "All runs of a state excluded for their quality",
    "not rated": "No cue-elicited craving score",
    "no covariate": "A value missing in the participants' table: the arm or a covariate",
    "other": "Left out by the analysis itself, for the reason that it gives",
}
RANK = {cause: rank for rank, cause in enumerate(CAUSES)}


@dataclass(frozen=True)
class Loss:
    """Why a participant is not kept.

    Attributes
    ----------
    cause : str
        One of :data:`CAUSES`.
    reason : str
        The same in words, with what was missing or excluded.
    """

    cause: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class FlowFiles:
    """The tables from which the flow of participants is counted.

    Attributes
    ----------
    randomised, participants, scans, exclusions : path-like
        Tables of the study.
    quality_exclusions : path-like or None
        Scans excluded for their quality; None of ready-made contrast maps.
    designs, inferences : sequence of path-like
        ``_design.tsv`` and ``_inference.json`` of each analysis.
    craving_scores, craving_model : path-like or None
    """

    randomised: FilePath
    participants: FilePath
    scans: FilePath
    exclusions: FilePath
    quality_exclusions: FilePath | None
    designs: Sequence[FilePath]
    inferences: Sequence[FilePath]
    craving_scores: FilePath | None
    craving_model: FilePath | None


@dataclass(frozen=True)
class Obstacle:
    """One thing that stands in the way of a participant at one session.

    Attributes
    ----------
    cause : str
        One of :data:`CAUSES`.
    what : str
        What is missing or excluded; the session follows it in a sentence.
    detail : str
        What follows the session.
    """

    cause: str
    what: str
    detail: str = ""


def session_label(label: str | None) -> str | None:
    """The label of a session without ``ses-``; None in a study without sessions."""
    return None if label is None else bids.bare_label(label, "ses")


def joined(words: Sequence[str]) -> str:
    """Words in a row: "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def exclusion_kind(reason: str | None) -> str:
    """The kind of a scan's exclusion: the quality stage's reason without the numbers that are the scan's own."""
    text = re.sub(r"\b\d+ of \d+ repeats usable, fewer than (\d+)", r"fewer than \1 repeats usable", reason or "")
    text = re.sub(r" \([^()]*\d[^()]*\)", "", text)
    return re.sub(r"registration not accepted: .*?(?=; |$)", "registration not accepted", text) or "no reason given"


def _scan_name(scan: str) -> str:
    """The file stem of a scan, without its folder."""
    return scan.rsplit("/", 1)[-1]


class TrialRecords:
    """What the study's tables record of everyone randomised.

    Parameters
    ----------
    files : FlowFiles

    Attributes
    ----------
    file : path-like
        The table of those randomised, for messages.
    arms : dict
        Participant to arm, None where none is recorded; in the order of the table.
    unselected : set of str
        Participants whom the configuration does not name.
    scanned : set of str
        Participants with a perfusion run of a condition.

    Raises
    ------
    InputError
        If a participant is listed twice, or the tables are not of one study.
    """

    def __init__(self, files: FlowFiles) -> None:
        self.file = files.randomised
        rows = tables.read_table(files.randomised, of_arms=True)
        self.arms: dict[str, str | None] = {row["participant_id"]: row.get("arm") for row in rows}
        if len(self.arms) < len(rows):
            raise InputError(
                file=self.file,
                field="participant_id",
                found="a participant twice",
                expected="one row each",
                fix="Remove the copy.",
            )
        participants = tables.read_table(files.participants, of_arms=True)
        self._columns: dict[str, dict[str, str | None]] = {row["participant_id"]: row for row in participants}
        self._runs: dict[tuple[str, str | None], dict[str, list[str]]] = {}
        for row in tables.read_table(files.scans):
            states = self._runs.setdefault((row["participant_id"], session_label(row["session_id"])), {})
            for condition in conditions.of_state(row["condition"]):
                states.setdefault(condition, []).append(_scan_name(row["scan"]))
        excluded = tables.read_table(files.quality_exclusions) if files.quality_exclusions else []
        self._excluded = {_scan_name(row["scan"]): exclusion_kind(row["reason"]) for row in excluded}
        self._never_scanned: dict[str, str] = {
            row["participant_id"]: row["reason"]
            for row in reversed(tables.read_table(files.exclusions))
            if not any(row.get(name) for name in ("session_id", "condition", "analysis"))
        }
        self.unselected = {row["participant_id"] for row in rows if row["selected"] == "false"}
        self.scanned = {participant for participant, _ in self._runs}
        self.require_randomised(self.scanned, files.scans)
        recorded = {row["participant_id"] for row in rows if row["scanned"] == "true"}
        if recorded != self.scanned:
            odd = ", ".join(sorted(recorded ^ self.scanned))
            raise InputError(
                file=self.file,
                field="scanned",
                found=f"not as in the table of scans: {odd}",
                expected="one study",
                fix="Run it again.",
            )

    def require_randomised(self, participants: Iterable[str], file: FilePath) -> None:
        """Raise an InputError if someone in a file was never randomised."""
        strangers = sorted(set(participants) - set(self.arms))
        if strangers:
            raise InputError(
                file=file,
                field="participant_id",
                found=", ".join(strangers),
                expected=f"participants of {self.file}",
                fix="Run the study again.",
            )

    def not_selected(self, participant: str) -> Loss | None:
        """The loss of a participant whom the configuration does not name; None for the others."""
        reason = "not among the participants that the configuration names"
        return Loss("not selected", reason) if participant in self.unselected else None

    def not_scanned(self, participant: str) -> Loss | None:
        """The loss of a participant not selected or never scanned; None for the others."""
        if loss := self.not_selected(participant):
            return loss
        if participant in self.scanned:
            return None
        return Loss("not scanned", self._never_scanned.get(participant) or "no perfusion run of any condition")

    def absent(self, participant: str, session: str, sessions: Sequence[str]) -> Loss | None:
        """The loss of a participant with no scan at a session; the reason says at which of the others there is one."""
        if (participant, session) in self._runs:
            return None
        elsewhere = [label for label in sessions if (participant, label) in self._runs]
        return self.not_scanned(participant) or Loss("no session", f"scanned at {joined(elsewhere)} only")

    def without_usable_scans(
        self, participant: str, sessions: Sequence[str | None], states: Sequence[str], *, one_is_enough: bool = False
    ) -> Loss | None:
        """Why a participant has no usable scans of these states at these sessions.

        Parameters
        ----------
        participant : str
        sessions, states : sequence of str
        one_is_enough : bool
            Whether a single one of the sessions will do.

        Returns
        -------
        Loss or None
            By the earliest cause at any of the sessions, which the reason names; None if nothing is missing.
        """
        if loss := self.not_scanned(participant):
            return loss
        obstacles = {session: self._obstacles(participant, session, states) for session in sessions}
        if one_is_enough and not all(obstacles.values()):
            return None
        ranks = [RANK[obstacle.cause] for at_session in obstacles.values() for obstacle in at_session]
        if not ranks:
            return None
        earliest = list(CAUSES)[min(ranks)]
        places: dict[Obstacle, list[str | None]] = {}
        for session, at_session in obstacles.items():
            for obstacle in at_session:
                if obstacle.cause == earliest:
                    places.setdefault(obstacle, []).append(session)
        reasons = [
            obstacle.what + _at([label for label in labels if label is not None]) + obstacle.detail
            for obstacle, labels in places.items()
        ]
        return Loss(earliest, "; ".join(reasons))

    def _obstacles(self, participant: str, session: str | None, states: Sequence[str]) -> list[Obstacle]:
        """What stands in the way of a participant at one session, of the earliest cause only."""
        runs = self._runs.get((participant, session))
        if runs is None:
            return [Obstacle("no session", "no scan")]
        missing = [state for state in states if state not in runs]
        if missing:
            return [Obstacle("no state", f"no {' and no '.join(missing)} scan")]
        obstacles = []
        for state in states:
            if all(scan in self._excluded for scan in runs[state]):
                why = "; ".join(dict.fromkeys(self._excluded[scan] for scan in runs[state]))
                obstacles.append(Obstacle("scan excluded", f"{state} scan", f" excluded: {why}"))
        return obstacles

    def incomplete(self, participant: str, columns: Sequence[str]) -> Loss | None:
        """The loss of a participant without arm, or without a value of a column; None for the others."""
        row = self._columns.get(participant, {})
        missing = ["arm"] if self.arms[participant] is None else []
        missing += [name for name in columns if row.get(name) is None]
        return Loss("no covariate", f"no {joined(list(dict.fromkeys(missing)))}") if missing else None


def _at(sessions: Sequence[str]) -> str:
    """Sessions as they follow a noun; nothing where there are none."""
    return f" at {joined(sessions)}" if sessions else ""
