"""The answers under one specification: the regression behind each regional test, and the whole-brain result beside it."""

import dataclasses
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pharmasl.endpoints import endpoint, regional_values
from pharmasl.errors import FilePath, InputError
from pharmasl.files import bids, tables
from pharmasl.group import analysis, effects
from pharmasl.group.analysis_rows import InputFiles, NotRunError
from pharmasl.group.definitions import Question as GroupQuestion
from pharmasl.group.results import Result
from pharmasl.sensitivity.answer_record import AnswerRecord, WholeBrain
from pharmasl.sensitivity.specification import Question, Specification
from pharmasl.sensitivity.specification_data import SpecificationData, SpecificationFiles, prepare
from pharmasl.space import images
from pharmasl.statistics import covariates, partial_correlation
from pharmasl.study import relative_cbf, settings

log = logging.getLogger(__name__)

_CORRELATION = "correlation of the change in cue-elicited craving with the change in CBF, arm held fixed"


class _NotRunError(Exception):
    """Why an answer cannot be given under this specification."""


@dataclass(frozen=True, kw_only=True)
class _Regression:
    """The numbers that an answer is computed from: fields of the answer's record."""

    meaning: str
    participants: list[str]
    response: list[float]
    tested: list[float]
    nuisance: list[list[float]]
    exchange: str = "permute"
    blocks: list[int] | None = None


def write(path: FilePath, specification: Specification, files: SpecificationFiles, *, threads: int = 1) -> None:
    """Write the answers under one specification.

    Parameters
    ----------
    path : path-like
        JSON to write: ``specification`` (its choices), ``main``, and ``answers``, see
        :class:`pharmasl.sensitivity.answer_record.AnswerRecord`.
    specification : Specification
    files : SpecificationFiles
    threads : int
    """
    with tempfile.TemporaryDirectory() as folder:
        data = prepare(specification, files, Path(folder))
        answers = _Answers(specification, files, data, threads).records()
    log.info("%d answers, %d run", len(answers), sum(answer.status == "run" for answer in answers))
    tables.write_json(
        path,
        {
            "specification": dataclasses.asdict(specification.choices),
            "main": specification.main,
            "answers": [dataclasses.asdict(answer) for answer in answers],
        },
    )


