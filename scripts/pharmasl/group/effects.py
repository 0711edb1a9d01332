"""The questions a study asks of its maps, each a design matrix with one contrast and what is exchangeable under its null.

A row is a participant. ``outcome`` says which image stands in the row: the participant's *change*, follow-up minus
baseline, so that all that is constant within a person drops out, or the *baseline* session itself.

==================== ============== ============================================================ =========
effect               outcome        model; the contrast is the first term unless named           exchange
==================== ============== ============================================================ =========
group_by_time        change         arm + intercept                                              permute
between_arms         change         one column an arm; first arm minus second                    permute
within_arm           change         intercept, the participants of one arm                       flip
baseline_difference  baseline       arm + intercept                                              permute
regression           change         predictor + arm(s) + intercept                               permute
association          change         seed_change + arm + intercept; within one arm without arm    permute
association_by_arm   change         seed_change x arm + seed_change + arm + intercept            permute
==================== ============== ============================================================ =========

To each come the covariates, and the site where given. Numbers are centred at the mean of the participants analysed *in
that effect* and factors become centred indicators, so that an intercept is the mean at average covariates; centring
does not touch any other contrast. In ``association_by_arm`` the seed's change is centred before it is multiplied by
the arm: its own coefficient is then the slope in the control arm, the product's the difference of slopes.

A site is a block: its levels are columns of the model, and participants are exchanged within sites only; where all are
of one site it drops out with a note. Sign flips need no blocks, for each participant's flip stays within the site
anyway.

``permute`` means that whole rows are exchanged (Freedman and Lane's residuals where there are other terms): under the
null the arms, or the values of the predictor, might as well have been dealt otherwise. ``flip`` means that signs of
whole rows are: under the null a change is as likely up as down, which takes symmetric errors.

With complete data the first of these equals other names of the same test: the two-sample t on changes, SPM's flexible
factorial (subject, group, time), the regression of all scans on subjects, session and session by arm. A covariate here
is one *by session* there.
"""

import hashlib
import itertools
from dataclasses import dataclass, field

import numpy as np

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.group import design
from pharmasl.statistics import factors

# A tested term whose variance the other terms multiply by more than this is hardly told apart from them.
_INFLATION = 10.0


@dataclass(frozen=True)
class Effect:
    """A design with its tested contrast.

    Attributes
    ----------
    name : str
        Which effect.
    outcome : {"change", "baseline"}
        Which image of a participant the model explains.
    participants : list of str
        One a row; a subset of those given where the effect concerns one arm.
    names : list of str
        One a column.
    matrix : ndarray of shape (n, terms), float64
    contrast : ndarray of shape (terms,), float64
        Weights of the coefficients; their weighted sum is the effect.
    exchange : {"permute", "flip"}
        What a relabelling does.
    blocks : ndarray of int, shape (n,), or None
        Exchangeability block of each row: rows are exchanged within blocks.
    formula : str
        The model and the tested contrast in words.
    meaning : str
        What the effect says.
    descriptions : dict
        Term to what it means.
    notes : list of str
        What a reader should know: near-confounding, sites that tell nothing.
    """

    name: str
    outcome: str
    participants: list
    names: list
    matrix: np.ndarray
    contrast: np.ndarray
    exchange: str
    blocks: np.ndarray | None
    formula: str
    meaning: str
    descriptions: dict
    notes: list = field(default_factory=list)

    @property
    def df(self):
        """Residual degrees of freedom."""
        return self.matrix.shape[0] - self.matrix.shape[1]

    def digest(self):
        """SHA-256 of all that decides the test: rows, values, contrast, what is exchanged and in which blocks."""
        lines = ["\t".join(self.names), "\t".join(repr(float(value)) for value in self.contrast)]
        lines += [
            "\t".join([name, *(repr(float(value)) for value in row)])
            for name, row in zip(self.participants, self.matrix)
        ]
        blocks = "none" if self.blocks is None else " ".join(map(str, self.blocks.tolist()))
        return hashlib.sha256("\n".join([*lines, self.outcome, self.exchange, blocks]).encode()).hexdigest()

    def write(self, path):
        """Write the matrix as a table with a sidecar."""
        rows = [
            {"participant_id": name, **dict(zip(self.names, row.tolist()))}
            for name, row in zip(self.participants, self.matrix)
        ]
        tables.write_table(path, rows, {"participant_id": "Participant", **self.descriptions})

    def partition(self):
        """The model as one tested column and the others, for :func:`pharmasl.group.engine.glm.model`.

        The other columns span all of the model in which the contrast is 0, and the coefficient of the tested column is
        the contrast (Ridgway's form; Winkler et al. 2014, NeuroImage 92:381).

        Returns
        -------
        x : ndarray of shape (n,)
        nuisance : ndarray of shape (n, terms - 1)
        """
        where = np.flatnonzero(self.contrast)
        if len(where) == 1 and self.contrast[where[0]] == 1:
            return self.matrix[:, where[0]], np.delete(self.matrix, where[0], axis=1)
        # Columns of like length: badly scaled ones would cost digits.
        length = np.linalg.norm(self.matrix, axis=0)
        scaled, weights = self.matrix / length, self.contrast / length
        direction = np.linalg.solve(scaled.T @ scaled, weights)
        x = scaled @ direction / (weights @ direction)
        others = np.linalg.svd(weights[None])[2][1:].T
        return x, scaled @ others


