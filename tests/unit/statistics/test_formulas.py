"""Formulas, their designs and their tests, against R's type III tests (tests/unit/reference/formulas.R) and by hand."""

import csv
from pathlib import Path

import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.statistics import formula_designs, formula_tests, formulas

REFERENCE = Path(__file__).parents[1] / "reference" / "formulas.tsv"

# The data of formulas.R.
LETTERS = {"p": "placebo", "l": "low", "h": "high"}
ARM = [LETTERS[letter] for letter in "plhplhphpllhpplhhp"]
GENOTYPE = list("aaabbbaabbabaababb")
AGE = [31, 45, 28, 52, 39, 60, 33, 41, 29, 47, 36, 55, 44, 38, 50, 27, 35, 58]
Y = np.array([1.2, 3.4, 5.1, 0.3, 2.2, 7.9, 1.1, 4.4, -0.5, 3.8, 2.9, 8.8, 0.2, 1.9, 3.3, 4.1, 6.5, 1.0])
TABLE = formula_designs.Table(
    columns={"arm": ARM, "genotype": GENOTYPE, "age": [str(value) for value in AGE]},
    rows=[f"sub-{number:02d}" for number in range(len(Y))],
    levels={"arm": ["placebo", "low", "high"]},
    file="participants.tsv",
)


def _design(text, table=TABLE):
    return formula_designs.design(formulas.parse(text), table)


def _f(matrix, weights):
    inverse = np.linalg.inv(matrix.T @ matrix)
    beta = inverse @ matrix.T @ Y
    df = len(Y) - matrix.shape[1]
    scale = ((Y - matrix @ beta) ** 2).sum() / df
    effects = weights @ beta
    return effects @ np.linalg.solve(weights @ inverse @ weights.T, effects) / len(weights) / scale, df


def _rows():
    with REFERENCE.open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.parametrize("row", _rows(), ids=lambda row: f"{row['term']} of {row['formula']}")
def test_tests_are_those_of_r(row):
    wanted = {"curve": {"high": 1, "low": -2, "placebo": 1}}.get(row["term"], row["term"])
    design = _design(f"change ~ {row['formula']}")
    test = formula_tests.test(design, wanted)
    value, df = _f(design.matrix, test.weights)
    assert (len(test.weights), df) == (int(row["df"]), int(row["df_residual"]))
    assert value == pytest.approx(float(row["F"]), rel=1e-9)


def test_the_coding_of_a_factor_does_not_matter():
    for wanted in ("arm", "high - placebo", "arm:genotype"):
        values = [
            _f(design.matrix, formula_tests.test(design, wanted).weights)[0]
            for design in map(
                _design, ("change ~ arm * genotype", "change ~ 0 + arm * genotype", "change ~ C(arm, low) * genotype")
            )
        ]
        assert values == pytest.approx([values[0]] * 3)


def test_columns_levels_and_maps():
    design = _design("followup ~ arm * baseline + gm + age")
    assert design.names == (
        "intercept",
        "arm[low]",
        "arm[high]",
        "baseline",
        "gm",
        "age",
        "arm[low]:baseline",
        "arm[high]:baseline",
    )
    assert design.voxelwise == ((), (), (), ("baseline",), ("gm",), (), ("baseline",), ("baseline",))
    assert design.coding == ["arm: reference placebo, against it low, high"]
    low = np.array([arm == "low" for arm in ARM], float)
    np.testing.assert_array_equal(design.matrix[:, 6], low)
    np.testing.assert_allclose(design.matrix[:, 5], np.array(AGE) - np.mean(AGE))
    assert set(design.descriptions) == set(design.names)


def test_names_and_symbols():
    design = _design("change ~ arm * genotype + age")
    test = formula_tests.test(design, {"arm": {"high": 1, "placebo": -1}, "genotype": {"b": 1, "a": -1}})
    assert (test.names, test.symbols(design.names)) == (("(high - placebo) x (b - a)",), ["arm[high]:genotype[b]"])
    pair = formula_tests.test(design, "high - placebo")
    assert pair.words == "high - placebo, averaged over the levels of genotype, each counting alike"
    assert pair.symbols(design.names) == ["arm[high] + 0.5 arm[high]:genotype[b]"]
    assert formula_tests.test(_design("change ~ 1"), "1").weights.tolist() == [[1.0]]


