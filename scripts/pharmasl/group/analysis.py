"""One analysis from maps to maps: read, fit, test, write."""

import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.group import (
    baseline_adjustment,
    definitions,
    full_factorial,
    map_sidecars,
    maps,
    mixed_maps,
    mixed_model_inference,
    permutation_inference,
    random_field_inference,
    reallocation_inference,
    scan_models,
)
from pharmasl.group.analysis_rows import SESSIONS, AnalysisRows, InputFiles, NotRunError, chosen
from pharmasl.group.covariate_maps import TermMaps
from pharmasl.group.definitions import Question
from pharmasl.group.results import Result
from pharmasl.space import images
from pharmasl.study.effect_kinds import CHANGE, DIFFERENCES, FULL_FACTORIAL, MIXED_MODEL

MAPS = (
    "effect",
    "percent",
    "hedges_g",
    "called",
    "t",
    "z",
    "voxel_pfwe",
    "cluster_pfwe",
    "mass_pfwe",
    "tfce",
    "tfce_pfwe",
    "qfdr",
    "verdict",
)
NULL_COLUMNS: Mapping[str, str | Mapping[str, str]] = {
    "relabelling": "0 is the observed labelling",
    "max_t": "Largest t in the mask; 0 where none is positive",
    "min_t": "Smallest t in the mask; 0 where none is negative",
    "extent_positive": {"Description": "Largest cluster of t above the cluster-forming t", "Units": "voxels"},
    "extent_negative": {"Description": "Largest cluster of t below minus the cluster-forming t", "Units": "voxels"},
    "mass_positive": "Heaviest cluster of t above the cluster-forming t",
    "mass_negative": "Heaviest cluster of t below minus the cluster-forming t",
    "tfce_positive": "Largest TFCE of positive t",
    "tfce_negative": "Largest TFCE of negative t",
}


class Outputs(Protocol):
    """Paths of an analysis' files: the maps of :data:`MAPS`, and these."""

    mask: str
    clusters: str
    design: str
    null: str
    inference: str


def run(question: Question, files: InputFiles, outputs: Outputs, *, statistic: str, threads: int = 1) -> None:
    """Test an effect at every voxel, and write the maps, tables and definitions.

    Parameters
    ----------
    question : pharmasl.group.definitions.Question
    files : InputFiles
    outputs : Outputs
        Paths as attributes.
    statistic : {"t", "F"}
        Which of them the map is named by. An analysis that was to test several effects by F, and has lost all but one with the
        participants who are left out, is not run.
    threads : int

    Raises
    ------
    InputError
        For maps, tables or designs that cannot be used; nothing is written then.
    """
    rows = AnalysisRows.read(question, files)
    try:
        result = _result(rows, threads)
        if (statistic == "F") != result.model.is_joint:
            raise NotRunError(
                f"{statistic} was to be tested, and of those who are left {', '.join(result.model.effects) or 'one effect'} can be"
            )
    except NotRunError as reason:
        _write_nothing(rows, str(reason), outputs)
        return
    _write(rows, result, outputs)


def find(question: Question, files: InputFiles, threads: int = 1) -> Result:
    """The result of :func:`run`, which is not written; parameters as there.

    Raises
    ------
    NotRunError
        If too little is left to analyse.
    InputError
        As :func:`run`.
    """
    return _result(AnalysisRows.read(question, files), threads)


def _result(rows: AnalysisRows, threads: int) -> Result:
    # One BLAS thread: its sums, and so the bytes written, do not depend on the machine's cores.
    with threadpool_limits(1, user_api="blas"):
        return _METHODS[rows.question.analysis.method](rows, threads)


def _differences(rows: AnalysisRows, threads: int) -> Result:
    """The model of changes (or of baselines), one row per participant; inference by permutation."""
    question, analysis = rows.question, rows.question.analysis
    sessions = analysis.kind.sessions
    names = rows.members[sessions[0]]
    if any(rows.members[session] != names for session in sessions):
        raise InputError(
            "configuration",
            "participants",
            "other participants at follow-up than at baseline",
            "the same",
            "Take the method mixed_model for incomplete participants.",
        )
    # Faults of the table or the configuration concern everyone, and are named before the maps are read; what fails further
    # down, for those who are left, fails because seeds or usable scans are lacking.
    rows.build(names)
    numbers, known = rows.numbers(names)
    names, numbers = chosen(names, known), {term: values[known] for term, values in numbers.items()}
    paths = {session: chosen(rows.paths[session], known) for session in sessions}
    # A model of one session that takes the baseline as a term explains the other one alone.
    taken = sessions if analysis.kind.outcome == CHANGE else sessions[-1:]
    terms = {term: files.chosen(names) for term, files in rows.files.terms.items()}
    if analysis.kind.takes_baseline:
        baseline = TermMaps(participants=tuple(names), lists=(paths["baseline"],), is_cbf=True)
        terms = {"baseline": baseline, **terms}
    loaded = maps.read([paths[session] for session in taken], rows.files.template_mask, terms)
    usable = rows.usable(names, loaded, [*taken, *terms])
    names, numbers = chosen(names, usable), {term: values[usable] for term, values in numbers.items()}
    model = rows.build(names, numbers)
    return permutation_inference.test(
        model, rows.searched(loaded), analysis.inference, is_cbf=question.is_cbf, threads=threads
    )


