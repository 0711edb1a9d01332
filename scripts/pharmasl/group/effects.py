"""The named effects as models: each a design matrix with one contrast, and what is exchangeable under its null.

A row is a participant. The outcome is the participant's *change*, follow-up minus baseline, so that all that is constant within
a person drops out, or the *baseline* session itself.

==================== ============== ============================================================ =========
effect               outcome        model; the contrast is the first term unless named           exchange
==================== ============== ============================================================ =========
group_by_time        change         arm + intercept                                              permute
between_arms         change         one column per arm; first arm minus second                   permute
within_arm           change         intercept, the participants of one arm                       flip
baseline_difference  baseline       arm + intercept                                              permute
regression           change         predictor + arm(s) + intercept                               permute
association          change         seed_change + arm + intercept; within one arm without arm    permute
association_by_arm   change         seed_change x arm + seed_change + arm + intercept            permute
==================== ============== ============================================================ =========

Covariates and the site, where named, are added to each. Numbers are centred at the mean of the participants analysed *in that
effect* and factors become centred indicators (:mod:`pharmasl.statistics.covariates`), so that an intercept is the mean at
average covariates; centring does not touch any other contrast. In ``association_by_arm`` the seed's change is centred before it
is multiplied by the arm: its own coefficient is then the slope in the control arm, the product's the difference of slopes.

A site is a block: its levels are columns of the model, and participants are exchanged within sites only; where all are of one
site it drops out with a note. Sign flips need no blocks, because each participant's flip stays within the site anyway.

``permute`` means that whole rows are exchanged (Freedman and Lane's residuals where there are other terms): under the null the
arms, or the values of the predictor, might as well have been allocated otherwise. ``flip`` means that signs of whole rows are:
under the null a change is as likely up as down, which takes symmetric errors.

With complete data the first of these equals other names of the same test: the two-sample t on changes, SPM's flexible factorial
(subject, group, time), the regression of all scans on subjects, session and session by arm. A covariate here is one *by session*
there.

A new effect is a record in :mod:`pharmasl.study.effect_kinds` and a function of :data:`EFFECTS`.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.group import design
from pharmasl.group.design import Sample
from pharmasl.group.model import Model
from pharmasl.statistics import covariates, factors
from pharmasl.statistics.covariates import Row, Term
from pharmasl.study.effect_kinds import KINDS, PERMUTE
from pharmasl.study.settings import Arms, ModelSettings

# A tested term whose variance the other terms multiply by more than this is hardly told apart from them.
_INFLATION = 10.0


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What an effect is asked of.

    Attributes
    ----------
    analysis : pharmasl.study.settings.ModelSettings
    arms : pharmasl.study.settings.Arms
    sample : pharmasl.group.design.Sample
    seed_change : ndarray of shape (n,), or None
    """

    analysis: ModelSettings
    arms: Arms
    sample: Sample
    seed_change: np.ndarray | None

    @property
    def concerned(self) -> list[str]:
        """The arms whose participants enter."""
        return self.analysis.kind.arms(self.arms.labels, self.analysis.arm)


@dataclass(frozen=True, kw_only=True)
class _Core:
    """An effect's own part of the model: the participants, the terms, the weight of each tested term, and the meaning."""

    sample: Sample
    terms: list[Term]
    tested: Mapping[str, float]
    meaning: str


def members(analysis: ModelSettings, arms: Arms | None, participants: Sequence[str], table: Sequence[Row]) -> list[str]:
    """Participants whose arm takes part in the analysis, in the given order; those without a row in the table stay.

    Parameters
    ----------
    analysis : pharmasl.study.settings.ModelSettings
    arms : pharmasl.study.settings.Arms or None
        Everyone takes part in a study without arms.
    participants : sequence of str
    table : sequence of mapping
        Rows of the participants' table, with ``arm``.
    """
    if arms is None:
        return list(participants)
    concerned = analysis.kind.arms(arms.labels, analysis.arm)
    arm = {row["participant_id"]: row.get("arm") for row in table}
    return [name for name in participants if name not in arm or arm[name] in concerned]