def _inflation(effect):
    """Variance of the contrast over what it were if the tested column shared nothing with the others but the mean."""
    x, nuisance = effect.partition()
    if not nuisance.shape[1]:
        return 1.0
    nuisance = nuisance / np.linalg.norm(nuisance, axis=0)
    rest = x - nuisance @ np.linalg.lstsq(nuisance, x, rcond=None)[0]
    constant = np.ones(len(x))
    fitted = nuisance @ np.linalg.lstsq(nuisance, constant, rcond=None)[0]
    alone = x - x.mean() if np.allclose(fitted, constant, atol=1e-9) else x
    return float((alone @ alone) / (rest @ rest))


def _make(name, outcome, participants, rows, columns, tested, exchange, meaning, file, covariates, site):
    """Add covariates and site, check, and put together; ``tested`` maps terms to weights."""
    columns = list(columns)
    for covariate in covariates:
        if covariate == site:
            raise InputError(
                "configuration", "covariates", covariate, "the site named once", "Take it out of the covariates."
            )
        columns += design.covariate_columns(rows, participants, covariate, file)
    blocks, notes = None, []
    if site is not None:
        levels = _site_levels(rows, participants, site, file)
        order = sorted(set(levels))
        if len(order) == 1:
            notes.append(f"{site}: all participants of {order[0]}, no block and no term")
        else:
            columns += design.indicator_columns(levels, site, file)
            if exchange == "permute":
                blocks = np.array([order.index(level) for level in levels], dtype=np.int64)
        lonely = [level for level in order if levels.count(level) == 1]
        if lonely:
            notes.append(f"{site} {', '.join(lonely)}: one participant, who tells nothing about the effect")
    names = [term for term, _, _ in columns]
    repeated = {term for term in names if names.count(term) > 1} | ({"participant_id"} & set(names))
    if repeated:
        raise InputError(
            "configuration", "covariates", ", ".join(sorted(repeated)), "names not used twice", "Drop or rename them."
        )
    if len(rows) <= len(names):
        raise InputError(
            file,
            "participants",
            f"{len(rows)} for {len(names)} terms ({', '.join(names)})",
            "more participants than terms",
            "Drop covariates.",
        )
    matrix = np.column_stack([values for _, values, _ in columns])
    design.check_rank(matrix, names, file)
    contrast = np.array([float(tested.get(term, 0)) for term in names])
    weights = [(tested[term], term) for term in names if term in tested]
    words = " ".join(f"{'-' if weight < 0 else '+'} {term}" for weight, term in weights).removeprefix("+ ")
    effect = Effect(
        name,
        outcome,
        list(participants),
        names,
        matrix,
        contrast,
        exchange,
        blocks,
        f"{outcome} ~ {' + '.join(names)}; tested: {words}",
        meaning,
        {term: text for term, _, text in columns},
        notes,
    )
    inflation = _inflation(effect)
    if inflation > _INFLATION:
        notes.append(
            f"the other terms multiply the variance of {words} by {inflation:.3g}: they nearly explain it, and its test "
            "has little power"
        )
    return effect


def _site_levels(rows, participants, site, file):
    if site not in rows[0]:
        raise InputError(file, site, f"columns {', '.join(rows[0])}", "the site's column", "Add it or drop the site.")
    missing = [name for name, row in zip(participants, rows) if row[site] is None]
    if missing:
        raise InputError(
            file, site, f"n/a for {', '.join(missing)}", "a site for every participant", "Complete the table."
        )
    # As words, whatever they look like: sites 1, 2 and 3 are no scale.
    found = [str(row[site]) for row in rows]
    factors.check_levels(found, participants, site, file)
    return found


def _intercept(n):
    return ("intercept", np.ones(n), "1 for all participants")


def _arm(labels, arms):
    values = np.array([label == arms["treatment"] for label in labels], dtype=np.float64)
    return ("arm", values, f"1 {arms['treatment']}, 0 {arms['control']}")