def _full_factorial(rows: AnalysisRows, threads: int) -> Result:
    """SPM's full factorial: all scans, one covariance for the brain; inference by random fields."""
    question, names, mask = rows.question, rows.members["baseline"], rows.files.template_mask
    loaded = maps.read([rows.paths[session] for session in SESSIONS], mask)
    usable = rows.usable(names, loaded, SESSIONS)
    model = rows.build(chosen(names, usable))
    stacks = [maps.read([chosen(rows.paths[session], usable)], mask) for session in SESSIONS]
    first, second = (np.ascontiguousarray(stack.values.T[loaded.mask[stack.mask]]) for stack in stacks)
    arms = [str(arm) for arm in model.arms]
    compared = question.arms_compared
    fitted = full_factorial.fit(first, second, arms, compared.treatment, compared.control)
    residuals = full_factorial.whitened_residuals(first, second, arms, fitted.covariance)
    # Covariance and smoothness are the brain's, whatever the region: SPM's small volume is a part of its map.
    searched = rows.searched(loaded)
    inside = searched.mask[loaded.mask]
    fitted = fitted._replace(effect=fitted.effect[inside], t=fitted.t[inside])
    return random_field_inference.test(
        model, searched, question.analysis.inference, fitted, residuals, is_cbf=question.is_cbf
    )


def _scans(rows: AnalysisRows, threads: int) -> Result:
    """A formula's model of all scans, with any of the sessions: random intercepts, inference by relabelling participants."""
    question, analysis = rows.question, rows.question.analysis
    names = [name for session in rows.members for name in rows.members[session]]
    labels = [str(question.sessions.get(session, session)) for session in rows.members for _ in rows.members[session]]
    rows.build(names, sessions=labels)
    numbers, known = rows.numbers(names, labels)
    names, labels = chosen(names, known), chosen(labels, known)
    paths = chosen([path for session in rows.members for path in rows.paths[session]], known)
    loaded = maps.read([paths], rows.files.template_mask, least_share=scan_models.LEAST_SHARE)
    usable = np.array([not any(empty) for empty in loaded.empty])
    for name, label in zip(chosen(names, ~usable), chosen(labels, ~usable)):
        rows.exclusions.add([name], f"no CBF of {analysis.contrast} at {label}: left out at that session")
    numbers = {term: values[known][usable] for term, values in numbers.items()}
    model = rows.build(chosen(names, usable), numbers, chosen(labels, usable))
    searched = rows.searched(loaded)
    try:
        return reallocation_inference.test(model, searched, analysis.inference, is_cbf=question.is_cbf, threads=threads)
    except reallocation_inference.TooFewError as error:
        raise NotRunError(str(error)) from None


def _mixed_model(rows: AnalysisRows, threads: int) -> Result:
    """Random intercepts: participants with one session count too; false discovery rate alone for the named effect."""
    question, analysis = rows.question, rows.question.analysis
    if analysis.formula is not None:
        return _scans(rows, threads)
    scans = [name for session in SESSIONS for name in rows.members[session]]
    sessions = [session for session in SESSIONS for _ in rows.members[session]]
    paths = [path for session in SESSIONS for path in rows.paths[session]]
    loaded = maps.read([paths], rows.files.template_mask)
    usable = np.array([not any(empty) for empty in loaded.empty])
    for name, session in zip(chosen(scans, ~usable), chosen(sessions, ~usable)):
        label = question.sessions.get(session, session)
        rows.exclusions.add([name], f"no CBF of {analysis.contrast} at {label}: left out at that session")
    try:
        model = mixed_maps.layout(
            chosen(scans, usable),
            chosen(sessions, usable),
            rows.table,
            question.arms_compared,
            rows.files.participants,
            analysis.covariates,
        )
    except InputError as error:
        if not rows.exclusions.rows:
            raise
        raise NotRunError(f"too few participants have usable scans: {error}") from None
    searched = rows.searched(loaded)
    fitted = mixed_maps.fit(
        lambda start, stop: np.ascontiguousarray(searched.values[:, start:stop].T, dtype=np.float64),
        model,
        method=analysis.inference.degrees_of_freedom,
        voxels=searched.voxels,
    )
    return mixed_model_inference.test(model, searched, analysis.inference, fitted, is_cbf=question.is_cbf)


