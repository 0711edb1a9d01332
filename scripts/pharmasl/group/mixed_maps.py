"""Group by time at every voxel when participants miss a session: the random-intercept model.

All scans enter, ``y ~ arm + time + arm:time (+ covariate + covariate:time) + (1 | participant)``, fitted by REML voxel
by voxel (:mod:`pharmasl.statistics.mixed_model`: the exact optimum in one variance ratio). A participant with one session still
tells something about the means and a little about change, which the test on differences leaves out. What is missing
must be missing at random: sessions lost *because* of their CBF bias this model too.

With complete data the interaction is the test on differences (t, and degrees of freedom n - 2 or n - 2 - covariates)
wherever the between-participant variance is estimated above zero. Where it is estimated as zero (``boundary``) the
model is ordinary least squares over scans, whose test is *not* the paired one: usually the larger t with about twice
the degrees of freedom. Such voxels are told apart so that they can be counted, masked or read with the paired test
beside them.

Missing are whole sessions of participants. A voxel that some participant's scan does not cover belongs to no common
search volume: patterns that differ from voxel to voxel are refused.

Degrees of freedom are Satterthwaite's, or Kenward and Roger's with their standard error: the two are the same with
complete data off the boundary, and on the boundary Kenward and Roger's stay near those of the paired test.

There are no permutation or random-field p here: residuals of incomplete participants are not exchangeable, and the degrees
of freedom differ from voxel to voxel. A formula of the same model has them (:mod:`pharmasl.group.reallocation_inference`). Maps of z, which share one scale, and of p take false discovery rates
(:mod:`pharmasl.statistics.multiplicity`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.files.bids import bare_label
from pharmasl.group import design
from pharmasl.group.design import Sample
from pharmasl.group.engine import glm
from pharmasl.group.model import Model
from pharmasl.statistics import covariates as coding
from pharmasl.statistics import mixed_model
from pharmasl.statistics.covariates import Row, Term
from pharmasl.study.effect_kinds import KINDS
from pharmasl.study.settings import Arms

# Voxels fitted at a time: bounds the memory.
_TILE = 4096
_TERM = "Term of the model"


class MixedMap(NamedTuple):
    """The tested contrast at every voxel; each field an ndarray of shape (V,).

    Attributes
    ----------
    effect, se : ndarray
        The maps' unit.
    t, df, p, z : ndarray
        p is two-sided; z has the tail probability of t. NaN where no residual
        variation is left.
    boundary : ndarray of bool
        The between-participant variance is estimated as zero: ordinary least squares over scans.
    participant_variance, residual_variance : ndarray
        The maps' unit squared.
    """

    effect: np.ndarray
    se: np.ndarray
    t: np.ndarray
    df: np.ndarray
    p: np.ndarray
    z: np.ndarray
    boundary: np.ndarray
    participant_variance: np.ndarray
    residual_variance: np.ndarray


def layout(
    participants: Sequence[str],
    sessions: Sequence[str],
    table: Sequence[Row],
    arms: Arms,
    file: FilePath,
    covariates: Sequence[str] = (),
) -> Model:
    """The group-by-time model of all scans.

    Parameters
    ----------
    participants : sequence of str
        One per scan, in the order of the maps.
    sessions : sequence of {"baseline", "followup"}
        Of each scan.
    table : sequence of mapping
        Rows of participants.tsv.
    arms : pharmasl.study.settings.Arms
    file : path-like
        The table, for messages.
    covariates : sequence of str
        Of participants; each enters with its product with time, as it does in a model of changes. Centred at the mean
        over participants, each counted once.

    Returns
    -------
    Model
        Its rows are scans.

    Raises
    ------
    InputError
        For a scan that is there twice, unknown participants or arms, an arm with fewer than two at a session, nobody
        with both sessions, missing covariates, terms named twice or entangled, fewer scans than terms.
    ValueError
        For sessions of other names.
    """
    strange = sorted(set(sessions) - {"baseline", "followup"})
    if strange or len(participants) != len(sessions):
        raise ValueError(f"{len(participants)} participants and {len(sessions)} sessions; not sessions: {strange}")
    keys = [(bare_label(name, "sub"), session) for name, session in zip(participants, sessions)]
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    if repeated:
        raise InputError("maps", "participant, session", repeated[0], "one map each", "Drop one of them.")
    sample = Sample.read(list(dict.fromkeys(name for name, _ in keys)), table, file)
    labels = dict(zip(sample.participants, sample.arms((arms.treatment, arms.control))))
    _check_sessions(keys, labels, arms, file)
    treated = np.array([labels[name] == arms.treatment for name, _ in keys], dtype=np.float64)
    time = np.array([session == "followup" for _, session in keys], dtype=np.float64)
    terms = [
        Term("arm:time", treated * time, _TERM),
        Term("arm", treated, _TERM),
        Term("time", time, _TERM),
        Term("intercept", np.ones(len(keys)), _TERM),
    ]
    rows = [sample.participants.index(name) for name, _ in keys]
    for covariate in covariates:
        for name, values, _ in coding.centred(sample.rows, sample.participants, covariate, file):
            terms += [Term(name, values[rows], _TERM), Term(f"{name}:time", values[rows] * time, _TERM)]
    names = [term.name for term in terms]
    if len(set(names)) < len(names):
        raise InputError("configuration", "covariates", ", ".join(names), "names not used twice", "Drop or rename.")
    matrix = np.column_stack([term.values for term in terms])
    if len(matrix) <= len(names):
        raise InputError(file, "scans", f"{len(matrix)} for {len(names)} terms", "more scans", "Drop covariates.")
    design.check_rank(matrix, names, file)
    return Model(
        kind=KINDS["group_by_time"],
        arm=None,
        participants=list(participants),
        arms=[labels[name] for name, _ in keys],
        names=names,
        matrix=matrix,
        weights=np.array([[1.0] + [0.0] * (len(names) - 1)]),
        blocks=None,
        formula=f"cbf ~ {' + '.join(names)} + (1 | participant); tested: arm:time",
        meaning=f"change of {arms.treatment} minus change of {arms.control}",
        descriptions={term.name: term.description for term in terms},
        sessions=time.astype(int),
    )


def _check_sessions(keys: Sequence[tuple[str, str]], labels: Mapping[str, str], arms: Arms, file: FilePath) -> None:
    """Refuse scans of which an arm has fewer than two at a session, or of which nobody has both sessions."""
    for session in ("baseline", "followup"):
        for arm in (arms.treatment, arms.control):
            count = sum(labels[name] == arm for name, own in keys if own == session)
            if count < 2:
                raise InputError(
                    file, f"arm {arm}", f"{count} participant(s) at {session}", "at least two", "Scan or include more."
                )
    if not any((name, "followup") in keys for name, session in keys if session == "baseline"):
        raise InputError("maps", "sessions", "nobody with both", "participants with both sessions", "Include some.")


def fit(
    data: np.ndarray | Callable[[int, int], np.ndarray], model: Model, *, method: str, voxels: int | None = None
) -> MixedMap:
    """Fit the random-intercept model at every voxel and test its contrast.

    Parameters
    ----------
    data : callable or ndarray of shape (V, scans)
        A row per voxel and a column per scan; or a function of ``(start, stop)`` that gives such rows, so that maps can
        stay on disk.
    model : Model
        Of :func:`layout`.
    method : {"satterthwaite", "kenward-roger"}
        Degrees of freedom, and with the latter the standard error too.
    voxels : int, optional
        V, where ``data`` is a function.

    Returns
    -------
    MixedMap

    Raises
    ------
    InputError
        If a voxel has no value in some scan.
    ValueError
        If shapes do not match, no participant has two scans, or the method is unknown.
    """
    if method not in ("satterthwaite", "kenward-roger"):
        raise ValueError(f"{method!r} is neither 'satterthwaite' nor 'kenward-roger'")
    number = len(data) if isinstance(data, np.ndarray) else int(voxels or 0)
    out = {name: np.empty(number) for name in MixedMap._fields}
    out["boundary"] = np.empty(number, dtype=bool)
    for start in range(0, number, _TILE):
        here = slice(start, min(start + _TILE, number))
        tile = data[here] if isinstance(data, np.ndarray) else data(here.start, here.stop)
        response = np.asarray(tile, dtype=np.float64).T
        if not np.isfinite(response).all():
            scan = int(np.flatnonzero(~np.isfinite(response).all(axis=1))[0])
            raise InputError(
                "maps",
                "coverage",
                f"a scan of {model.participants[scan]} without a value in some voxel",
                "voxels that all scans cover, and whole sessions left out",
                "Restrict the mask to the common coverage.",
            )
        fitted = mixed_model.fit(model.matrix, response, model.participants)
        if method == "satterthwaite":
            test = mixed_model.contrast(fitted, model.contrast)
        else:
            test = mixed_model.kenward_roger(fitted, model.matrix, model.participants, model.contrast)
        tested = MixedMap(
            effect=test.estimate,
            se=test.se,
            t=test.t,
            df=test.df,
            p=test.p,
            z=glm.t_to_z(np.atleast_1d(test.t), np.atleast_1d(test.df)),
            boundary=fitted.boundary,
            participant_variance=fitted.subject_variance,
            residual_variance=fitted.residual_variance,
        )
        for name, values in tested._asdict().items():
            out[name][here] = values
    return MixedMap(**out)