def build(
    analysis: ModelSettings,
    arms: Arms,
    participants: Sequence[str],
    table: Sequence[Row],
    file: FilePath,
    seed_change: np.ndarray | None = None,
) -> Model:
    """The model of an analysis.

    Parameters
    ----------
    analysis : pharmasl.study.settings.ModelSettings
    arms : pharmasl.study.settings.Arms
    participants : sequence of str
        In the order of the maps.
    table : sequence of mapping
        Rows of participants.tsv: ``participant_id``, ``arm``, covariates and site.
    file : path-like
        The table, for messages.
    seed_change : ndarray of shape (n,), optional
        Change of the seed region of each participant, mL/100 g/min; of effects with a seed.

    Returns
    -------
    Model
        Its ``participants`` say whose maps to take.

    Raises
    ------
    InputError
        For unknown participants or arms, an arm of fewer than two, missing values, a term named twice, more terms than
        participants, and terms that are combinations of others, which are named with the combination.
    """
    if analysis.effect not in KINDS:
        raise InputError(
            "configuration", "effect", str(analysis.effect), f"one of {', '.join(KINDS)}", "Correct the name."
        )
    sample = Sample.read(participants, table, file)
    request = _Request(analysis=analysis, arms=arms, sample=sample, seed_change=seed_change)
    return _assemble(analysis, EFFECTS[str(analysis.effect)](request))


def stand_in_seed_change(number: int) -> np.ndarray:
    """Changes of a seed region to check a design with, before any map is read: numbers that no column combines to."""
    return np.modf(0.618033988749895 * np.arange(1, number + 1))[0]


def _assemble(analysis: ModelSettings, core: _Core) -> Model:
    """Add covariates and site, check, and put together."""
    sample, kind = core.sample, analysis.kind
    terms = [*core.terms, *_covariate_terms(analysis, sample)]
    blocks, notes = None, list[str]()
    if analysis.site is not None:
        site_terms, blocks, notes = _site(sample, analysis.site)
        terms += site_terms
    names = [term.name for term in terms]
    _check_names(names, sample)
    matrix = np.column_stack([term.values for term in terms])
    design.check_rank(matrix, names, sample.file)
    weights = [(core.tested[name], name) for name in names if name in core.tested]
    tested = " ".join(f"{'-' if weight < 0 else '+'} {name}" for weight, name in weights).removeprefix("+ ")
    model = Model(
        kind=kind,
        arm=analysis.arm,
        participants=sample.participants,
        arms=[row.get("arm") for row in sample.rows],
        names=names,
        matrix=matrix,
        weights=np.array([[float(core.tested.get(name, 0)) for name in names]]),
        blocks=blocks if kind.exchange == PERMUTE else None,
        formula=f"{kind.outcome} ~ {' + '.join(names)}; tested: {tested}",
        meaning=core.meaning,
        descriptions={term.name: term.description for term in terms},
        notes=notes,
    )
    inflation = model.variance_inflation()
    if inflation <= _INFLATION:
        return model
    near = (
        f"the other terms multiply the variance of {tested} by {inflation:.3g}: they nearly explain it, and its test "
        "has little power"
    )
    return dataclasses.replace(model, notes=[*notes, near])


def _covariate_terms(analysis: ModelSettings, sample: Sample) -> list[Term]:
    terms: list[Term] = []
    for covariate in analysis.covariates:
        if covariate == analysis.site:
            raise InputError(
                "configuration", "covariates", covariate, "the site named once", "Take it out of the covariates."
            )
        terms += covariates.centred(sample.rows, sample.participants, covariate, sample.file)
    return terms


