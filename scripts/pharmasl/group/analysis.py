"""One analysis from maps to maps: read, fit, test, write."""

import numpy as np
from threadpoolctl import threadpool_limits

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.group import (
    definitions,
    design,
    full_factorial,
    map_sidecars,
    maps,
    mixed_maps,
    questions,
    testing,
    verdict,
)
from pharmasl.group.engine import differences, statistic
from pharmasl.space import images
from pharmasl.study import arms as study_arms
from pharmasl.study.effect_kinds import KINDS

MAPS = (
    "effect",
    "percent",
    "hedges_g",
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
NULL_COLUMNS = {
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


def check_inference(inference):
    """Raise an InputError for a setting that inference cannot use."""
    rules = {
        "permutations": (lambda v: isinstance(v, int) and v >= 20, "a whole number, at least 20"),
        "seed": (lambda v: isinstance(v, int) and v >= 0, "a whole number, at least 0"),
        "cluster_forming_p": (lambda v: 0 < v <= 0.1, "above 0, at most 0.1"),
        "neighbours": (lambda v: v in (6, 18, 26), "6, 18 or 26"),
        "alpha": (lambda v: 0 < v < 1, "between 0 and 1"),
        "variance": (lambda v: v in (statistic.EQUAL, statistic.BY_ARM), "equal or by_arm"),
        "primary": (lambda v: v in verdict.PRIMARY, " or ".join(verdict.PRIMARY)),
    }
    for key, (good, expected) in rules.items():
        if key not in inference or not good(inference[key]):
            raise InputError(
                "configuration", f"inference.{key}", inference.get(key), expected, "Correct inference in the config."
            )


def run(given, outputs, *, analysis, inference, arms, participants, sessions=None, is_cbf=True, shared=(), threads=1):
    """Test an effect at every voxel.

    Parameters
    ----------
    given : dict
        Paths: ``baseline`` and ``followup`` (lists: contrast maps, one a participant), ``participants``
        (``study/participants.tsv``), ``template_mask``, ``seed`` (list: ``rois/{roi}_values.tsv`` of an association,
        or none), ``within`` (list: mask of the region searched, or none).
    outputs : object
        Attributes :data:`MAPS`, ``mask``, ``clusters``, ``design``, ``null``, ``inference``: paths.
    analysis : dict
        ``effect``, ``contrast``, ``covariates``, and what else the effect takes: see the configuration's schema.
    inference : dict
        ``permutations``, ``seed``, ``cluster_forming_p``, ``neighbours``, ``alpha``, ``two_sided``, ``statistics``,
        ``mass``, ``tfce``, ``scale``.
    arms : dict
        ``treatment``, ``control``, ``others``.
    participants : dict
        ``baseline`` and ``followup``: lists of whose maps those are. They are the same unless the method takes
        incomplete participants.
    sessions : dict, optional
        ``baseline``, ``followup``: labels.
    is_cbf : bool
        Whether the contrast is a CBF, not a difference of states: only then has a percentage a meaning.
    shared : sequence of str
        What the analysis shares with its seed or its region, of :mod:`pharmasl.study.shared_data`.
    threads : int

    Raises
    ------
    InputError
        For maps, tables, designs or settings that cannot be used; nothing is written then.
    """
    question, participants = _asked(given, analysis, inference, arms, participants, sessions)
    question.is_cbf, question.shared = is_cbf, list(shared)
    try:
        found = _found(question, participants, threads)
    except NotRunError as reason:
        _write_nothing(question, str(reason), outputs)
        return
    _write(found, outputs)


def find(given, *, analysis, inference, arms, participants, sessions=None, threads=1):
    """What :func:`run` finds, without writing it; parameters as there.

    Returns
    -------
    pharmasl.group.testing.Found

    Raises
    ------
    NotRunError
        If too little is left to analyse.
    InputError
        As :func:`run`.
    """
    question, participants = _asked(given, analysis, inference, arms, participants, sessions)
    return _found(question, participants, threads)


def _asked(given, analysis, inference, arms, participants, sessions):
    """The question, and those whom it concerns."""
    check_inference(inference)
    for which in ("baseline", "followup"):
        if len(participants[which]) != len(given[which]):
            raise InputError(
                "configuration",
                f"maps of the {which} session",
                f"{len(participants[which])} participants, {len(given[which])} maps",
                "one each",
                "Run the study's tables again.",
            )
    # What the plan compares with the last run is no more than these columns.
    table = study_arms.used(tables.read_table(given["participants"], of_arms=True), study_arms.all_columns(analysis))
    given, participants = dict(given), dict(participants)
    for which in ("baseline", "followup"):
        concerned = set(questions.members(analysis, arms, participants[which], table))
        keep = [name in concerned for name in participants[which]]
        given[which], participants[which] = _chosen(given[which], keep), _chosen(participants[which], keep)
    question = _Question(given, analysis, inference, arms, table, sessions or {})
    return question, participants


def _found(question, participants, threads):
    # One BLAS thread: its sums, and so the bytes written, do not depend on the machine's cores.
    with threadpool_limits(1, user_api="blas"):
        return _METHODS[question.analysis.get("method", "differences")](question, participants, threads)


class NotRunError(Exception):
    """Too little is left to analyse: a result, not a fault."""


class _Question:
    """What is asked, and who turned out not to be able to answer."""

    def __init__(self, given, analysis, inference, arms, table, sessions):
        self.given, self.analysis, self.inference, self.arms = given, analysis, inference, arms
        self.table, self.sessions = table, sessions
        self.file = given["participants"]
        self.excluded, self.want = [], []
        self.is_cbf, self.shared = True, []
        self.within = None
        if given["within"]:
            region, _ = images.load(given["within"][0])
            self.within = region > 0
            if not self.within.any():
                self.want.append("the region searched is empty")

    def build(self, participants, seed_change=None):
        """The design; a reason not to run where it is exclusions that leave too few."""
        try:
            return questions.build(self.analysis, self.arms, participants, self.table, self.file, seed_change)
        except InputError as error:
            if not self.excluded:
                raise
            raise NotRunError(f"too few participants have {' and '.join(self.want)}: {error}") from None

    def leave_out(self, names, reason):
        self.excluded += [{"participant_id": name, "reason": reason} for name in names]

    def without_maps(self, names, empty, whiches):
        """Leave out those with a map without any value; returns who stays, as booleans."""
        lacking = [[which for which, none in zip(whiches, each) if none] for each in empty]
        for name, lacks in zip(names, lacking):
            if lacks:
                labels = " and ".join(str(self.sessions.get(which, which)) for which in lacks)
                reason = f"no CBF of {self.analysis['contrast']} at {labels}: the scan is excluded or covers nothing"
                self.leave_out([name], reason)
        if any(lacking):
            self.want.append(f"usable scans of {self.analysis['contrast']}")
        return np.array([not lacks for lacks in lacking])

    def seeds(self, participants):
        """Each participant's seed change, and who has one."""
        if not KINDS[self.analysis["effect"]].is_seeded:
            return None, np.ones(len(participants), dtype=bool)
        if not self.given["seed"] or not self.sessions:
            raise InputError(
                "configuration", "analyses.seed", None, "a seed region", "Name roi and contrast of the seed."
            )
        seed = self.analysis["seed"]
        change = design.seed_changes(self.given["seed"][0], participants, seed["contrast"], self.sessions)
        known = np.isfinite(change)
        self.leave_out(
            [name for name, k in zip(participants, known) if not k],
            "the seed region is empty, not covered or without a usable scan in a session",
        )
        if not known.any():
            raise NotRunError(f"seed {seed['roi']} has no values")
        if not known.all():
            self.want.append(f"a value of seed {seed['roi']}")
        return change, known

    def region(self, found):
        """The maps within the region searched."""
        if self.within is None:
            return found
        if self.within.shape != found.mask.shape or not (self.within & found.mask).any():
            raise NotRunError("the region searched has no voxel that all participants' maps cover")
        return found.within(self.within[found.mask])

    @property
    def two_sided(self):
        return bool(self.inference.get("two_sided", True))


def _chosen(names, keep):
    return [name for name, k in zip(names, keep) if k]


def _differences(question, participants, threads):
    """The model of changes (or of baselines), one row a participant; inference by permutation."""
    analysis, given = question.analysis, question.given
    whiches = KINDS[analysis["effect"]].sessions
    names = participants["baseline"]
    if len(whiches) == 2 and participants["followup"] != names:
        raise InputError(
            "configuration",
            "participants",
            "other participants at follow-up than at baseline",
            "the same",
            "Take the method mixed_model for incomplete participants.",
        )
    # What is wrong with the table or the configuration is wrong for all, and found before the maps are read; what fails
    # below for those who are left fails for want of seeds or of usable scans.
    plain = analysis
    if KINDS[analysis["effect"]].is_seeded:
        plain = {**analysis, "effect": "within_arm" if analysis.get("arm") else "group_by_time"}
    questions.build(plain, question.arms, names, question.table, question.file)
    change, known = question.seeds(names)
    names, change = _chosen(names, known), None if change is None else change[known]
    found = maps.read([_chosen(given[which], known) for which in whiches], given["template_mask"])
    usable = question.without_maps(names, found.empty, whiches)
    names, change = _chosen(names, usable), None if change is None else change[usable]
    plan = question.build(names, change)
    whole = None if question.within is None else found
    found = question.region(found)
    model = testing.model(plan)
    fit = differences.fit(found.values, model)
    if not fit.varies.any():
        raise InputError(
            given[whiches[-1]][0], "voxels", "no change varies", "maps of different participants", "Check."
        )
    constant = int((~fit.varies).sum())
    if constant:
        found = found.within(fit.varies)
        fit = differences.fit(found.values, model)
    return testing.by_permutation(question, plan, model, found, fit, constant, threads, whole)


def _full_factorial(question, participants, threads):
    """SPM's full factorial: all scans, one covariance for the brain; inference by random fields."""
    given, names = question.given, participants["baseline"]
    found = maps.read([given["baseline"], given["followup"]], given["template_mask"])
    usable = question.without_maps(names, found.empty, ("baseline", "followup"))
    names = _chosen(names, usable)
    plan = question.build(names)
    stacks = [maps.read([_chosen(given[which], usable)], given["template_mask"]) for which in ("baseline", "followup")]
    first, second = (np.ascontiguousarray(stack.values.T[found.mask[stack.mask]]) for stack in stacks)
    arm = {row["participant_id"]: row["arm"] for row in question.table}
    groups = [arm[name] for name in names]
    fit = full_factorial.fit(first, second, groups, question.arms["treatment"], question.arms["control"])
    residuals = full_factorial.whitened_residuals(first, second, groups, fit.covariance)
    # Covariance and smoothness are the brain's, whatever the region: SPM's small volume is a part of its map.
    whole, found = found.mask, question.region(found)
    inside = found.mask[whole]
    fit = fit._replace(effect=fit.effect[inside], t=fit.t[inside])
    return testing.by_random_fields(question, plan, found, fit, residuals, whole)


def _mixed_model(question, participants, threads):
    """Random intercepts: participants with one session count too; false discovery rate alone."""
    given, scans, sessions, paths = question.given, [], [], []
    for which in ("baseline", "followup"):
        scans += participants[which]
        sessions += [which] * len(participants[which])
        paths += list(given[which])
    found = maps.read([paths], given["template_mask"])
    usable = np.array([not any(each) for each in found.empty])
    for name, which in zip(_chosen(scans, ~usable), _chosen(sessions, ~usable)):
        label = question.sessions.get(which, which)
        question.leave_out([name], f"no CBF of {question.analysis['contrast']} at {label}: left out at that session")
    scans, sessions = _chosen(scans, usable), _chosen(sessions, usable)
    try:
        plan = mixed_maps.layout(
            scans, sessions, question.table, question.arms, question.file, question.analysis.get("covariates") or []
        )
    except InputError as error:
        if not question.excluded:
            raise
        raise NotRunError(f"too few participants have usable scans: {error}") from None
    # As the study calls them.
    plan = plan._replace(participants=scans)
    found = question.region(found)
    fit = mixed_maps.fit(
        lambda start, stop: np.ascontiguousarray(found.values[:, start:stop].T, dtype=np.float64),
        plan.matrix,
        plan.contrast,
        plan.participants,
        voxels=found.values.shape[1],
        method=question.inference.get("degrees_of_freedom", "satterthwaite"),
    )
    return testing.by_mixed_model(question, plan, found, fit)


_METHODS = {"differences": _differences, "full_factorial": _full_factorial, "mixed_model": _mixed_model}


def _write(found, outputs):
    for name in MAPS:
        values = found.maps.get(name)
        if values is None:
            values = np.full(int(found.mask.sum()), np.nan)
        # + 0.0: the logarithm of 1 is written 0, not -0.
        images.save(getattr(outputs, name), maps.fill(values + 0.0, found.mask), found.affine)
    images.save(outputs.mask, found.mask, found.affine, dtype=np.uint8)
    labels = maps.fill(found.labels, found.mask, outside=0)
    images.save(outputs.clusters, labels, found.affine, dtype=_label_type(len(found.clusters)))
    found.write_design(outputs.design)
    columns = {name: values for name in NULL_COLUMNS if (values := getattr(found.null, name, None)) is not None}
    number = len(next(iter(columns.values()), ()))
    rows = ({"relabelling": b, **{name: values[b].item() for name, values in columns.items()}} for b in range(number))
    tables.write_table(outputs.null, rows, NULL_COLUMNS)
    tables.write_json(outputs.inference, found.summary)
    map_sidecars.write(outputs, found.summary)


def _label_type(number):
    return np.int16 if number <= np.iinfo(np.int16).max else np.int32


def _write_nothing(question, reason, outputs):
    """Write what a skipped analysis owes: maps of NaN, no clusters, empty tables, and why."""
    voxels, affine = images.load(question.given["template_mask"])
    for name in MAPS:
        images.save(getattr(outputs, name), np.full(voxels.shape, np.nan), affine)
    images.save(outputs.mask, np.zeros(voxels.shape), affine, dtype=np.uint8)
    images.save(outputs.clusters, np.zeros(voxels.shape), affine, dtype=np.int16)
    tables.write_table(outputs.design, [], {"participant_id": "Participant"})
    tables.write_table(outputs.null, [], NULL_COLUMNS)
    summary = definitions.block(question, f"not run: {reason}", [])
    tables.write_json(outputs.inference, summary)
    map_sidecars.write(outputs, summary)
