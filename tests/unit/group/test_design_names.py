"""The names of designs, as a textbook of trials has them."""

import dataclasses

import designs
import numpy as np
import pytest
from pharmasl.group import design_names
from pharmasl.statistics.formulas import RandomTerm
from pharmasl.study.effect_kinds import KINDS

NAMES = [f"sub-{k}" for k in range(1, 7)]
ARMS = ["drug", "drug", "drug", "placebo", "placebo", "placebo"]
TABLE = [{"participant_id": name, "arm": arm, "age": str(30 + k)} for k, (name, arm) in enumerate(zip(NAMES, ARMS))]


def model(columns, tested, outcome="followup", voxelwise=(), **changes):
    """A model of these columns, one row per participant, of which some are tested."""
    kind = dataclasses.replace(KINDS["group_by_time"], name="formula", outcome=outcome)
    base = designs.group_by_time(NAMES, TABLE, {"treatment": "drug", "control": "placebo"}, "table.tsv")
    matrix = np.random.default_rng(0).normal(size=(len(NAMES), len(columns)))
    weights = np.array([[float(name == one) for name in columns] for one in tested])
    given = {"kind": kind, "names": list(columns), "matrix": matrix, "voxelwise": voxelwise}
    changes.setdefault("weights", weights)
    return dataclasses.replace(base, **{**given, **changes})


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("arm[high]:genotype[b]", ("arm", "genotype")),
        ("roi(dlpfc, rest):arm[high]", ("roi(dlpfc, rest)", "arm")),
        ("poly(age, 2)[1]", ("poly(age, 2)",)),
        ("site[a:b]:arm[x]", ("site", "arm")),
        ("intercept", ("intercept",)),
    ],
)
def test_variables_of_a_column(column, expected):
    assert design_names.variables(column) == expected


def test_named_effects():
    arms = {"treatment": "drug", "control": "placebo"}
    change = designs.group_by_time(NAMES, TABLE, arms, "table.tsv", covariates=["age"])
    assert design_names.name_of(change) == "Two-arm comparison of change scores: group by time"
    before = designs.baseline_difference(NAMES, TABLE, arms, "table.tsv")
    assert design_names.name_of(before).startswith("Two-arm comparison at baseline")
    within = designs.within_arm(NAMES, TABLE, "drug", "table.tsv")
    assert (
        design_names.name_of(within) == "One-sample test: mean change within one arm, drug, against zero, signs flipped"
    )
    pair = designs.between_arms(NAMES, TABLE, ["drug", "placebo"], ["drug", "placebo"], "table.tsv")
    assert design_names.name_of(pair) == "Two-arm comparison of change scores: group by time"
    seed = designs.association(NAMES, TABLE, arms, np.arange(6.0), "table.tsv")
    assert design_names.name_of(seed) == "Regression of the change on seed change"


ANCOVA = {"columns": ["intercept", "arm[drug]", "baseline"], "voxelwise": ((), (), ("baseline",))}


def test_formulas_with_a_row_per_participant():
    adjusted = model(**ANCOVA, tested=["arm[drug]"])
    assert design_names.name_of(adjusted) == "Two-arm ANCOVA: follow-up, each voxel's own baseline as covariate"
    alone = model(["intercept", "arm[drug]"], ["arm[drug]"])
    assert design_names.name_of(alone) == "Two-arm comparison of the follow-up alone: the baseline is not used"
    arms = ["drug", "low", "low", "placebo", "placebo", "drug"]
    doses = model(["intercept", "arm[low]", "arm[drug]"], ["arm[low]", "arm[drug]"], outcome="change", arms=arms)
    assert design_names.name_of(doses) == "Three-arm comparison of change scores (F test): group by time"
    columns = ["intercept", "arm[drug]", "genotype[b]", "arm[drug]:genotype[b]"]
    # The marginal mean of the arm has a weight on the product too.
    voxelwise = ((), (), (), (), ("baseline",))
    average = {"effects": ("drug - placebo",), "weights": np.array([[0, 1, 0, 0.5, 0.0]]), "voxelwise": voxelwise}
    marginal = model([*columns, "baseline"], [], **average)
    assert design_names.name_of(marginal) == "Two-arm ANCOVA: follow-up, each voxel's own baseline as covariate"
    moderated = model(columns, ["arm[drug]:genotype[b]"], effects=("(drug - placebo) x (b - a)",))
    assert design_names.name_of(moderated).startswith(
        "Moderation: the difference between the two arms in the follow-up by genotype"
    )
    single = model(["intercept", "arm[drug]"], ["arm[drug]"], outcome="cbf")
    assert design_names.name_of(single).startswith("Two-group comparison of a single session")


def scans(columns, tested, matrix, random=()):
    people = [name for name in NAMES for _ in range(2)]
    arms = [arm for arm in ARMS for _ in range(2)]
    return model(
        columns,
        tested,
        outcome="cbf",
        matrix=matrix,
        participants=people,
        arms=arms,
        sessions=np.tile([0, 1], 6),
        random=random,
    )


def test_formulas_with_a_row_per_scan():
    arm, session = np.repeat([1.0, 0.0], 6), np.tile([0.0, 1.0], 6)
    columns = ["intercept", "arm[drug]", "session[T2]", "arm[drug]:session[T2]"]
    matrix = np.column_stack([np.ones(12), arm, session, arm * session])
    slopes = (RandomTerm("participant", ("week",)),)
    intercept = (RandomTerm("participant"),)
    visits = design_names.name_of(scans(columns, columns[-1:], matrix, intercept))
    assert visits == "Repeated measures (arm by session), a random intercept for each participant"
    assert "a random intercept and a slope on week" in design_names.name_of(
        scans(columns, columns[-1:], matrix, slopes)
    )
    first = np.repeat([0.0, 1.0], 6)
    drug = np.where(session == first, 1.0, 0.0)
    columns = ["intercept", "drug[active]", "period[2]", "sequence[BA]"]
    crossover = scans(columns, columns[1:2], np.column_stack([np.ones(12), drug, session, first]))
    assert design_names.name_of(crossover) == (
        "Crossover: drug within participants, adjusted for period, a random intercept for each participant; "
        "carry-over appears as a difference between sequences"
    )
