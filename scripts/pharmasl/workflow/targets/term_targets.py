"""Maps and global CBF that are terms of analyses."""

from collections.abc import Sequence
from typing import Any

from pharmasl.files import bids
from pharmasl.study import map_terms
from pharmasl.study.trial import Study
from pharmasl.workflow.paths import Paths
from pharmasl.workflow.targets import patterns


class TermTargets:
    """Maps and global CBF that are terms of analyses.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    paths : pharmasl.workflow.paths.Paths
    """

    def __init__(self, study: Study, paths: Paths) -> None:
        self._study = study
        self._settings = study.settings
        self._paths = paths

    def _terms(self, analysis: str) -> list[map_terms.MapTerm]:
        """The maps that are terms of an analysis beside the baseline, which is among the contrast maps."""
        asked = self._settings.analyses[analysis]
        if asked.formula is None:
            return []
        others = (map_terms.BASELINE, map_terms.GLOBAL)
        return [term for term in map_terms.terms(asked.formula, asked.contrast) if term.kind not in others]

    def maps(self, grey_matter: str, transit_time: str, analysis: str) -> list[str]:
        """The files of the maps that are terms of an analysis: term by term, session by session, member by member.

        Parameters
        ----------
        grey_matter, transit_time : str
            Patterns with ``{anat}``, and with ``{visit}`` and ``{contrast}``.
        analysis : str
        """
        files, sessions = [], self._study.analysis_sessions(analysis)
        for term in self._terms(analysis):
            members = self._study.members(analysis, self._outcome_session(analysis))
            for which in term.sessions:
                for subject in members:
                    if term.kind == map_terms.GREY_MATTER:
                        files.append(grey_matter.replace("{anat}", map_terms.anatomy(self._study, subject)))
                        continue
                    visit = self._study.visit_stem((subject, sessions[which] or None))
                    path = self._paths.contrast(visit, term.contrast)
                    if term.kind == map_terms.TRANSIT_TIME:
                        path = transit_time.replace("{visit}", visit).replace(
                            "{contrast}", bids.entity_label(term.contrast)
                        )
                    files.append(path)
        return files

    def _outcome_session(self, analysis: str) -> str:
        """A session whose members are the rows of a model with a row per participant."""
        return self._settings.analyses[analysis].kind.sessions[-1]

    def described(self, analysis: str) -> list[dict[str, Any]]:
        """What the files of :meth:`maps` are."""
        session = self._outcome_session(analysis)
        return [
            {"text": term.text, "lists": len(term.sessions), "members": session, "is_cbf": term.kind == "cbf"}
            for term in self._terms(analysis)
        ]

    def masks(self, pattern: str, analysis: str) -> list[str]:
        """A pattern with ``{roi}`` for each region, where an analysis takes maps whose means in the regions are in no table."""
        return patterns.filled(pattern, "roi", self._settings.rois) if self._terms(analysis) else []

    def atlas(self, atlas: Sequence[str], analysis: str) -> list[str]:
        """The atlas' files, in the same case."""
        return list(atlas) if self._terms(analysis) else []

    def global_values(self, path: str, analysis: str) -> list[str]:
        """The table of global CBF if an analysis takes it as a term: one path, or none."""
        formula = self._settings.analyses[analysis].formula
        return [path] if formula is not None and map_terms.GLOBAL in formula.variables else []

    def cautions(self, analysis: str) -> list[str]:
        """What a reader has to know of an analysis' terms that treatment may have changed."""
        asked, sessions = self._settings.analyses[analysis], self._study.analysis_sessions(analysis)
        return map_terms.cautions(asked, sessions)
