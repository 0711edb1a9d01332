"""One specification of a sensitivity analysis: its choices, and what its answers take besides files.

A *specification* is one value of each *choice*: how a scan's CBF is scaled, smoothed and corrected for partial volumes
(these three make an *image alternative*), which scans are excluded, and which covariates the models have.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pharmasl.study import arms as study_arms
from pharmasl.study import settings


@dataclass(frozen=True, kw_only=True)
class ImageAlternative:
    """How a scan's CBF map is made; each value is fit to be part of a path.

    Attributes
    ----------
    scaling : {"absolute", "global"}
    smoothing_fwhm : str
        mm, ``6``.
    partial_volume : {"false", "true"}
        Whether CBF is corrected for partial volumes.
    """

    scaling: str
    smoothing_fwhm: str
    partial_volume: str


@dataclass(frozen=True, kw_only=True)
class Choices(ImageAlternative):
    """One value of each choice; each is fit to be part of a path.

    Attributes
    ----------
    quality, covariates : str
        ``own``, or a name of the configuration.
    """

    quality: str
    covariates: str


@dataclass(frozen=True, kw_only=True)
class ScanWeight:
    """A scan's place among those of a visit, and its weight in a contrast."""

    scan: int
    weight: float


@dataclass(frozen=True, kw_only=True)
class VisitScans:
    """The scans of a participant at a session, and the contrasts made of them.

    Attributes
    ----------
    participant_id : str
        With ``sub-``.
    session_id : str or None
    scans, conditions : tuple of str
        Names, and the state of each: a run in which conditions alternate stands here once for each of them.
    contrasts : mapping
        Contrast to its scans; those that can be formed.
    """

    participant_id: str
    session_id: str | None
    scans: tuple[str, ...]
    conditions: tuple[str, ...]
    contrasts: Mapping[str, tuple[ScanWeight, ...]]


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked in a region: the effect of an analysis, or, without one, the correlation with craving.

    Attributes
    ----------
    name : str
    roi, contrast : str
    analysis : str or None
        Name of the analysis.
    model : ModelSettings or None
        Its effect and terms.
    inference : Inference or None
        How it is tested over the whole brain; None where it is not.
    members : tuple of str
        Its participants, with ``sub-``.
    sessions : mapping
        ``baseline`` and, unless the effect is of the baseline alone, ``followup`` to labels.
    """

    name: str
    roi: str
    contrast: str
    analysis: str | None
    model: settings.ModelSettings | None
    inference: settings.Inference | None
    members: tuple[str, ...]
    sessions: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Specification:
    """What the answers under one specification take, besides files.

    Attributes
    ----------
    choices : Choices
    main : bool
        Whether it is the main specification.
    visits : tuple of VisitScans
        In the study's order.
    rules : ScanRules
        By which scans are excluded.
    exclude_scans, accept_scans : mapping
        Scans excluded and accepted by name, to the reason.
    poor_scans : mapping
        Scans that a person rated poor, to the reason.
    questions : tuple of Question
    regions : mapping
        Region to the statistic read in it.
    craving_covariates : tuple of str or None
        Of the correlations with craving; None where there are none.
    sessions : SessionPair
    arms : Arms
    minimum_coverage : float
        Minimum share of a region with data.
    relative : mapping
        Contrast to how its scans are scaled, for those of relative CBF.
    """

    choices: Choices
    main: bool
    visits: tuple[VisitScans, ...]
    rules: settings.ScanRules
    exclude_scans: Mapping[str, str]
    accept_scans: Mapping[str, str]
    poor_scans: Mapping[str, str]
    questions: tuple[Question, ...]
    regions: Mapping[str, str]
    craving_covariates: tuple[str, ...] | None
    sessions: settings.SessionPair
    arms: settings.Arms
    minimum_coverage: float
    relative: Mapping[str, settings.Scaling]

    @property
    def terms(self) -> list[str]:
        """Columns of the participants' table, or changes of one, that the answers take."""
        columns = list(self.craving_covariates or ())
        for question in self.questions:
            columns += study_arms.all_columns(question.model) if question.model else []
        return columns
