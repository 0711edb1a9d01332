"""The template, its atlas, and the regions of interest on it."""

from collections.abc import Sequence
from typing import Any

from pharmasl.study import own_template, settings
from pharmasl.study.trial import Study
from pharmasl.workflow.paths import Paths
from pharmasl.workflow.targets.contrast_targets import ContrastTargets


class RegionTargets:
    """The template, its atlas, and the regions of interest on it.

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

    def own_template(self) -> dict[str, str]:
        """The user's own template by kind of file (``t1w``, ``mask``, ``gm``, ``wm``, ``csf``); empty for nilearn's."""
        return own_template.files(self._settings.template)

    def own_atlas(self) -> list[str]:
        """The user's own atlas files; none where a package carries them."""
        atlas = self._settings.atlas
        return [] if atlas.package else [atlas.image, atlas.labels]

    def clusters(self, roi: str) -> list[str]:
        """The clusters that define a region: one path, or none."""
        analysis = self._settings.rois[roi].analysis
        return [self._paths.clusters(analysis)] if analysis else []

    def atlas(self, atlas: Sequence[str], roi: str) -> list[str]:
        """The atlas' files if labels of it define a region."""
        return list(atlas) if self._settings.rois[roi].atlas else []

    def image(self, roi: str) -> list[str]:
        """The user's image that defines a region: one path, or none."""
        image = self._settings.rois[roi].image
        return [image] if image else []

    def definition(self, roi: str) -> dict[str, Any]:
        """What a region is, without how it is read: a change of the one makes no other mask."""
        return settings.plain(self._settings.rois[roi].definition)

    def rows(self) -> list[dict[str, Any]]:
        """Who and what each of the contrast maps is whose values a region's table holds: see :meth:`ContrastTargets.maps`."""
        arms = self._settings.arms
        return [
            {
                "participant_id": f"sub-{subject}",
                "session_id": session,
                "arm": self._study.participants[subject].get(arms.column) if arms else None,
                "contrast": contrast,
                **self._contrasts.unit(contrast),
            }
            for (subject, session), contrast in self._study.available_contrasts()
        ]

    def parcel_rows(self) -> list[dict[str, Any]]:
        """:meth:`rows` without arms, which the parcels' values do not depend on."""
        return [{name: value for name, value in row.items() if name != "arm"} for row in self.rows()]

    def in_space(self, space: str) -> list[str]:
        """The regions read in a space, ``"template"`` or ``"native"``."""
        return [name for name, region in self._settings.rois.items() if region.space == space]

    def weighting(self, grey_matter: str, roi: str) -> list[str]:
        """The template's grey matter if it weights a region's value."""
        return [grey_matter] if self._settings.rois[roi].statistic == "gm_weighted" else []

    def source(self, roi: str) -> str:
        """What a region is defined by: ``"a-priori"`` (no name of an analysis), or the analysis whose cluster it is."""
        return self._settings.rois[roi].analysis or "a-priori"
