"""The design under any allocation: arms, sequences of crossovers, what cannot be told and is refused."""

import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.group import allocation
from pharmasl.statistics import formula_designs, formula_tests, formulas
from pharmasl.statistics.formula_designs import Table

LEVELS = {"arm": ["placebo", "low", "high"], "session": ["T1", "T2", "T3"]}


def table(pairs, arms, **columns):
    """Scans of (participant, session); further columns by participant, or ``visit(...)`` by participant and session."""
    values = {"arm": [arms[who] for who, _ in pairs], "session": [session for _, session in pairs]}
    for name, own in columns.items():
        values[name] = [own.get((who, session), own.get(who)) for who, session in pairs]
    return Table(columns=values, rows=[who for who, _ in pairs], levels=LEVELS, file="participants.tsv")


def allocated(text, wanted, data):
    made = formula_designs.design(formulas.parse(text), data)
    tested = formula_tests.test(made, wanted)
    return made, allocation.of_design(made, data, data.columns["session"], tested.term)


PEOPLE = {"a": "high", "b": "placebo", "c": "low", "d": "placebo", "e": "high", "f": "low"}
PAIRS = [
    (who, session)
    for who in PEOPLE
    for session in ("T1", "T2", "T3")
    if (who, session) not in {("b", "T2"), ("e", "T3")}
]
AGES = dict(zip(PEOPLE, (21.0, 34.0, 45.0, 28.0, 52.0, 39.0)))


def test_the_design_under_each_arm():
    data = table(PAIRS, PEOPLE, age=AGES)
    made, given = allocated("cbf ~ arm * session + poly(age, 2) + (1 | participant)", "arm:session", data)
    assert (given.what, given.labels, given.participants) == ("arm", ("placebo", "low", "high"), tuple(PEOPLE))
    assert given.codes.tolist() == [2, 0, 1, 0, 2, 1]
    own = given.codes[[given.participants.index(who) for who, _ in PAIRS]]
    np.testing.assert_allclose(given.designs[own, np.arange(len(PAIRS))], made.matrix, atol=1e-12)
    # As if all were of one arm: the same sessions and ages, other arms.
    high = made.names.index("arm[high]")
    assert given.designs[:, :, high].tolist() == [[0.0] * len(PAIRS)] * 2 + [[1.0] * len(PAIRS)]
    ages = [column for column, name in enumerate(made.names) if name.startswith("poly")]
    for under in given.designs:
        np.testing.assert_allclose(under[:, ages], made.matrix[:, ages], atol=1e-12)
    late = [float(session == "T3") for _, session in PAIRS]
    assert given.designs[2][:, made.names.index("arm[high]:session[T3]")].tolist() == late
    assert given.of_columns(np.array([0, high])).designs.shape == (3, len(PAIRS), 2)


CROSSED = {"a": "placebo", "b": "high", "c": "placebo", "d": "high"}
VISITS = [(who, session) for who in CROSSED for session in ("T1", "T2") if (who, session) != ("d", "T1")]


def drugs(sequences):
    return {(who, f"T{k + 1}"): drug for who, own in sequences.items() for k, drug in enumerate(own)}


def test_sequences_of_a_crossover_are_the_arms_where_these_decide_the_treatment():
    order = {"placebo": ("on", "off"), "high": ("off", "on")}
    data = table(VISITS, CROSSED, **{"visit(drug)": drugs({who: order[arm] for who, arm in CROSSED.items()})})
    made, given = allocated("cbf ~ visit(drug) + session + (1 | participant)", "visit(drug)", data)
    assert (given.what, given.labels, given.codes.tolist()) == ("sequence", ("high", "placebo"), [1, 0, 1, 0])
    drug = made.names.index("visit(drug)[on]")
    first = np.array([session == "T1" for _, session in VISITS])
    np.testing.assert_array_equal(given.designs[1][:, drug], first)
    np.testing.assert_array_equal(given.designs[0][:, drug], ~first)


def test_sequences_are_read_from_the_treatments_where_these_tell():
    one = dict.fromkeys(CROSSED, "placebo")
    whole = {"a": ("on", "off"), "b": ("off", "on"), "c": ("on", "off"), "d": ("off", "on")}
    data = table(VISITS, one, **{"visit(drug)": drugs(whole)})
    _, given = allocated("cbf ~ visit(drug) + session + (1 | participant)", "visit(drug)", data)
    assert (given.labels, given.codes.tolist()) == (("off, on", "on, off"), [1, 0, 1, 0])
    # Of three sequences two have the treatment that the one scan of d tells of.
    whole["c"] = ("on", "on")
    data = table(VISITS, one, **{"visit(drug)": drugs(whole)})
    assert allocated("cbf ~ visit(drug) + session + (1 | participant)", "visit(drug)", data)[1] is None
    data = table(VISITS, one, **{"visit(drug)": drugs(whole), "sequence": {"a": "A", "b": "B", "c": "C", "d": "B"}})
    _, given = allocated("cbf ~ visit(drug) + session + (1 | participant)", "visit(drug)", data)
    assert (given.labels, given.codes.tolist()) == (("A", "B", "C"), [0, 1, 2, 1])


def test_a_sequence_that_is_a_term_changes_with_the_label():
    whole = {"a": ("on", "off"), "b": ("off", "on"), "c": ("on", "off"), "d": ("off", "on")}
    sequence = {"a": "AB", "b": "BA", "c": "AB", "d": "BA"}
    data = table(VISITS, dict.fromkeys(CROSSED, "placebo"), **{"visit(drug)": drugs(whole), "sequence": sequence})
    made, given = allocated("cbf ~ visit(drug) + session + sequence + (1 | participant)", "visit(drug)", data)
    assert given.designs[:, 0, made.names.index("sequence[BA]")].tolist() == [0.0, 1.0]
    # The test of carry-over: the same sequences are dealt.
    _, carried = allocated("cbf ~ visit(drug) + session + sequence + (1 | participant)", "sequence", data)
    np.testing.assert_array_equal(carried.designs, given.designs)


def test_models_without_an_allocated_term_have_none_and_repeated_rows_are_refused():
    data = table(PAIRS, PEOPLE, age=AGES)
    assert allocated("cbf ~ session + age + (1 | participant)", "session", data)[1] is None
    assert allocated("cbf ~ session + age + (1 | participant)", "age", data)[1] is None
    data = table([*PAIRS, PAIRS[3]], PEOPLE, age=AGES)
    with pytest.raises(InputError, match="one scan each"):
        allocated("cbf ~ arm * session + (1 | participant)", "arm:session", data)
