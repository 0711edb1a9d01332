"""Repeatability, measured in those who have both sessions."""

import dataclasses
from typing import Any

from pharmasl.files import bids
from pharmasl.study import relative_cbf
from pharmasl.study.trial import Study
from pharmasl.workflow.paths import Paths
from pharmasl.workflow.targets import patterns
from pharmasl.workflow.targets.contrast_targets import ContrastTargets


class RepeatedTargets:
    """Repeatability, measured in those who have both sessions.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    paths : pharmasl.workflow.paths.Paths
    contrasts : ContrastTargets
    """

    def __init__(self, study: Study, paths: Paths, contrasts: ContrastTargets) -> None:
        self._study = study
        self._settings = study.settings
        self._paths = paths
        self._contrasts = contrasts

    def is_repeated(self) -> bool:
        """Whether the study has a follow-up, by which repeatability is measured."""
        return self._settings.sessions is not None and self._settings.sessions.followup is not None

    def people(self) -> dict[str, Any]:
        """Whose sessions are compared for repeatability: the control arm's, or all people's where arms are unknown or none."""
        arms, sessions = self._settings.arms, self._settings.sessions
        pair = [sessions.baseline, sessions.followup] if sessions else []
        control = None if arms is None or self._settings.blinded else arms.control
        members = [
            f"sub-{subject}"
            for subject, row in self._study.participants.items()
            if control is None or (arms and row.get(arms.column) == control)
        ]
        return {"arm": control, "participants": members, "sessions": pair}

    def files(self, pattern: str) -> list[str]:
        """A pattern with ``{contrast}`` for each contrast whose repeatability is mapped, by name; none without a follow-up."""
        if not self.is_repeated():
            return []
        return patterns.filled(pattern, "contrast", map(bids.entity_label, sorted(self._settings.contrasts)))

    def maps(self, which: int, contrast: str) -> list[str]:
        """The maps of a contrast at baseline (0) or follow-up (1) of those of :meth:`people` who have both."""
        people = self.people()
        every = (
            [(bids.bare_label(who, "sub"), label) for label in people["sessions"]] for who in people["participants"]
        )
        return [
            self._paths.contrast(self._study.visit_stem(visits[which]), contrast)
            for visits in every
            if len(visits) > 1 and all(self._study.has_contrast(visit, contrast) for visit in visits)
        ]

    def contrast(self, contrast: str) -> dict[str, Any]:
        """That of :meth:`contrasts` with a name."""
        return next(row for row in self.contrasts() if row["name"] == contrast)

    def contrasts(self) -> list[dict[str, Any]]:
        """Each contrast with its unit, and whether it is a CBF; by name, whatever the configuration's order."""
        return [
            {
                "name": name,
                "unit": self._contrasts.unit(name).get("unit", relative_cbf.CBF_UNIT),
                "is_cbf": not self._study.contrast_maps and contrast.is_cbf,
                "is_cbf_absolute": dataclasses.replace(contrast, scaling="absolute").is_cbf,
            }
            for name, contrast in sorted(self._settings.contrasts.items())
        ]
