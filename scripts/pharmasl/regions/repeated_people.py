"""Whose sessions are compared for repeatability, and in what: the same for the table of regions and for the maps."""

from dataclasses import dataclass

# Of intervals.
LEVEL = 0.95
# Below three people nothing is computed; intervals of so few are wide, and say so.
LEAST = 3


@dataclass(frozen=True, kw_only=True)
class RepeatedPeople:
    """Who is measured twice.

    Attributes
    ----------
    arm : str or None
        The control arm; None where all people are taken together.
    participants : tuple of str
        With ``sub-``.
    sessions : tuple of str
        Labels of baseline and follow-up.
    """

    arm: str | None
    participants: tuple[str, ...]
    sessions: tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class RepeatedContrast:
    """A contrast of conditions.

    Attributes
    ----------
    name : str
    unit : str
    is_cbf, is_cbf_absolute : bool
        Whether it is a CBF, of which a coefficient of variation has a meaning; and whether it would be if nothing were taken off
        its scans, as of global CBF.
    """

    name: str
    unit: str
    is_cbf: bool
    is_cbf_absolute: bool