def _two_arms(participants, table, arms, file):
    if arms["treatment"] == arms["control"]:
        raise InputError("configuration", "arms", arms["treatment"], "two different arms", "Name the other arm.")
    rows = design.participant_rows(participants, table, file)
    return rows, design.arm_labels(rows, participants, (arms["treatment"], arms["control"]), file)


def _one_arm(participants, table, arm, file):
    """The rows of one arm's participants, and which those are."""
    rows = design.participant_rows(participants, table, file)
    chosen = [k for k, row in enumerate(rows) if row.get("arm") == arm]
    if len(chosen) < 2:
        raise InputError(file, f"arm {arm}", f"{len(chosen)} participant(s)", "at least two", "Scan or include more.")
    return [rows[k] for k in chosen], chosen


def group_by_time(participants, table, arms, file, covariates=(), site=None):
    """Whether the treatment arm changes otherwise than the control arm.

    Parameters
    ----------
    participants : list of str
        In the order of the maps.
    table : list of dict
        Rows of participants.tsv: ``participant_id``, ``arm``, covariates and site.
    arms : dict
        ``treatment``, ``control``: values of ``arm``.
    file : path-like
        The table, for messages.
    covariates : sequence of str
        Columns of the table.
    site : str, optional
        Column of the table: a block factor.

    Returns
    -------
    Effect

    Raises
    ------
    InputError
        For unknown participants or arms, an arm of fewer than two, missing values, a term named twice, more terms than
        participants, and terms that are combinations of others, which are named with the combination.
    """
    rows, labels = _two_arms(participants, table, arms, file)
    return _make(
        "group_by_time",
        "change",
        participants,
        rows,
        [_arm(labels, arms), _intercept(len(rows))],
        {"arm": 1},
        "permute",
        f"change of {arms['treatment']} minus change of {arms['control']}",
        file,
        covariates,
        site,
    )


def baseline_difference(participants, table, arms, file, covariates=(), site=None):
    """Whether the arms differ at baseline. Parameters, return and errors as :func:`group_by_time`.

    In a randomised trial such a difference is chance; it is described, and is no test of the randomisation.
    """
    rows, labels = _two_arms(participants, table, arms, file)
    return _make(
        "baseline_difference",
        "baseline",
        participants,
        rows,
        [_arm(labels, arms), _intercept(len(rows))],
        {"arm": 1},
        "permute",
        f"baseline of {arms['treatment']} minus baseline of {arms['control']}",
        file,
        covariates,
        site,
    )


def between_arms(participants, table, labels, pair, file, covariates=(), site=None, outcome="change"):
    """Whether one of several arms changes otherwise than another, with all arms in the model.

    The residual variance and the covariates' slopes come from all arms. Several pairs are several tests: correct them,
    for example by Holm's method. With two arms this is :func:`group_by_time`. The permutation of all arms' residuals
    assumes that they differ by their means alone.

    Parameters
    ----------
    participants, table, file, covariates, site
        As :func:`group_by_time`.
    labels : sequence of str
        All arms of the analysis, two or more.
    pair : tuple of str
        First minus second is tested.
    outcome : {"change", "baseline"}

    Returns
    -------
    Effect

    Raises
    ------
    InputError
        As :func:`group_by_time`, and for a pair that is not two different arms of ``labels``.
    """
    labels, (first, second) = list(labels), pair
    if first == second or first not in labels or second not in labels or len(set(labels)) < len(labels):
        raise InputError(
            "configuration",
            "arms",
            f"{first} and {second} of {', '.join(labels)}",
            "two different ones of the arms",
            "Name them.",
        )
    rows = design.participant_rows(participants, table, file)
    arms = design.arm_labels(rows, participants, labels, file)
    columns = [
        (f"arm[{label}]", np.array([arm == label for arm in arms], dtype=np.float64), f"1 {label}, 0 otherwise")
        for label in labels
    ]
    return _make(
        "between_arms",
        outcome,
        participants,
        rows,
        columns,
        {f"arm[{first}]": 1, f"arm[{second}]": -1},
        "permute",
        f"{outcome} of {first} minus {outcome} of {second}",
        file,
        covariates,
        site,
    )


def pairs(labels):
    """All pairs of arms, the first named first: the contrasts of a study of several arms.

    Parameters
    ----------
    labels : sequence of str

    Returns
    -------
    list of (name, (first, second))
    """
    return [(f"{first}-{second}", (first, second)) for first, second in itertools.combinations(labels, 2)]


