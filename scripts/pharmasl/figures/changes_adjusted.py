"""Values of a cluster or region adjusted as the analysis' model adjusts them: its partial residuals.

With ``y`` the outcome that the model explains, ``X`` its design and ``b`` its least-squares estimate in the place, what the terms
beside those shown contribute is taken away as far as it differs from its mean: ``y - (O - mean(O)) b_O`` (Larsen and McCleary 1972,
doi 10.1080/00401706.1972.10488966, at the mean of the other terms). Means of the arms then differ by the model's own estimates, and
a line through the values against the tested quantity has the model's slope. A column that is multiplied by the voxel's own baseline takes
the place's baseline, less its mean, as the tests of regions do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.figures.changes_places import People, Place
from pharmasl.files.tables import Row
from pharmasl.group import design_names
from pharmasl.study.effect_kinds import BASELINE, CHANGE, FOLLOWUP
from pharmasl.study.labels import spaced

_OWN_BASELINE = "baseline"
_IN_WORDS = {_OWN_BASELINE: "each cluster's or region's own baseline", "seed_change": "the seed's change"}


@dataclass(frozen=True, kw_only=True)
class Adjustment:
    """What a model adjusts for, beside what a figure shows.

    Attributes
    ----------
    outcome : {"change", "followup", "baseline"}
        What the model explains.
    terms, unknown : sequence of str
        The other terms in words: those adjusted for, and those whose values in a place are not known.
    participants : sequence of str
        One per row of ``matrix``.
    matrix : ndarray of shape (n, p)
        The design without the columns of unknown terms.
    takes_baseline : ndarray of bool, shape (p,)
        The columns that the place's baseline multiplies.
    others : ndarray of bool, shape (p,)
        The columns adjusted for.
    one_slope : bool
        Whether the tested quantity has the same slope for all.
    """

    outcome: str
    terms: Sequence[str]
    unknown: Sequence[str]
    participants: Sequence[str]
    matrix: np.ndarray
    takes_baseline: np.ndarray
    others: np.ndarray
    one_slope: bool

    def measured(self, place: Place, sessions: Sequence[str], members: Sequence[str]) -> dict[str, float]:
        """The outcome of participants, as measured."""
        if self.outcome == CHANGE:
            return place.changes(sessions, members)
        return place.at(sessions[0] if self.outcome == BASELINE else sessions[-1], members)

    def values(self, place: Place, sessions: Sequence[str]) -> dict[str, float]:
        """The adjusted outcome of all participants with a value; empty where they are too few for the model, or it
        adjusts for nothing that is known.

        Parameters
        ----------
        place : Place
        sessions : sequence of str
            Baseline and follow-up, or one of them.
        """
        if not self.others.any():
            return {}
        outcome = self.measured(place, sessions, self.participants)
        own = place.at(sessions[0], self.participants) if self.takes_baseline.any() else outcome
        rows = [k for k, who in enumerate(self.participants) if who in outcome and who in own]
        matrix = self.matrix[rows]
        if len(rows) <= matrix.shape[1]:
            return {}
        names = [self.participants[k] for k in rows]
        if self.takes_baseline.any():
            level = np.array([own[who] for who in names])
            matrix = np.where(self.takes_baseline, matrix * (level - level.mean())[:, None], matrix)
        measured = np.array([outcome[who] for who in names])
        coefficients, _, rank, _ = np.linalg.lstsq(matrix, measured)
        if rank < matrix.shape[1]:
            return {}
        others = matrix[:, self.others]
        adjusted = measured - (others - others.mean(axis=0)) @ coefficients[self.others]
        return dict(zip(names, adjusted.tolist()))


def read(block: Mapping[str, Any], design: Sequence[Row], people: People, *, by_arm: bool) -> Adjustment | None:
    """What the model of an analysis adjusts for; None where that is nothing, or where a row is a scan.

    Parameters
    ----------
    block : mapping
        Content of ``{analysis}_inference.json``.
    design : sequence of Row
        One row per participant.
    people : People
    by_arm : bool
        Whether the figure shows the arms apart, which it then does not adjust for.
    """
    tested = block["model"].get("tested_model")
    outcome = tested and tested["outcome"]
    if not tested or not design or outcome not in (CHANGE, FOLLOWUP, BASELINE) or "session_id" in design[0]:
        return None
    columns = [str(name) for name in tested["columns"]]
    maps = [set(names) for names in tested["voxelwise"]] or [set()] * len(columns)
    variables = [_variables(name, people) for name in columns]
    in_test = np.abs(np.array(tested["weights"], dtype=np.float64)).max(axis=0) > 0
    shown = {"arm"} if by_arm else set()
    wanted = [variables[k] | shown for k in np.flatnonzero(in_test)]
    # With a product its margins are shown, and the intercept always.
    kept = [own <= {"intercept"} or any(own <= names for names in wanted) for own in variables]
    known = np.array([names <= ({_OWN_BASELINE} if outcome != BASELINE else set()) for names in maps])
    others = ~np.array(kept) & known
    unknown = [variables[k] for k in range(len(columns)) if not known[k]]
    if not others.any() and not unknown:
        return None
    return Adjustment(
        outcome=str(outcome),
        terms=_words(variables[k] for k in np.flatnonzero(others)),
        unknown=_words(unknown),
        participants=[str(row["participant_id"]) for row in design],
        matrix=np.array([[float(row[name]) for name in columns] for row in design])[:, known],
        takes_baseline=np.array([bool(names) for names in maps])[known],
        others=others[known],
        one_slope=bool(in_test.sum() == 1 and len(variables[int(np.argmax(in_test))]) == 1),
    )


def _variables(column: str, people: People) -> set[str]:
    """The variables of a column; a column of a named effect may have an arm's name."""
    return {"arm" if name in people.order else name for name in design_names.variables(column)}


def _words(terms: Iterable[set[str]]) -> list[str]:
    names = dict.fromkeys(" by ".join(sorted(own)) for own in terms)
    return [_IN_WORDS.get(name, spaced(name)) for name in names]
