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

There are no permutation or random-field p: residuals of incomplete participants are not exchangeable, and the degrees
of freedom differ from voxel to voxel. Maps of z, which share one scale, and of p take false discovery rates
(:mod:`pharmasl.statistics.multiplicity`).
"""

from typing import NamedTuple

import numpy as np

from pharmasl.errors import InputError
from pharmasl.group import design
from pharmasl.group.engine import glm
from pharmasl.statistics import mixed_model

# Voxels fitted at a time: bounds the memory.
_TILE = 4096


class Layout(NamedTuple):
    """The scans of a study and their fixed effects.

    Attributes
    ----------
    matrix : ndarray of shape (scans, terms)
    names : list of str
    contrast : ndarray of shape (terms,)
        1 for ``arm:time``.
    participants : list of str, one a scan
    sessions : ndarray of int, shape (scans,)
        0 baseline, 1 follow-up.
    incomplete : list of str
        Participants with one session.
    formula : str
    """

    matrix: np.ndarray
    names: list
    contrast: np.ndarray
    participants: list
    sessions: np.ndarray
    incomplete: list
    formula: str


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


def layout(participants, sessions, table, arms, file, covariates=()):
    """Lay out the scans of a group-by-time model.

    Parameters
    ----------
    participants : list of str
        One a scan, in the order of the maps.
    sessions : sequence of {"baseline", "followup"}
        Of each scan.
    table : list of dict
        Rows of participants.tsv.
    arms : dict
        ``treatment``, ``control``.
    file : path-like
        The table, for messages.
    covariates : sequence of str
        Of participants; each enters with its product with time, as it does in a model of changes. Centred at the mean
        over participants, each counted once.

    Returns
    -------
    Layout

    Raises
    ------
    InputError
        For a scan given twice, unknown participants or arms, an arm without two participants at either session,
        missing values and confounded terms.
    """
    keys = [(design.bare(name, "sub-"), session) for name, session in zip(participants, sessions)]
    strange = sorted(set(sessions) - {"baseline", "followup"})
    if strange or len(participants) != len(sessions):
        raise ValueError(f"{len(participants)} participants and {len(sessions)} sessions; not sessions: {strange}")
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    if repeated:
        raise InputError("maps", "participant, session", repeated[0], "one map each", "Drop one of them.")
    people = list(dict.fromkeys(name for name, _ in keys))
    rows = design.participant_rows(people, table, file)
    wanted = (arms["treatment"], arms["control"])
    labels = dict(zip(people, design.arm_labels(rows, people, wanted, file)))
    for session in ("baseline", "followup"):
        for arm in wanted:
            count = sum(labels[name] == arm for name, each in keys if each == session)
            if count < 2:
                raise InputError(
                    file, f"arm {arm}", f"{count} participant(s) at {session}", "at least two", "Scan or include more."
                )
    if not any((name, "followup") in keys for name, session in keys if session == "baseline"):
        raise InputError("maps", "sessions", "nobody with both", "participants with both sessions", "Include some.")
    treated = np.array([labels[name] == arms["treatment"] for name, _ in keys], dtype=np.float64)
    time = np.array([session == "followup" for _, session in keys], dtype=np.float64)
    columns = [("arm:time", treated * time), ("arm", treated), ("time", time), ("intercept", np.ones(len(keys)))]
    where = [people.index(name) for name, _ in keys]
    for covariate in covariates:
        for term, values, _ in design.covariate_columns(rows, people, covariate, file):
            columns += [(term, values[where]), (f"{term}:time", values[where] * time)]
    names = [term for term, _ in columns]
    if len(set(names)) < len(names):
        raise InputError("configuration", "covariates", ", ".join(names), "names not used twice", "Drop or rename.")
    matrix = np.column_stack([values for _, values in columns])
    if len(matrix) <= len(names):
        raise InputError(file, "scans", f"{len(matrix)} for {len(names)} terms", "more scans", "Drop covariates.")
    design.check_rank(matrix, names, file)
    incomplete = [name for name in people if sum(key[0] == name for key in keys) == 1]
    contrast = np.array([1.0] + [0.0] * (len(names) - 1))
    formula = f"cbf ~ {' + '.join(names)} + (1 | participant); tested: arm:time"
    return Layout(matrix, names, contrast, [name for name, _ in keys], time.astype(int), incomplete, formula)


def fit(data, matrix, contrast, participants, voxels=None, method="satterthwaite"):
    """Fit the random-intercept model at every voxel and test a contrast.

    Parameters
    ----------
    data : callable or ndarray of shape (V, scans)
        A row a voxel and a column a scan; or a function of ``(start, stop)`` that gives such rows, so that maps can
        stay on disk.
    matrix : ndarray of shape (scans, terms)
    contrast : array_like of shape (terms,)
    participants : sequence of length scans
        Whose scan each is.
    voxels : int, optional
        V, where ``data`` is a function.
    method : {"satterthwaite", "kenward-roger"}
        Degrees of freedom, and with the latter the standard error too.

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
    if not callable(data):
        array, voxels = data, len(data)

        def data(start, stop):
            return array[start:stop]

    out = {name: np.empty(voxels) for name in MixedMap._fields}
    out["boundary"] = np.empty(voxels, dtype=bool)
    for start in range(0, voxels, _TILE):
        here = slice(start, min(start + _TILE, voxels))
        response = np.asarray(data(here.start, here.stop), dtype=np.float64).T
        if not np.isfinite(response).all():
            scan = int(np.flatnonzero(~np.isfinite(response).all(axis=1))[0])
            raise InputError(
                "maps",
                "coverage",
                f"a scan of {participants[scan]} without a value in some voxel",
                "voxels that all scans cover, and whole sessions left out",
                "Restrict the mask to the common coverage.",
            )
        model = mixed_model.fit(matrix, response, participants)
        if method == "satterthwaite":
            test = mixed_model.contrast(model, contrast)
        else:
            test = mixed_model.kenward_roger(model, matrix, participants, contrast)
        values = (
            test.estimate,
            test.se,
            test.t,
            test.df,
            test.p,
            glm.t_to_z(np.atleast_1d(test.t), np.atleast_1d(test.df)),
            model.boundary,
            model.subject_variance,
            model.residual_variance,
        )
        for name, value in zip(MixedMap._fields, values):
            out[name][here] = value
    return MixedMap(**out)
