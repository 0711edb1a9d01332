"""The verdict of a trial: its primary answers corrected together, and the secondary ones beside them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.conduct import answers, joint
from pharmasl.conduct.answers import Answer, CorrelationTest
from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.statistics import multiplicity
from pharmasl.study import primary
from pharmasl.study.settings import Primary

COLUMNS: tables.Columns = {
    "answer": "Name of the answer, as in primary of the configuration",
    "kind": {
        "Description": "Where its p comes from",
        "Levels": {
            "analysis": "Whole-brain analysis: the smallest p of its primary statistic, corrected over the brain",
            "endpoint": "Difference between the arms in the change in cue-elicited craving, as craving_model.tsv tests it, or the tested "
            "effect on another endpoint, as its _model.tsv has it",
            "correlation": "Declared correlation of a region's CBF with craving or another endpoint, uncorrected for other "
            "regions",
        },
    },
    "role": {
        "Description": "What the answer is to the trial",
        "Levels": {
            "primary": "Decides the trial, corrected with the other primary answers",
            "secondary": "Supports; has its own p and decides nothing",
        },
    },
    "test": "What its p is",
    "p": "P of the answer by itself; n/a where it could not be answered",
    "p_corrected": "P corrected for all primary answers, those that could not be answered counted; n/a for secondary ones",
    "significant": "Whether p_corrected is at most alpha: yes or no; n/a for secondary answers",
    "correction": {
        "Description": "How the primary answers were corrected together",
        "Levels": {
            "holm": "Holm's step-down method, whatever their dependence",
            "sequence": "In this order, each at the full level until the first that is not shown",
            "joint": "Step-down min-p over the relabellings that the analyses have in common",
        },
    },
    "alpha": "Family-wise error rate of the primary answers",
    "status": "answered, or why there is no p or why it could not have reached alpha",
}


# Corrected p are sums of multiples of 1 over the relabellings, as far as double precision holds them.
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class VerdictFiles:
    """The results that hold the declared answers.

    Attributes
    ----------
    inferences : sequence of path-like
        ``_inference.json`` of each declared analysis.
    nulls : sequence of path-like
        Their tables of maxima, read for the joint correction alone.
    endpoint_models : sequence of path-like
        ``{endpoint}_model.tsv`` of each declared endpoint.
    endpoint_relations : sequence of path-like
        ``{endpoint}_relations.tsv`` of each endpoint of whose correlations one is declared.
    craving_model, roi_craving : path-like or None
        None where no answer needs it.
    """

    inferences: Sequence[FilePath]
    nulls: Sequence[FilePath]
    endpoint_models: Sequence[FilePath]
    endpoint_relations: Sequence[FilePath]
    craving_model: FilePath | None
    roi_craving: FilePath | None


def corrected(p: np.ndarray, correction: str, relabelled: np.ndarray | None = None) -> np.ndarray:
    """Corrected p of the primary answers.

    Parameters
    ----------
    p : ndarray of shape (K,)
        Of each by itself, in the declared order; NaN where it could not be answered; such an answer stays in the family.
    correction : {"holm", "sequence", "joint"}
    relabelled : ndarray of shape (B, K), optional
        Of :func:`pharmasl.conduct.joint.together`, for ``joint``; its first row is ``p``.

    Returns
    -------
    ndarray of shape (K,)
        NaN where ``p`` is.

    Raises
    ------
    ValueError
        If the p of the relabellings are missing for the joint correction.
    """
    if correction == "joint":
        if relabelled is None:
            raise ValueError("a joint correction needs the p of each relabelling")
        return multiplicity.joint(relabelled)
    return (multiplicity.holm if correction == "holm" else multiplicity.fixed_sequence)(p)


def attainable(least: np.ndarray, correction: str) -> np.ndarray:
    """The smallest corrected p that each answer could have had.

    Corrected p fall with every p, so that they are smallest where all are. Jointly it depends on the data; no corrected p
    is smaller than its own.

    Parameters
    ----------
    least : ndarray of shape (K,)
        The smallest p that each could have had by itself, NaN where it could not be answered.
    correction : {"holm", "sequence", "joint"}

    Returns
    -------
    ndarray of shape (K,)
    """
    return least if correction == "joint" else corrected(least, correction)


def _status(answer: Answer, least: float, alpha: float) -> str:
    if least > alpha + _ROUNDING:
        return f"could not reach {alpha:g}: its smallest attainable p is {least:.2g}"
    return answer.status


def rows(
    by_name: Mapping[str, Answer],
    declared: Primary,
    relabelled: np.ndarray | None = None,
    not_joint: str | None = None,
) -> list[dict[str, Any]]:
    """The table's rows: the primary answers, then the secondary ones.

    Parameters
    ----------
    by_name : Mapping
        Name to answer, of all primary and secondary answers.
    declared : Primary
    relabelled : ndarray of shape (B, K), optional
        Of :func:`pharmasl.conduct.joint.together`, for the joint correction.
    not_joint : str, optional
        Why the joint correction could not be made.

    Returns
    -------
    list of dict
        Keys of :data:`COLUMNS`.
    """
    alpha, first = declared.alpha, [by_name[name] for name in declared.answers]
    p = np.array([answer.p for answer in first])
    least = np.array([math.nan if math.isnan(answer.p) else answer.least for answer in first])
    p = np.full(len(first), math.nan) if not_joint else corrected(p, declared.correction, relabelled)
    table = []
    for answer, value, bound in zip(first, p, attainable(least, declared.correction)):
        status = f"not run: no joint correction, since {not_joint}" if not_joint else _status(answer, bound, alpha)
        table.append(
            _row(answer, primary.PRIMARY, status)
            | {
                "correction": declared.correction,
                "alpha": alpha,
                "p_corrected": None if math.isnan(value) else float(value),
                "significant": "yes" if value <= alpha + _ROUNDING else "no",
            }
        )
    secondary = (by_name[name] for name in declared.secondary)
    return table + [_row(answer, primary.SECONDARY, _status(answer, answer.least, alpha)) for answer in secondary]


def _row(answer: Answer, role: str, status: str) -> dict[str, Any]:
    return dict.fromkeys(COLUMNS) | {
        "answer": answer.name,
        "kind": answer.kind,
        "role": role,
        "test": answer.test or None,
        "p": None if math.isnan(answer.p) else answer.p,
        "status": status,
    }


def write(
    files: VerdictFiles,
    output: FilePath,
    *,
    analyses: Sequence[str],
    endpoints: Sequence[str],
    declared: Primary,
    correlation: CorrelationTest | None,
    relations: Mapping[str, CorrelationTest],
) -> None:
    """Write the verdict.

    Parameters
    ----------
    files : VerdictFiles
    output : path-like
        ``verdict.tsv``.
    analyses : sequence of str
        The declared analyses, in the order of their files.
    endpoints : sequence of str
        The declared endpoints, in the order of theirs.
    declared : Primary
    correlation : CorrelationTest or None
        None where the study has no craving.
    relations : Mapping
        Endpoints of whose correlations one is declared, in the order of their files, each with its test.

    Raises
    ------
    InputError
        If a file does not hold what it should.
    """
    inferences = dict(zip(analyses, files.inferences, strict=True))
    models = dict(zip(endpoints, files.endpoint_models, strict=True))
    related = dict(zip(relations, files.endpoint_relations, strict=True))
    by_name = {}
    for name in (*declared.answers, *declared.secondary):
        if name in inferences:
            by_name[name] = answers.analysis(name, inferences[name])
        elif name in models:
            by_name[name] = answers.endpoint(name, models[name])
        elif (score := name.rpartition(".")[0]) in related:
            by_name[name] = answers.correlation(name, related[score], relations[score])
        elif name == primary.CRAVING and files.craving_model is not None:
            by_name[name] = answers.craving(files.craving_model)
        elif correlation is not None and files.roi_craving is not None:
            by_name[name] = answers.correlation(name, files.roi_craving, correlation)
        else:
            raise InputError(
                file="config", field="primary", found=name, expected="an answer of this study", fix="Correct the name."
            )
    relabelled = not_joint = None
    if declared.correction == "joint":
        names, nulls = declared.answers, dict(zip(analyses, files.nulls, strict=True))
        try:
            relabelled = joint.together(names, [inferences[name] for name in names], [nulls[name] for name in names])
        except joint.NotJointError as reason:
            not_joint = str(reason)
    tables.write_table(output, rows(by_name, declared, relabelled, not_joint), COLUMNS)