def _check_names(names: list[str], sample: Sample) -> None:
    repeated = {name for name in names if names.count(name) > 1} | ({"participant_id"} & set(names))
    if repeated:
        raise InputError(
            "configuration", "covariates", ", ".join(sorted(repeated)), "names not used twice", "Drop or rename them."
        )
    if len(sample.participants) <= len(names):
        raise InputError(
            sample.file,
            "participants",
            f"{len(sample.participants)} for {len(names)} terms ({', '.join(names)})",
            "more participants than terms",
            "Drop covariates.",
        )


def _site(sample: Sample, site: str) -> tuple[list[Term], np.ndarray | None, list[str]]:
    """The terms of the site, the block of each participant, and notes; no terms where there is one site."""
    levels = _site_levels(sample, site)
    order = sorted(set(levels))
    lonely = [level for level in order if levels.count(level) == 1]
    notes = [f"{site} {', '.join(lonely)}: one participant, who tells nothing about the effect"] if lonely else []
    if len(order) == 1:
        return [], None, [f"{site}: all participants of {order[0]}, no block and no term", *notes]
    blocks = np.array([order.index(level) for level in levels], dtype=np.int64)
    return covariates.indicators(levels, site, sample.file), blocks, notes


def _site_levels(sample: Sample, site: str) -> list[str]:
    if site not in sample.rows[0]:
        raise InputError(
            sample.file, site, f"columns {', '.join(sample.rows[0])}", "the site's column", "Add it or drop the site."
        )
    missing = [name for name, row in zip(sample.participants, sample.rows) if row[site] is None]
    if missing:
        raise InputError(
            sample.file, site, f"n/a for {', '.join(missing)}", "a site for every participant", "Complete the table."
        )
    # As words, whatever they look like: sites 1, 2 and 3 are no scale.
    levels = [str(row[site]) for row in sample.rows]
    factors.check_levels(levels, sample.participants, site, sample.file)
    return levels


def _intercept(sample: Sample) -> Term:
    return Term("intercept", np.ones(len(sample.participants)), "1 for all participants")


def _arm(request: _Request) -> Term:
    """1 in the treatment arm, 0 in the control arm; refuses participants of other arms."""
    arms, sample = request.arms, request.sample
    if arms.treatment == arms.control:
        raise InputError("configuration", "arms", arms.treatment, "two different arms", "Name the other arm.")
    labels = sample.arms((arms.treatment, arms.control))
    values = np.array([label == arms.treatment for label in labels], dtype=np.float64)
    return Term("arm", values, f"1 {arms.treatment}, 0 {arms.control}")


def _seed_change(sample: Sample, values: np.ndarray | None) -> Term:
    changes = np.asarray(values, dtype=np.float64)
    number = len(sample.participants)
    if changes.shape != (number,) or not np.isfinite(changes).all():
        raise ValueError(f"seed changes of shape {changes.shape}, all finite, for {number} participants")
    text = f"Change of the seed region's CBF, mL/100 g/min, minus its mean, {changes.mean():.6g}"
    return Term("seed_change", changes - changes.mean(), text)


def _group_by_time(request: _Request) -> _Core:
    """Whether the treatment arm changes differently from the control arm."""
    treatment, control = request.arms.treatment, request.arms.control
    return _Core(
        sample=request.sample,
        terms=[_arm(request), _intercept(request.sample)],
        tested={"arm": 1},
        meaning=f"change of {treatment} minus change of {control}",
    )


def _baseline_difference(request: _Request) -> _Core:
    """Whether the arms differ at baseline.

    In a randomised trial such a difference is chance; it is described, and is no test of the randomisation.
    """
    treatment, control = request.arms.treatment, request.arms.control
    return _Core(
        sample=request.sample,
        terms=[_arm(request), _intercept(request.sample)],
        tested={"arm": 1},
        meaning=f"baseline of {treatment} minus baseline of {control}",
    )


