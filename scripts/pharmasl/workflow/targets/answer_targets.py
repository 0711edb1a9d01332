"""The trial's primary and secondary answers."""

from typing import Any

from pharmasl.study import primary
from pharmasl.study.trial import Study
from pharmasl.workflow.paths import Paths
from pharmasl.workflow.targets import patterns
from pharmasl.workflow.targets.craving_targets import CravingTargets
from pharmasl.workflow.targets.endpoint_targets import EndpointTargets


class AnswerTargets:
    """The trial's primary and secondary answers.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    paths : pharmasl.workflow.paths.Paths
    craving : CravingTargets
    endpoints : EndpointTargets
    """

    def __init__(self, study: Study, paths: Paths, craving: CravingTargets, endpoints: EndpointTargets) -> None:
        self._settings = study.settings
        self._paths = paths
        self._craving = craving
        self._endpoints = endpoints

    def analyses(self) -> list[str]:
        """The analyses among the primary and secondary answers, in their order."""
        return primary.declared_analyses(self._settings)

    def files(self, pattern: str) -> list[str]:
        """A pattern with ``{analysis}`` for each analysis among the declared answers."""
        return patterns.labelled(pattern, "analysis", self.analyses())

    def endpoints(self) -> list[str]:
        """The endpoints among the primary and secondary answers by their own name, in their order."""
        return primary.declared_endpoints(self._settings)

    def endpoint_files(self) -> list[str]:
        """The models of the endpoints among the declared answers."""
        return [self._paths.endpoint(name, "model.tsv") for name in self.endpoints()]

    def relations(self) -> dict[str, dict[str, Any]]:
        """The endpoints of whose correlations one is a declared answer, each with its test."""
        return {
            name: {key: own[key] for key in ("test", "resamples")}
            for name in primary.declared_relations(self._settings)
            for own in [self._endpoints.relations(name)]
        }

    def has_craving(self) -> bool:
        """Whether the arms' difference of craving is a declared answer."""
        return primary.CRAVING in self._names()

    def has_correlation(self) -> bool:
        """Whether the correlation of a region with craving is a declared answer."""
        return any(primary.correlation(roi) in self._names() for roi in self._craving.rois())

    def _names(self) -> tuple[str, ...]:
        declared = self._settings.primary
        return (*declared.answers, *declared.secondary) if declared else ()
