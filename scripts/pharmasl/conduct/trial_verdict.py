"""The verdict of a trial: its primary answers corrected together, and the secondary ones beside them."""

import math

import numpy as np

from pharmasl.conduct import answers, joint
from pharmasl.files import tables
from pharmasl.statistics import multiplicity
from pharmasl.study import primary

COLUMNS = {
    "answer": "Name of the answer, as in primary of the configuration",
    "kind": {
        "Description": "Where its p comes from",
        "Levels": {
            "analysis": "Whole-brain analysis: the smallest p of its primary statistic, corrected over the brain",
            "endpoint": "Difference of the arms' changes of cue-elicited craving, as craving_model.tsv tests it",
            "correlation": "Declared correlation of a region's CBF with craving, uncorrected for other regions",
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


def corrected(p, correction, shares=None):
    """Corrected p of the primary answers.

    Parameters
    ----------
    p : ndarray of shape (K,)
        Of each by itself, in the declared order; NaN where it could not be answered: it stays in the family all the same.
    correction : {"holm", "sequence", "joint"}
    shares : ndarray of shape (B, K), optional
        Of :func:`pharmasl.conduct.joint.together`, for ``joint``; its first row is ``p``.

    Returns
    -------
    ndarray of shape (K,)
        NaN where ``p`` is.
    """
    if correction == "joint":
        return multiplicity.joint(shares)
    return (multiplicity.holm if correction == "holm" else multiplicity.fixed_sequence)(p)


def attainable(least, correction):
    """The smallest corrected p that each answer could have had; ``least`` as ``p`` of :func:`corrected`.

    Corrected p fall with every p, so that they are smallest where all are. Jointly it depends on the data; no corrected p
    is smaller than its own.
    """
    return least if correction == "joint" else corrected(least, correction)


def _status(answer, least, alpha):
    if least > alpha + 1e-12:
        return f"could not reach {alpha:g}: its smallest attainable p is {least:.2g}"
    return answer.status


def rows(found, asked, shares=None, why_not=None):
    """The table's rows.

    Parameters
    ----------
    found : dict
        Name to Answer, of all primary and secondary answers.
    asked : dict
        ``primary`` of the configuration: ``answers``, ``secondary``, ``correction``, ``alpha``.
    shares : ndarray of shape (B, K), optional
    why_not : str, optional
        Why the joint correction could not be made.

    Returns
    -------
    list of dict
        Keys of :data:`COLUMNS`.
    """
    alpha, first = asked["alpha"], [found[name] for name in asked["answers"]]
    p, least = np.array([(answer.p, math.nan if math.isnan(answer.p) else answer.least) for answer in first]).T
    p = np.full(len(first), math.nan) if why_not else corrected(p, asked["correction"], shares)
    told = []
    for answer, value, bound in zip(first, p, attainable(least, asked["correction"])):
        status = f"not run: no joint correction, since {why_not}" if why_not else _status(answer, bound, alpha)
        told.append(
            _row(answer, primary.PRIMARY, asked, status)
            | {
                "p_corrected": None if math.isnan(value) else float(value),
                "significant": "yes" if value <= alpha + 1e-12 else "no",
            }
        )
    others = (found[name] for name in asked["secondary"])
    return told + [_row(answer, primary.SECONDARY, asked, _status(answer, answer.least, alpha)) for answer in others]


def _row(answer, role, asked, status):
    row = dict.fromkeys(COLUMNS) | {
        "answer": answer.name,
        "kind": answer.kind,
        "role": role,
        "test": answer.test or None,
    }
    row |= {"p": None if math.isnan(answer.p) else answer.p, "status": status}
    return row | ({"correction": asked["correction"], "alpha": asked["alpha"]} if role == primary.PRIMARY else {})


def write(given, output, *, analyses, asked, craving, arms):
    """Write the verdict.

    Parameters
    ----------
    given : dict
        Lists of paths: ``inferences`` (``{analysis}_inference.json``, one a declared analysis), ``nulls`` (their tables of
        maxima; read for the joint correction alone), ``craving_model`` and ``roi_craving`` (one, or none where no answer
        needs it).
    output : path-like
    analyses : list of str
        The declared analyses, in the order of their files.
    asked : dict
        ``primary`` of the configuration.
    craving, arms : dict
        Of the configuration; ``test`` and ``resamples`` of craving.

    Raises
    ------
    InputError
        If a file does not hold what it should.
    """
    inferences = dict(zip(analyses, given["inferences"], strict=True))
    found = {}
    for name in [*asked["answers"], *asked["secondary"]]:
        if name in inferences:
            found[name] = answers.analysis(name, inferences[name])
        elif name == primary.CRAVING:
            found[name] = answers.craving(given["craving_model"][0])
        else:
            found[name] = answers.correlation(name, given["roi_craving"][0], craving, arms)
    shares = why_not = None
    if asked["correction"] == "joint":
        names, nulls = asked["answers"], dict(zip(analyses, given["nulls"], strict=True))
        try:
            shares = joint.together(names, [inferences[name] for name in names], [nulls[name] for name in names])
        except joint.NotJointError as reason:
            why_not = str(reason)
    tables.write_table(output, rows(found, asked, shares, why_not), COLUMNS)
