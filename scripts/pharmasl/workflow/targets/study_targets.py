"""All targets of a study."""

import functools
from typing import Any

from pharmasl.study import sheet_content
from pharmasl.study.trial import Study
from pharmasl.workflow import model_rows
from pharmasl.workflow.paths import Paths
from pharmasl.workflow.targets.analysis_targets import AnalysisTargets
from pharmasl.workflow.targets.anatomy_targets import AnatomyTargets
from pharmasl.workflow.targets.answer_targets import AnswerTargets
from pharmasl.workflow.targets.block_targets import BlockTargets
from pharmasl.workflow.targets.cluster_targets import ClusterTargets
from pharmasl.workflow.targets.contrast_targets import ContrastTargets
from pharmasl.workflow.targets.craving_targets import CravingTargets
from pharmasl.workflow.targets.endpoint_targets import EndpointTargets
from pharmasl.workflow.targets.field_map_targets import FieldMapTargets
from pharmasl.workflow.targets.imported_targets import ImportedTargets
from pharmasl.workflow.targets.native_targets import NativeTargets
from pharmasl.workflow.targets.page_targets import PageTargets
from pharmasl.workflow.targets.ready_made_targets import ReadyMadeTargets
from pharmasl.workflow.targets.region_targets import RegionTargets
from pharmasl.workflow.targets.repeated_targets import RepeatedTargets
from pharmasl.workflow.targets.scan_targets import ScanTargets
from pharmasl.workflow.targets.slope_targets import SlopeTargets
from pharmasl.workflow.targets.stems import Stems
from pharmasl.workflow.targets.term_targets import TermTargets
from pharmasl.workflow.targets.tissue_targets import TissueTargets
from pharmasl.workflow.targets.visit_targets import VisitTargets


class Targets:
    """What each output is made of, by the names of the study: a part each for what a rule may be about.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    paths : pharmasl.workflow.paths.Paths
    """

    def __init__(self, study: Study, paths: Paths) -> None:
        self.study, self.settings, self.paths = study, study.settings, paths
        self.stems = Stems(study)
        self.scans = ScanTargets(study, self.stems)
        self.anatomies = AnatomyTargets(study, self.stems, self.scans)
        self.field_maps = FieldMapTargets(study, self.stems)
        self.tissue = TissueTargets(study, self.stems, self.anatomies)
        self.blocks = BlockTargets(study, self.stems)
        self.imported = ImportedTargets(study, self.stems, self.scans)
        self.pages = PageTargets(study, paths, self.stems, self.anatomies)
        self.visits = VisitTargets(study, self.stems)
        self.contrasts = ContrastTargets(study, paths, self.stems, self.scans)
        self.ready_made = ReadyMadeTargets(study, paths, self.stems, self.contrasts)
        self.analyses = AnalysisTargets(study, paths)
        self.terms = TermTargets(study, paths)
        self.regions = RegionTargets(study, paths, self.contrasts)
        self.native = NativeTargets(study, self.contrasts, self.regions)
        self.repeated = RepeatedTargets(study, paths, self.contrasts)
        self.slopes = SlopeTargets(study, self.analyses)
        self.craving = CravingTargets(study)
        self.clusters = ClusterTargets(study, paths, self.analyses, self.regions, self.craving)
        self.endpoints = EndpointTargets(study, paths)
        self.answers = AnswerTargets(study, paths, self.craving, self.endpoints)

    def sheets(self) -> dict[str, Any]:
        """What the study's tables hold."""
        return sheet_content.content(self.study)

    @functools.cached_property
    def models(self) -> dict[str, model_rows.Rows]:
        """What each model may look at of the participants' table: see :func:`pharmasl.workflow.model_rows.tables`."""
        return model_rows.tables(self.study, self.slopes.analyses())
