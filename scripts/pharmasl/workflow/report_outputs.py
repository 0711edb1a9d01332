"""Rules' outputs that Snakemake's own report holds, each in its category and with the caption of its kind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pharmasl.study.labels import spaced
from pharmasl.study.settings import Settings
from pharmasl.workflow import report_entries
from pharmasl.workflow.paths import Paths


@dataclass(frozen=True, kw_only=True)
class ReportOutputs:
    """What marks an output for the report; its columns are read from the results when the report is written.

    Attributes
    ----------
    mark : callable
        Snakemake's ``report``.
    per : callable
        :func:`pharmasl.workflow.wildcards.per`, as the rules use it.
    inference : str
        Pattern of the analyses' ``_inference.json``.
    """

    mark: Callable[..., Any]
    per: Callable[..., Any]
    settings: Settings
    paths: Paths
    inference: str

    def analysis(self, path: str, result: str) -> Any:
        """An output of a whole-brain analysis."""
        return self._marked(
            path,
            report_entries.ANALYSES,
            "analysis",
            labels=lambda wildcards: report_entries.of_analysis(
                self.inference.format(**dict(wildcards.items())), result, blinded=self.settings.blinded
            ),
            subcategory=self.per("analysis", self.settings.labels.analysis),
        )

    def endpoint(self, path: str, result: str) -> Any:
        """An output of a clinical endpoint."""
        return self._marked(
            path,
            report_entries.ENDPOINTS,
            "endpoint",
            labels=lambda wildcards: report_entries.of_endpoint(
                self.paths.endpoint(wildcards.endpoint, "model.tsv"),
                result,
                self.settings.endpoints[wildcards.endpoint],
                blinded=self.settings.blinded,
            ),
            subcategory=self.per("endpoint", spaced),
        )

    def craving(self, path: str, result: str) -> Any:
        """An output of cue-elicited craving."""
        scores = self.paths.craving("craving_scores.tsv")
        return self._of_table(
            path, report_entries.CRAVING, "craving", lambda: report_entries.of_craving(scores, result, self.settings)
        )

    def quality(self, path: str, result: str) -> Any:
        """An output of image quality."""
        scans = f"{self.paths.root}/quality/scans.tsv"
        return self._of_table(
            path, report_entries.QUALITY, "quality", lambda: report_entries.of_quality(scans, result, self.settings)
        )

    def sensitivity(self, path: str, result: str) -> Any:
        """An output of the sensitivity analysis."""
        curve = self.paths.sensitivity("curve.tsv")
        return self._of_table(
            path,
            report_entries.SENSITIVITY,
            "sensitivity",
            lambda: report_entries.of_sensitivity(curve, result, self.settings),
        )

    def flow(self, path: str) -> Any:
        """The flow of participants."""
        table = f"{self.paths.root}/study/flow.tsv"
        return self._of_table(
            path, report_entries.PARTICIPANTS, "flow", lambda: report_entries.of_flow(table, self.settings)
        )

    def plain(self, path: str, category: str, caption: str, result: str) -> Any:
        """An output without figures of its own."""
        labels = report_entries.entry(result, blinded=self.settings.blinded)
        return self._marked(path, category, caption, labels=labels)

    def _of_table(self, path: str, category: str, caption: str, entry: Callable[[], Mapping[str, str]]) -> Any:
        """An output whose columns come from one table of the study, which is read when the report is written."""
        return self._marked(path, category, caption, labels=lambda wildcards: entry())

    def _marked(self, path: str, category: str, caption: str, **columns: Any) -> Any:
        return self.mark(path, category=category, caption=f"captions/{caption}.rst", **columns)
