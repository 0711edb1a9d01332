"""Whose page it is: participant, session and condition in the study's words."""

from collections.abc import Mapping
from typing import Any

from pharmasl.study.labels import Labels


def heading(row: Mapping[str, Any], labels: Labels) -> str:
    """The heading of a scan's page.

    Parameters
    ----------
    row : mapping
        Of the quality table.
    labels : Labels
    """
    name, condition = row["session_id"], row["condition"]
    session = labels.sessions.get(name, f"session {name}") if name else None
    return ", ".join(
        part for part in (row["participant_id"], session, condition and labels.condition(condition)) if part
    )