_METHODS: Mapping[str, Callable[[AnalysisRows, int], Result]] = MappingProxyType(
    {DIFFERENCES: _differences, FULL_FACTORIAL: _full_factorial, MIXED_MODEL: _mixed_model}
)


def _write(rows: AnalysisRows, result: Result, outputs: Outputs) -> None:
    mask, affine = result.searched.mask, result.searched.affine
    summary = definitions.block(rows.question, "run", result.people, rows.exclusions.rows, result.model.kind)
    summary |= result.definitions
    save = functools.partial(images.save, affine=affine, code=images.form_code(rows.files.template_mask))
    for name in MAPS:
        values = result.maps.get(name)
        if values is None:
            values = np.full(int(mask.sum()), np.nan)
        # + 0.0: the logarithm of 1 is written 0, not -0.
        intent, parameters = map_sidecars.intent(name, summary.get("model") or {})
        save(getattr(outputs, name), maps.fill(values + 0.0, mask), intent=intent, parameters=parameters)
    save(outputs.mask, mask, dtype=np.uint8)
    labels = maps.fill(result.labels, mask, outside=0)
    save(outputs.clusters, labels, dtype=_label_type(len(result.clusters)), intent="label")
    result.model.write(outputs.design)
    columns = {name: values for name in NULL_COLUMNS if (values := getattr(result.null, name, None)) is not None}
    number = len(next(iter(columns.values()), ()))
    maxima = ({"relabelling": b, **{name: values[b].item() for name, values in columns.items()}} for b in range(number))
    tables.write_table(outputs.null, maxima, NULL_COLUMNS)
    summary["baseline_adjustment"] = _baseline_adjustment(rows, result)
    tables.write_json(outputs.inference, summary)
    map_sidecars.write(outputs, summary, _sources(rows, result.people))


def _sources(rows: AnalysisRows, people: Sequence[str]) -> map_sidecars.Sources:
    """The contrast maps of those analysed, and the template's grid."""
    used = [
        path
        for which, paths in rows.paths.items()
        for name, path in zip(rows.members[which], paths, strict=True)
        if name in people
    ]
    return map_sidecars.Sources(used, rows.files.template_mask)


def _baseline_adjustment(rows: AnalysisRows, result: Result) -> dict[str, Any] | None:
    """What adjusting for the baseline would give, where arms are compared by their changes; else None."""
    if rows.question.analysis.method != DIFFERENCES or not baseline_adjustment.concerns(result.model):
        return None
    paths = dict(zip(rows.members["baseline"], rows.paths["baseline"]))
    first = [paths[name] for name in result.model.participants]
    with threadpool_limits(1, user_api="blas"):
        compared = baseline_adjustment.read(result.searched, result.model.matrix, first, rows.files.template_mask)
    return None if compared is None else compared.block()


def _label_type(number: int) -> type[np.int16] | type[np.int32]:
    return np.int16 if number <= np.iinfo(np.int16).max else np.int32


def _write_nothing(rows: AnalysisRows, reason: str, outputs: Outputs) -> None:
    """Write the files of an analysis that was not run: maps of NaN, no clusters, empty tables, and why."""
    voxels, affine = images.load(rows.files.template_mask)
    save = functools.partial(images.save, affine=affine, code=images.form_code(rows.files.template_mask))
    for name in MAPS:
        save(getattr(outputs, name), np.full(voxels.shape, np.nan))
    save(outputs.mask, np.zeros(voxels.shape), dtype=np.uint8)
    save(outputs.clusters, np.zeros(voxels.shape), dtype=np.int16, intent="label")
    tables.write_table(outputs.design, [], {"participant_id": "Participant"})
    tables.write_table(outputs.null, [], NULL_COLUMNS)
    summary = definitions.block(rows.question, f"not run: {reason}", [], rows.exclusions.rows)
    tables.write_json(outputs.inference, summary)
    map_sidecars.write(outputs, summary, _sources(rows, []))