class _Answers:
    """The answers from the contrast maps and regional values of a specification."""

    def __init__(
        self, specification: Specification, files: SpecificationFiles, data: SpecificationData, threads: int
    ) -> None:
        self.specification, self.files, self.data, self.threads = specification, files, data, threads
        self.arms = specification.arms
        # By the analysis' name: several answers may share its whole-brain test.
        self.results: dict[str, Result | None] = {}

    def records(self) -> list[AnswerRecord]:
        """One per question."""
        return [self._record(question) for question in self.specification.questions]

    def _record(self, question: Question) -> AnswerRecord:
        model = question.model
        record = AnswerRecord(
            answer=question.name,
            kind="effect" if model else "correlation",
            unit=self._unit(question.contrast, model) if model else "1",
            meaning=None,
            roi=question.roi,
            contrast=question.contrast,
            analysis=question.analysis,
            defined_by_same_data=self.data.defined_by_data[question.roi],
            status="run",
            participants=[],
            response=[],
            tested=[],
            nuisance=[],
            exchange="permute",
            blocks=None,
            whole_brain=None,
        )
        try:
            regression = self._effect(question, model) if model else self._correlation(question)
        except (_NotRunError, InputError) as reason:
            return dataclasses.replace(
                record, status=f"not run: {reason}", meaning=model.effect if model else _CORRELATION
            )
        return dataclasses.replace(
            record,
            **{field.name: getattr(regression, field.name) for field in dataclasses.fields(regression)},
            whole_brain=self._whole_brain(question) if model and question.inference else None,
        )

    def _unit(self, contrast: str, model: settings.ModelSettings) -> str:
        """The unit of an analysis' effect, of relative CBF where its contrast is."""
        scaling = self.specification.relative.get(contrast)
        return (model.kind if scaling is None else model.kind.in_unit(relative_cbf.unit(scaling))).unit

    def _at(self, names: Sequence[str], roi: str, contrast: str, session: str) -> np.ndarray:
        """Values of a region at a session, (n,), NaN where missing."""
        participants = [bids.bare_label(name, "sub") for name in names]
        return regional_values.values_at(self.data.values.get((roi, contrast)), participants, session)

    def _change(self, names: Sequence[str], roi: str, contrast: str, sessions: Mapping[str, str]) -> np.ndarray:
        baseline, followup = (self._at(names, roi, contrast, sessions[name]) for name in ("baseline", "followup"))
        return followup - baseline

    def _effect(self, question: Question, model: settings.ModelSettings) -> _Regression:
        """The model of an analysis, of a region's value in place of a voxel's."""
        sessions = question.sessions
        names = effects.members(model, self.arms, question.members, self.data.people)
        if "followup" in sessions:
            response = self._change(names, question.roi, question.contrast, sessions)
        else:
            response = self._at(names, question.roi, question.contrast, sessions["baseline"])
        known, seed = np.isfinite(response), None
        if model.seed is not None:
            seed = self._change(names, model.seed.roi, model.seed.contrast, sessions)
            known &= np.isfinite(seed)
        if not known.any():
            seeded = "" if seed is None else " and of the seed"
            raise _NotRunError(f"no participant has a value of {question.roi}{seeded}")
        complete = [name for name, is_known in zip(names, known) if is_known]
        design = effects.build(
            model, self.arms, complete, self.data.people, self.files.participants, None if seed is None else seed[known]
        )
        responses = dict(zip(complete, response[known].tolist()))
        tested, nuisance = design.partition()
        return _Regression(
            meaning=design.meaning,
            participants=list(design.participants),
            response=[responses[name] for name in design.participants],
            tested=tested.tolist(),
            nuisance=nuisance.tolist(),
            exchange=design.exchange,
            blocks=None if design.blocks is None else design.blocks.tolist(),
        )

    def _correlation(self, question: Question) -> _Regression:
        """The change in cue-elicited craving and of a region's CBF, all participants, as the craving stage relates them."""
        if self.files.scores is None:
            raise _NotRunError("no craving scores")
        terms = self.specification.craving_covariates or ()
        written = tables.records(endpoint.read_scores(self.files.scores))
        rows: list[dict[str, str | float | None]] = [
            {**row} for row in covariates.with_values(written, terms, self.data.people)
        ]
        scores = endpoint.frame(rows)
        sample = regional_values.Sample(scores, terms, self.arms, self.specification.sessions)
        cbf, elicited = sample.paired(self.data.values.get((question.roi, question.contrast)), "change")
        chosen = sample.complete(cbf, elicited)
        adjusted = sample.adjustment(chosen, self.arms.treatment)
        x, y = cbf[chosen], elicited[chosen]
        least = max(partial_correlation.MINIMUM_N, len(adjusted) + 4)
        if len(x) < least:
            raise _NotRunError(f"{len(x)} participants with both values, fewer than {least}")
        if np.isnan(partial_correlation.partial_correlation(x, y, adjusted)):
            raise _NotRunError("a variable does not vary beyond what is adjusted for")
        return _Regression(
            meaning=_CORRELATION,
            participants=[f"sub-{name}" for name, is_chosen in zip(sample.participants, chosen) if is_chosen],
            response=y.tolist(),
            tested=x.tolist(),
            nuisance=np.vstack([np.ones(len(x)), adjusted]).T.tolist(),
            # Participants are exchanged within arms.
            blocks=(sample.arm[chosen] == self.arms.treatment).astype(int).tolist(),
        )

    def _whole_brain(self, question: Question) -> WholeBrain | None:
        """The analysis' whole-brain test: its smallest p, and that of the clusters that reach into the region."""
        result = self._result(question)
        if result is None:
            return None
        p_values = {row["cluster"]: row["p_fwe_cluster"] for row in result.clusters}
        region = images.load(self.data.masks[question.roi], dtype=np.uint8)[0] > 0
        labels = result.labels[region[result.mask]]
        touching = sorted(set(labels[labels > 0].tolist()), key=lambda label: (p_values[label], label))
        sign = None
        if touching:
            sign = 1 if result.maps["t"][result.labels == touching[0]].mean() > 0 else -1
        return WholeBrain(
            p_fwe_cluster_in_region=p_values[touching[0]] if touching else None,
            p_fwe_cluster_smallest=min(p_values.values(), default=None),
            # The map holds logarithms; p is a share of the relabellings.
            p_fwe_voxel_smallest=round(float(10.0 ** -result.maps["voxel_pfwe"].max()), 12),
            sign_in_region=sign,
        )

    def _result(self, question: Question) -> Result | None:
        """The whole-brain result of an analysis; None where it cannot be run."""
        name = question.analysis
        if name is None or question.model is None:
            return None
        if name not in self.results:
            model, data = question.model, self.data
            maps: dict[str, list[FilePath]] = {"baseline": [], "followup": []}
            members: dict[str, Sequence[str]] = {"baseline": [], "followup": []}
            for session, label in question.sessions.items():
                maps[session] = [data.maps[member, label, question.contrast] for member in question.members]
                members[session] = question.members
            stated = {**settings.plain(model), "name": name, "inference": settings.plain(question.inference)}
            asked = GroupQuestion(
                analysis=settings.build(settings.Analysis, stated), arms=self.arms, sessions=question.sessions
            )
            try:
                input_files = InputFiles(
                    baseline=maps["baseline"],
                    followup=maps["followup"],
                    members=members,
                    participants=self.files.participants,
                    template_mask=self.files.template_mask,
                    seeds=[] if model.seed is None else [data.tables[model.seed.roi]],
                    within=None if model.within is None else data.masks[model.within],
                )
                self.results[name] = analysis.find(asked, input_files, threads=self.threads)
            except (NotRunError, InputError) as reason:
                log.warning("%s over the whole brain: not run: %s", name, reason)
                self.results[name] = None
        return self.results[name]