def test_polynomials_are_orthogonal():
    parts = _design("change ~ poly(age, 3)").matrix[:, 1:]
    np.testing.assert_allclose(parts.T @ parts, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(parts.sum(axis=0), 0, atol=1e-12)


def test_functions_of_columns():
    table = formula_designs.Table(
        columns={"a": ["1", "2", "4"], "b": [3.0, 5.0, 5.5], "my site": ["1", "2", "2"]},
        rows=["sub-1", "sub-2", "sub-3"],
        levels={},
        file="participants.tsv",
    )
    design = _design("change ~ log(a) + I(b - a / 2)", table)
    a, b = np.array([1.0, 2, 4]), np.array([3, 5, 5.5])
    expected = np.column_stack([np.ones(3), np.log(a) - np.log(a).mean(), b - a / 2 - (b - a / 2).mean()])
    np.testing.assert_allclose(design.matrix, expected)
    assert _design("change ~ `my site`", table).names == ("intercept", "my site")


def test_random_effects_and_regions():
    formula = formulas.parse("cbf ~ arm * session + roi(dlpfc, rest) + cbf(cue) + (1 + week | participant) + (1|site)")
    assert formula.random == (formulas.RandomTerm("participant", ("week",)), formulas.RandomTerm("site"))
    assert (formula.regions, formula.maps, formula.contrasts) == ((("dlpfc", "rest"),), ("cbf(cue)",), ("rest", "cue"))
    assert formula.variables == ("arm", "session")
    assert str(formula.random[0]) == "(1 + week | participant)"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("arm", "one ~"),
        ("change ~ arm ~ age", "one ~"),
        ("change ~", "terms right of"),
        ("outcome ~ arm", "one of change, followup, baseline, cbf"),
        ("baseline ~ arm + baseline", "other than baseline"),
        ("change ~ arm +* age", "terms joined by"),
        ("change ~ arm | site", r"\(1 \| participant\)"),
        ("cbf ~ arm + (0 + week | participant)", "a random effect such as"),
        ("change ~ __import__('os').system('true')", "joined by|one of C"),
        ("change ~ exp(age)", "one of C"),
        ("change ~ I(age.real)", "of columns and numbers"),
        ("change ~ I(2 ** age)", "of columns and numbers"),
        ("change ~ poly(age, 9)", "a degree from 1 to 5"),
        ("change ~ roi(dlpfc)", "a region and a contrast"),
        ("change ~ " + "a + " * 400 + "b", "one ~"),
    ],
)
def test_what_is_no_formula(text, says):
    with pytest.raises(InputError, match=says):
        formulas.parse(text)


@pytest.mark.parametrize(
    ("text", "columns", "says"),
    [
        ("change ~ dose", {"age": ["1", "2", "3"]}, "the column dose"),
        ("change ~ dose", {"dose": ["1", None, "3"]}, "n/a for sub-2"),
        ("change ~ dose", {"dose": ["1", "low", "3"]}, "low for sub-2"),
        ("change ~ sex", {"sex": ["M", "M", "M"]}, "at least two levels"),
        ("change ~ sex", {"sex": ["M", "male", "F"]}, "one spelling"),
        ("change ~ C(sex, X)", {"sex": ["M", "F", "M"]}, "a reference that sex has: F, M"),
        ("change ~ log(dose)", {"dose": ["1", "0", "3"]}, "0 for sub-2"),
        ("change ~ I(1 / dose)", {"dose": ["1", "0", "3"]}, "no number for sub-2"),
        ("change ~ poly(dose, 3)", {"dose": ["1", "2", "3"]}, "more than 3"),
    ],
)
def test_what_the_columns_do_not_hold(text, columns, says):
    table = formula_designs.Table(columns=columns, rows=["sub-1", "sub-2", "sub-3"], levels={}, file="participants.tsv")
    with pytest.raises(InputError, match=says):
        _design(text, table)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("dose", "formula's arm, genotype, age"),
        ("arm:age", "Add the term to the formula"),
        ({"high": 1}, "sum to 1"),
        ({"high": 1, "b": -1}, "levels of one factor"),
        ({"arm": {"high": 1, "none": -1}}, "levels of arm"),
        (["high - placebo", "low - placebo", "high - low"], "none follows"),
        ("arm + age", "one term"),
        ([], "a term"),
    ],
)
def test_what_cannot_be_tested(wanted, says):
    with pytest.raises(InputError, match=says):
        formula_tests.test(_design("change ~ arm * genotype + age"), wanted)


def test_levels_may_have_any_letters():
    table = formula_designs.Table(
        columns={"dose": ["10 mg: [low]", "placebo", "placebo", "10 mg: [low]"]},
        rows=["sub-1", "sub-2", "sub-3", "sub-4"],
        levels={"dose": ["placebo", "10 mg: [low]", "not given"]},
        file="participants.tsv",
    )
    design = _design("change ~ dose", table)
    assert design.names == ("intercept", "dose[10 mg: [low]]")
    np.testing.assert_array_equal(design.matrix[:, 1], [1, 0, 0, 1])