def within_arm(participants, table, arm, file, covariates=(), site=None):
    """Whether one arm changes: a one-sample test, of the participants of that arm alone.

    A change within one arm is not an effect of the drug, and an effect "in one arm and not in the other" is no
    difference between them.

    Parameters
    ----------
    participants, table, file, covariates, site
        As :func:`group_by_time`; participants of other arms are left out.
    arm : str

    Returns
    -------
    Effect
        Its ``participants`` say whose maps to take.

    Raises
    ------
    InputError
        As :func:`group_by_time`.
    """
    rows, chosen = _one_arm(participants, table, arm, file)
    return _make(
        "within_arm",
        "change",
        [participants[k] for k in chosen],
        rows,
        [_intercept(len(rows))],
        {"intercept": 1},
        "flip",
        f"mean change of {arm}",
        file,
        covariates,
        site,
    )


def regression(participants, table, predictor, file, arms=None, covariates=(), site=None):
    """Whether change depends on a number, such as an age or a score.

    Parameters
    ----------
    participants, table, file, covariates, site
        As :func:`group_by_time`.
    predictor : str
        Column of numbers; centred.
    arms : sequence of str, optional
        Arms whose mean changes are held apart. Without it there is one mean for all: right within one arm, and
        mistaken for an effect of the predictor where the arms differ in both.

    Returns
    -------
    Effect

    Raises
    ------
    InputError
        As :func:`group_by_time`, and for a predictor of words.
    """
    rows = design.participant_rows(participants, table, file)
    found = design.covariate_columns(rows, participants, predictor, file)
    if found[0][0] != predictor:
        raise InputError(file, predictor, "words", "numbers", "Compare the levels as arms, or use it as a covariate.")
    columns, held = [*found, _intercept(len(rows))], ""
    if arms is not None:
        labels = design.arm_labels(rows, participants, list(arms), file)
        columns += design.indicator_columns(labels, "arm", file)
        held = ", arm held fixed"
    return _make(
        "regression",
        "change",
        participants,
        rows,
        columns,
        {predictor: 1},
        "permute",
        f"slope of the change on {predictor}{held}",
        file,
        covariates,
        site,
    )


def _seed(participants, values):
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (len(participants),) or not np.isfinite(values).all():
        raise ValueError(f"seed changes of shape {values.shape}, all finite, for {len(participants)} participants")
    text = f"Change of the seed region's CBF, mL/100 g/min, minus its mean, {values.mean():.6g}"
    return ("seed_change", values - values.mean(), text)


def association(participants, table, arms, seed_change, file, covariates=(), site=None, arm=None):
    """Whether change follows the change of a seed region, arm held fixed or within one arm.

    A slope "in one arm and not in the other" is no difference of slopes: that is :func:`association_by_arm`.

    Parameters
    ----------
    participants, table, arms, file, covariates, site
        As :func:`group_by_time`.
    seed_change : array_like of shape (n,)
        Of the participants, mL/100 g/min.
    arm : str, optional
        Participants of other arms are left out.

    Returns
    -------
    Effect
        Its ``participants`` say whose maps to take.

    Raises
    ------
    InputError
        As :func:`group_by_time`.
    """
    if arm is not None:
        rows, chosen = _one_arm(participants, table, arm, file)
        participants, seed_change = [participants[k] for k in chosen], np.asarray(seed_change)[chosen]
        return _make(
            "association",
            "change",
            participants,
            rows,
            [_seed(participants, seed_change), _intercept(len(rows))],
            {"seed_change": 1},
            "permute",
            f"slope of the change on the seed's change on {arm}",
            file,
            covariates,
            site,
        )
    rows, labels = _two_arms(participants, table, arms, file)
    columns = [_seed(participants, seed_change), _arm(labels, arms), _intercept(len(rows))]
    return _make(
        "association",
        "change",
        participants,
        rows,
        columns,
        {"seed_change": 1},
        "permute",
        "slope of the change on the seed's change, arm held fixed",
        file,
        covariates,
        site,
    )


def association_by_arm(participants, table, arms, seed_change, file, covariates=(), site=None):
    """Whether the slope of change on the seed's change differs between the arms; as :func:`association`."""
    rows, labels = _two_arms(participants, table, arms, file)
    seed, arm = _seed(participants, seed_change), _arm(labels, arms)
    product = ("seed_change:arm", seed[1] * arm[1], f"seed_change in {arms['treatment']}, 0 in {arms['control']}")
    return _make(
        "association_by_arm",
        "change",
        participants,
        rows,
        [product, seed, arm, _intercept(len(rows))],
        {"seed_change:arm": 1},
        "permute",
        f"slope on the seed's change in {arms['treatment']} minus that in {arms['control']}",
        file,
        covariates,
        site,
    )


# By the name that a configuration gives.
EFFECTS = {
    function.__name__: function
    for function in (
        group_by_time,
        between_arms,
        within_arm,
        baseline_difference,
        regression,
        association,
        association_by_arm,
    )
}
