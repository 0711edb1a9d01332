"""The participants of an analysis, and their values in a cluster or region."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pharmasl.study.labels import Labels

Visit = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class People:
    """The participants of an analysis.

    Attributes
    ----------
    arms : Mapping
        Participant to arm.
    order : sequence of str
        The arms, treatment and control first.
    sessions : sequence of str
        Baseline and follow-up first.
    labels : Labels
    """

    arms: Mapping[str, str]
    order: Sequence[str]
    sessions: Sequence[str]
    labels: Labels

    def members(self, arm: str) -> list[str]:
        """The participants of an arm, in order of their names."""
        return sorted(who for who, own in self.arms.items() if own == arm)

    def words(self, arm: str) -> str:
        """An arm in words."""
        return self.labels.arm(arm) if arm else "all"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A cluster or a region.

    Attributes
    ----------
    key : str
        ``cluster-1`` or ``region-vmpfc``.
    name, note : str
        What it is called, and what is said of it in a smaller type.
    chosen : bool
        Whether the same data chose it.
    values : Mapping
        By participant and session (without ``ses-``); missing ones are left out.
    """

    key: str
    name: str
    note: str
    chosen: bool
    values: Mapping[Visit, float]

    def at(self, session: str, members: Iterable[str]) -> dict[str, float]:
        """The values of participants at a session."""
        return {who: self.values[who, session] for who in members if (who, session) in self.values}

    def changes(self, sessions: Sequence[str], members: Iterable[str]) -> dict[str, float]:
        """Follow-up minus baseline of participants with both."""
        first, second = (self.at(session, members) for session in sessions[:2])
        return {who: second[who] - value for who, value in first.items() if who in second}