def _between_arms(request: _Request) -> _Core:
    """Whether one of several arms changes differently from another, with all arms in the model.

    The residual variance and the covariates' slopes come from all arms. Several pairs are several tests: correct them,
    for example by Holm's method. With two arms this is group_by_time. The permutation of all arms' residuals assumes that they
    differ by their means alone.
    """
    labels, (first, second) = request.concerned, request.analysis.pair or ("", "")
    if first == second or first not in labels or second not in labels or len(set(labels)) < len(labels):
        raise InputError(
            "configuration",
            "arms",
            f"{first} and {second} of {', '.join(labels)}",
            "two different ones of the arms",
            "Name them.",
        )
    arms = request.sample.arms(labels)
    return _Core(
        sample=request.sample,
        terms=[
            Term(f"arm[{label}]", np.array([arm == label for arm in arms], dtype=np.float64), f"1 {label}, 0 otherwise")
            for label in labels
        ],
        tested={f"arm[{first}]": 1, f"arm[{second}]": -1},
        meaning=f"change of {first} minus change of {second}",
    )


def _within_arm(request: _Request) -> _Core:
    """Whether one arm changes: a one-sample test, of the participants of that arm alone.

    A change within one arm is not an effect of the drug, and an effect "in one arm and not in the other" is no difference between
    them.
    """
    arm = str(request.analysis.arm)
    sample = request.sample.within_arm(arm)
    return _Core(sample=sample, terms=[_intercept(sample)], tested={"intercept": 1}, meaning=f"mean change of {arm}")


def _regression(request: _Request) -> _Core:
    """Whether change depends on a number, such as an age or a score, the arms' mean changes held apart.

    Within one arm there is one mean for all participants, who are of that arm already.
    """
    sample, predictor = request.sample, str(request.analysis.predictor)
    terms = covariates.centred(sample.rows, sample.participants, predictor, sample.file)
    if terms[0].name != predictor:
        raise InputError(
            sample.file, predictor, "words", "numbers", "Compare the levels as arms, or use it as a covariate."
        )
    terms.append(_intercept(sample))
    held = ""
    if request.analysis.arm is None:
        terms += covariates.indicators(sample.arms(request.concerned), "arm", sample.file)
        held = ", arm held fixed"
    return _Core(sample=sample, terms=terms, tested={predictor: 1}, meaning=f"slope of the change on {predictor}{held}")


def _association(request: _Request) -> _Core:
    """Whether change follows the change of a seed region, arm held fixed or within one arm.

    A slope "in one arm and not in the other" is no difference of slopes: that is association_by_arm.
    """
    sample, arm = request.sample, request.analysis.arm
    if arm is None:
        return _Core(
            sample=sample,
            terms=[_seed_change(sample, request.seed_change), _arm(request), _intercept(sample)],
            tested={"seed_change": 1},
            meaning="slope of the change on the seed's change, arm held fixed",
        )
    own = sample.within_arm(arm)
    chosen = [name in set(own.participants) for name in sample.participants]
    return _Core(
        sample=own,
        terms=[_seed_change(own, np.asarray(request.seed_change)[chosen]), _intercept(own)],
        tested={"seed_change": 1},
        meaning=f"slope of the change on the seed's change on {arm}",
    )


def _association_by_arm(request: _Request) -> _Core:
    """Whether the slope of change on the seed's change differs between the arms."""
    treatment, control = request.arms.treatment, request.arms.control
    arm, seed = _arm(request), _seed_change(request.sample, request.seed_change)
    product = Term("seed_change:arm", seed.values * arm.values, f"seed_change in {treatment}, 0 in {control}")
    return _Core(
        sample=request.sample,
        terms=[product, seed, arm, _intercept(request.sample)],
        tested={"seed_change:arm": 1},
        meaning=f"slope on the seed's change in {treatment} minus that in {control}",
    )


# By the name in the configuration.
EFFECTS: Mapping[str, Callable[[_Request], _Core]] = MappingProxyType(
    {
        "group_by_time": _group_by_time,
        "between_arms": _between_arms,
        "within_arm": _within_arm,
        "baseline_difference": _baseline_difference,
        "regression": _regression,
        "association": _association,
        "association_by_arm": _association_by_arm,
    }
)
