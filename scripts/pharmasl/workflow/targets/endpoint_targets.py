"""Clinical endpoints beside craving."""

from typing import Any

from pharmasl.study import settings
from pharmasl.study.trial import Study
from pharmasl.workflow import endpoint_plans
from pharmasl.workflow.paths import Paths
from pharmasl.workflow.targets import patterns


class EndpointTargets:
    """Clinical endpoints beside craving.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    paths : pharmasl.workflow.paths.Paths
    """

    def __init__(self, study: Study, paths: Paths) -> None:
        self._study = study
        self._settings = study.settings
        self._paths = paths

    def files(self, end: str) -> list[str]:
        """A file of each endpoint, in the configuration's order."""
        return [self._paths.endpoint(name, end) for name in self._settings.endpoints]

    def table(self, endpoint: str) -> str:
        """The raw table of an endpoint."""
        return endpoint_plans.table(self._study, self._settings.endpoints[endpoint])

    def measure(self, endpoint: str) -> dict[str, Any]:
        """How an endpoint's table becomes scores, and in which populations."""
        own = self._settings.endpoints[endpoint]
        populations = {
            name: settings.plain(self._settings.populations[name])
            for name in own.populations
            if name in self._settings.populations
        }
        return {
            "measure": settings.plain(own.measure),
            "chosen": list(own.populations),
            "populations": populations,
            "passed_over": endpoint_plans.passed_over(self._study),
        }

    def scores(self, endpoint: str) -> list[dict[str, Any]]:
        """What counts of an endpoint's table."""
        return endpoint_plans.scores(self._study, endpoint)

    def sessions(self, endpoint: str) -> dict[str, Any]:
        """The sessions of an endpoint."""
        return settings.plain(endpoint_plans.sessions(self._study, self._settings.endpoints[endpoint]))

    def unit(self, endpoint: str) -> str:
        """The unit of an endpoint's analysed score."""
        own = self._settings.endpoints[endpoint]
        return f"log {own.unit}" if own.transform == "log" else own.unit

    def label(self, endpoint: str) -> str:
        """The name of an endpoint's score with its unit, for figures."""
        return f"{endpoint.replace('_', ' ')} ({self.unit(endpoint)})"

    def related(self) -> list[str]:
        """The endpoints whose scores are related to regions."""
        return [name for name, own in self._settings.endpoints.items() if own.relations]

    def related_files(self, pattern: str, endpoint: str) -> list[str]:
        """A pattern with ``{roi}`` for each region to which an endpoint's scores are related."""
        relations = self._settings.endpoints[endpoint].relations
        return patterns.filled(pattern, "roi", relations.rois if relations else ())

    def relations(self, endpoint: str) -> dict[str, Any]:
        """The correlations of an endpoint's scores with regional CBF, and which of them are tests."""
        relations = self._settings.endpoints[endpoint].relations
        return settings.plain(relations) if relations else {}

    def question(self, endpoint: str) -> dict[str, Any]:
        """The model of an endpoint and what is tested."""
        return settings.plain(self._settings.endpoints[endpoint].question)
