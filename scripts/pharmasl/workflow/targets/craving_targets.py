"""Craving: its table, its regions and its mediators."""

import os
from typing import Any

from pharmasl.study import settings
from pharmasl.study.trial import Study
from pharmasl.workflow.targets import patterns


class CravingTargets:
    """Craving: its table, its regions and its mediators.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    """

    def __init__(self, study: Study) -> None:
        self._settings = study.settings

    def table(self) -> str:
        """The raw craving table."""
        return os.path.join(self._settings.bids_dir, self._asked.table)

    @property
    def _asked(self) -> settings.Craving:
        if self._settings.craving is None:
            raise SystemExit(
                "craving: asked for, but the configuration does not name it. Add craving to the configuration."
            )
        return self._settings.craving

    def some_settings(self, *names: str) -> dict[str, Any]:
        """Some of the settings of craving; empty without it."""
        craving = settings.plain(self._settings.craving) if self._settings.craving else {}
        return {name: craving[name] for name in names if name in craving}

    def rois(self) -> list[str]:
        """The regions related to craving."""
        return list(self._settings.craving.rois) if self._settings.craving else []

    def mediator_files(self, pattern: str) -> list[str]:
        """A pattern with ``{roi}`` for each region of the craving mediation, once."""
        return patterns.filled(pattern, "roi", dict.fromkeys(mediator.roi for mediator in self.mediators()))

    def mediators(self) -> tuple[settings.Mediator, ...]:
        """The mediators of craving, in the order of the chain."""
        craving = self._settings.craving
        return craving.mediation.mediators if craving and craving.mediation else ()
