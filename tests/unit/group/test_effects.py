"""Effects: what each design equals, what it exchanges, and what is said when it cannot be estimated."""

import dataclasses

import designs as effects
import numpy as np
import pytest
import statsmodels.api as sm
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.group import design
from pharmasl.group.engine import glm, relabelling
from pharmasl.study.effect_kinds import KINDS
from scipy import stats

ARMS = {"treatment": "drug", "control": "placebo"}
N = 24
NAMES = [f"sub-{k:02d}" for k in range(1, N + 1)]
rng = np.random.default_rng(20250117)
ARM = np.array(["drug", "placebo"] * 12)
DOSE = np.array(["high", "low", "placebo"] * 8)
SITE = np.array(["1", "1", "2", "2", "3", "3", "1", "2"] * 3)
AGE = rng.integers(20, 60, N).astype(float)
SEX = rng.choice(["F", "M"], N)
SEED = rng.normal(-3, 4, N)
VOXELS = 20
FIRST = rng.normal(55, 8, (N, VOXELS)) + 0.2 * AGE[:, None]
CHANGE = rng.normal(-1, 6, (N, VOXELS)) - 4 * (ARM == "drug")[:, None] + 0.2 * AGE[:, None] + 0.5 * SEED[:, None]
SECOND = FIRST + CHANGE


def people(**columns):
    columns = {"participant_id": NAMES, "arm": ARM, **columns}
    return [dict(zip(columns, map(str, values))) for values in zip(*columns.values())]


TABLE = people(age=AGE, sex=SEX, site=SITE)


def fit(effect, data):
    """t and effect (V,) of a design, by its partition and the engine that its exchange wants."""
    data = data[[NAMES.index(name) for name in effect.participants]]
    model = {"permute": glm.partial_form, "flip": glm.mean_form}[effect.exchange](*effect.partition())
    found = glm.fit(data.T.copy(), model)
    return found.t, found.effect


def plain(effect, data):
    """The same by statsmodels from matrix and contrast."""
    data = data[[NAMES.index(name) for name in effect.participants]]
    tests = [sm.OLS(y, effect.matrix).fit().t_test(effect.contrast) for y in data.T]
    return np.array([float(t.tvalue.squeeze()) for t in tests]), np.array([float(t.effect.squeeze()) for t in tests])


def every():
    dose = people(age=AGE, sex=SEX, site=SITE)
    for row, label in zip(dose, DOSE):
        row["arm"] = label
    more = {"covariates": ["age", "sex"], "site": "site"}
    return [
        effects.group_by_time(NAMES, TABLE, ARMS, "p.tsv", **more),
        effects.baseline_difference(NAMES, TABLE, ARMS, "p.tsv", **more),
        effects.between_arms(NAMES, dose, ["high", "low", "placebo"], ("low", "placebo"), "p.tsv", **more),
        effects.within_arm(NAMES, TABLE, "drug", "p.tsv", **more),
        effects.regression(NAMES, TABLE, "age", "p.tsv", arms=["drug", "placebo"], covariates=["sex"], site="site"),
        effects.association(NAMES, TABLE, ARMS, SEED, "p.tsv", **more),
        effects.association(NAMES, TABLE, ARMS, SEED, "p.tsv", ["age"], arm="placebo"),
        effects.association_by_arm(NAMES, TABLE, ARMS, SEED, "p.tsv", **more),
    ]


@pytest.mark.parametrize("effect", every(), ids=lambda effect: effect.name)
def test_the_partition_tests_the_contrast(effect):
    for found, expected in zip(fit(effect, CHANGE), plain(effect, CHANGE)):
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert effect.df == len(effect.participants) - np.linalg.matrix_rank(effect.matrix)
    assert (
        effect.matrix.shape
        == (len(effect.participants), len(effect.names))
        == (len(effect.matrix), len(effect.contrast))
    )
    assert set(effect.descriptions) == set(effect.names)
    assert effect.outcome == ("baseline" if effect.name == "baseline_difference" else "change")
    assert effect.formula.startswith(f"{effect.outcome} ~ ")
    if effect.exchange == "flip":
        assert effect.name == "within_arm"
        assert effect.blocks is None
    elif effect.blocks is None:
        assert "site" not in effect.formula
    else:
        np.testing.assert_array_equal(effect.blocks, np.array([{"1": 0, "2": 1, "3": 2}[site] for site in SITE]))


def test_group_by_time_is_the_two_sample_t_and_the_subject_effects_model():
    effect = effects.group_by_time(NAMES, TABLE, ARMS, "p.tsv")
    t, _ = fit(effect, CHANGE)
    drug = ARM == "drug"
    np.testing.assert_allclose(t, stats.ttest_ind(CHANGE[drug], CHANGE[~drug]).statistic, rtol=1e-10)
    # SPM's flexible factorial: all scans on subject, session and arm by session.
    scans = np.concatenate([FIRST, SECOND])
    session = np.repeat([0.0, 1.0], N)
    x = np.column_stack([np.tile(np.eye(N), (2, 1)), session, session * np.tile(drug, 2)])
    long = np.array([sm.OLS(y, x).fit().tvalues[-1] for y in scans.T])
    np.testing.assert_allclose(t, long, rtol=1e-7)
    f = [stats.f_oneway(CHANGE[drug, v], CHANGE[~drug, v]).statistic for v in range(VOXELS)]
    np.testing.assert_allclose(t**2, f, rtol=1e-9)


def test_a_covariate_of_change_is_one_by_session():
    effect = effects.group_by_time(NAMES, TABLE, ARMS, "p.tsv", ["age"])
    scans, session = np.concatenate([FIRST, SECOND]), np.repeat([0.0, 1.0], N)
    columns = [np.tile(np.eye(N), (2, 1)), session, session * np.tile(AGE, 2), session * np.tile(ARM == "drug", 2)]
    long = np.array([sm.OLS(y, np.column_stack(columns)).fit().tvalues[-1] for y in scans.T])
    np.testing.assert_allclose(fit(effect, CHANGE)[0], long, rtol=1e-7)


def test_two_arms_as_several_are_the_same_test():
    two = effects.between_arms(NAMES, TABLE, ["drug", "placebo"], ("drug", "placebo"), "p.tsv", ["age"])
    one = effects.group_by_time(NAMES, TABLE, ARMS, "p.tsv", ["age"])
    for found, expected in zip(fit(two, CHANGE), fit(one, CHANGE)):
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_pairs_of_three_arms_have_the_pooled_variance_and_add_up():
    table = people()
    for row, label in zip(table, DOSE):
        row["arm"] = label
    labels = ["high", "low", "placebo"]
    found = {
        name: fit(effects.between_arms(NAMES, table, labels, pair, "p.tsv"), CHANGE)
        for name, pair in effects.pairs(labels)
    }
    assert list(found) == ["high-low", "high-placebo", "low-placebo"]
    np.testing.assert_allclose(
        found["high-low"][1] + found["low-placebo"][1], found["high-placebo"][1], rtol=1e-8, atol=1e-10
    )
    means = {label: CHANGE[label == DOSE].mean(axis=0) for label in labels}
    variance = sum(((CHANGE[label == DOSE] - means[label]) ** 2).sum(axis=0) for label in labels) / (N - 3)
    expected = (means["high"] - means["low"]) / np.sqrt(variance * (1 / 8 + 1 / 8))
    np.testing.assert_allclose(found["high-low"][0], expected, rtol=1e-9)


def test_within_arm_is_the_paired_t_of_that_arm():
    effect = effects.within_arm(NAMES, TABLE, "placebo", "p.tsv")
    assert effect.participants == NAMES[1::2]
    placebo = ARM == "placebo"
    expected = stats.ttest_rel(SECOND[placebo], FIRST[placebo]).statistic
    np.testing.assert_allclose(fit(effect, CHANGE)[0], expected, rtol=1e-9)
    # With a covariate the intercept stays the arm's mean change, for it is centred on the arm's own mean.
    with_age = effects.within_arm(NAMES, TABLE, "placebo", "p.tsv", ["age"])
    np.testing.assert_allclose(fit(with_age, CHANGE)[1], CHANGE[placebo].mean(axis=0), rtol=1e-9)


def test_baseline_difference_is_the_two_sample_t_at_baseline():
    effect = effects.baseline_difference(NAMES, TABLE, ARMS, "p.tsv")
    expected = stats.ttest_ind(FIRST[ARM == "drug"], FIRST[ARM == "placebo"]).statistic
    np.testing.assert_allclose(fit(effect, FIRST)[0], expected, rtol=1e-10)


def test_regression_is_the_slope_of_simple_and_of_pooled_regression():
    t, slope = fit(effects.regression(NAMES, TABLE, "age", "p.tsv"), CHANGE)
    for v in range(VOXELS):
        expected = stats.linregress(AGE, CHANGE[:, v])
        assert slope[v] == pytest.approx(expected.slope, rel=1e-9)
        assert t[v] == pytest.approx(expected.slope / expected.stderr, rel=1e-9)
    _, slope = fit(effects.regression(NAMES, TABLE, "age", "p.tsv", arms=["drug", "placebo"]), CHANGE)

    def within(values):
        values = values.astype(float).copy()
        for arm in ("drug", "placebo"):
            values[arm == ARM] -= values[arm == ARM].mean(axis=0)
        return values

    age = within(AGE)
    np.testing.assert_allclose(slope, age @ within(CHANGE) / (age @ age), rtol=1e-9)


def test_an_association_within_an_arm_is_that_arms_regression():
    placebo = ARM == "placebo"
    effect = effects.association(NAMES, TABLE, ARMS, SEED, "p.tsv", ["age"], arm="placebo")
    assert effect.participants == NAMES[1::2]
    assert (effect.exchange, effect.blocks) == ("permute", None)
    assert effect.formula.startswith("change ~ seed_change + intercept + age;")
    t, slope = fit(effect, CHANGE)
    x = sm.add_constant(np.column_stack([SEED, AGE])[placebo])
    for v in range(VOXELS):
        expected = sm.OLS(CHANGE[placebo, v], x).fit()
        assert slope[v] == pytest.approx(expected.params[1], rel=1e-9)
        assert t[v] == pytest.approx(expected.tvalues[1], rel=1e-9)
        assert effect.df == expected.df_resid == 9
    # Both arms' slopes differ by what the interaction tests.
    both = [
        fit(effects.association(NAMES, TABLE, ARMS, SEED, "p.tsv", arm=arm), CHANGE)[1] for arm in ("drug", "placebo")
    ]
    interaction = effects.association_by_arm(NAMES, TABLE, ARMS, SEED, "p.tsv")
    np.testing.assert_allclose(fit(interaction, CHANGE)[1], both[0] - both[1], rtol=1e-8)
    with pytest.raises(InputError, match="arm other"):
        effects.association(NAMES, TABLE, ARMS, SEED, "p.tsv", arm="other")


def test_the_interaction_is_the_difference_of_the_arms_slopes():
    effect = effects.association_by_arm(NAMES, TABLE, ARMS, SEED, "p.tsv")
    slopes = {
        arm: np.array([stats.linregress(SEED[arm == ARM], CHANGE[arm == ARM, v]).slope for v in range(VOXELS)])
        for arm in ("drug", "placebo")
    }
    np.testing.assert_allclose(fit(effect, CHANGE)[1], slopes["drug"] - slopes["placebo"], rtol=1e-8)
    # And the seed's own term is the slope of the control arm.
    coefficient = [sm.OLS(y, effect.matrix).fit().params[effect.names.index("seed_change")] for y in CHANGE.T]
    np.testing.assert_allclose(coefficient, slopes["placebo"], rtol=1e-8)


def test_a_site_is_a_factor_whatever_its_name_and_what_shifts_a_site_changes_nothing():
    effect = effects.group_by_time(NAMES, TABLE, ARMS, "p.tsv", site="site")
    assert effect.names == ["arm", "intercept", "site[2]", "site[3]"]
    shift = np.select([SITE == "1", SITE == "2"], [10.0, -4.0], 0.0)[:, None]
    np.testing.assert_allclose(fit(effect, CHANGE + shift)[0], fit(effect, CHANGE)[0], rtol=1e-9)
    orders, _ = relabelling.relabellings(effect.matrix, 50, 0, blocks=effect.blocks)
    assert (effect.blocks[orders] == effect.blocks).all()


def test_the_digest_tells_tests_apart_and_the_table_holds_the_numbers(tmp_path):
    all_ = every()
    again = every()
    digests = [effect.digest() for effect in all_]
    assert digests == [effect.digest() for effect in again]
    # The same matrix of another outcome, contrast or blocks is another test.
    assert len(set(digests)) == len(all_)
    assert {effect.name for effect in all_} == set(KINDS)
    blockless = effects.group_by_time(NAMES, TABLE, ARMS, "p.tsv", ["age", "sex"])
    assert dataclasses.replace(blockless, blocks=np.zeros(N, int)).digest() != blockless.digest()
    all_[2].write(tmp_path / "design.tsv")
    rows = tables.read_table(tmp_path / "design.tsv")
    assert [row["participant_id"] for row in rows] == NAMES
    np.testing.assert_array_equal([[float(row[term]) for term in all_[2].names] for row in rows], all_[2].matrix)


def refused(function, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


def test_confounded_terms_are_named_with_what_they_are_made_of():
    table = people(months=12 * AGE, age=AGE, centre=np.where(ARM == "drug", "x", "y"))
    message = refused(effects.group_by_time, NAMES, table, ARMS, "p.tsv", ["age", "months"])
    assert "design terms age, months" in message
    assert "months = 12 age" in message
    message = refused(effects.group_by_time, NAMES, table, ARMS, "p.tsv", site="centre")
    assert "design terms arm, intercept, centre[y]" in message
    assert "centre[y] = - arm + 0.5 intercept" in message
    message = refused(effects.regression, NAMES, table, "age", "p.tsv", covariates=["months"])
    assert "months = 12 age" in message
    message = refused(effects.association, NAMES, table, ARMS, AGE, "p.tsv", ["age"])
    assert "age = seed_change" in message


def test_dependencies_of_several_columns():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 9)) * [[1e4], [1e-3]]
    matrix = np.column_stack([a, b, a - 2e6 * b, np.ones(9), np.zeros(9), 3 * np.ones(9)])
    found = design.dependencies(matrix, ["a", "b", "c", "one", "none", "three"])
    assert found == ["c = a - 2e+06 b", "none = 0", "three = 3 one"]
    assert design.dependencies(matrix[:, [0, 1, 3]], ["a", "b", "one"]) == []


def test_near_confounding_and_lonely_sites_are_noted():
    close = (ARM == "drug") + 0.05 * np.random.default_rng(2).normal(size=N)
    sites = np.where(np.arange(N) == 5, "far", np.where(np.arange(N) % 3 == 0, "a", "b"))
    table = people(close=close, site=sites, age=AGE)
    effect = effects.group_by_time(NAMES, table, ARMS, "p.tsv", ["close"], site="site")
    assert len(effect.notes) == 2
    assert "far: one participant" in effect.notes[0]
    assert "little power" in effect.notes[1]
    assert effects.group_by_time(NAMES, table, ARMS, "p.tsv", ["age"]).notes == []
    single = effects.group_by_time(NAMES, people(site=["one"] * N), ARMS, "p.tsv", site="site")
    assert single.names == ["arm", "intercept"]
    assert single.blocks is None
    assert "one, no block" in single.notes[0]


def test_what_cannot_be_asked_is_refused():
    assert "no row for sub-99" in refused(effects.group_by_time, [*NAMES, "sub-99"], TABLE, ARMS, "p.tsv")
    assert "two different arms" in refused(
        effects.group_by_time, NAMES, TABLE, {"treatment": "drug", "control": "drug"}, "p.tsv"
    )
    assert "found 'high and drug" in refused(
        effects.between_arms, NAMES, TABLE, ["drug", "placebo"], ("high", "drug"), "p.tsv"
    )
    assert "0 participant(s)" in refused(effects.within_arm, NAMES, TABLE, "high", "p.tsv")
    assert "found 'words'" in refused(effects.regression, NAMES, TABLE, "sex", "p.tsv")
    assert "site named once" in refused(effects.group_by_time, NAMES, TABLE, ARMS, "p.tsv", ["site"], site="site")
    assert "site's column" in refused(effects.group_by_time, NAMES, TABLE, ARMS, "p.tsv", site="hospital")
    assert "used twice" in refused(effects.regression, NAMES, TABLE, "age", "p.tsv", covariates=["age"])
    assert "a few levels" in refused(
        effects.within_arm, NAMES[:8], people(code=[f"c{k}" for k in range(N)]), "drug", "p.tsv", ["code"]
    )
    numbers = {f"x{j}": [str(k**j % 31) for k in range(N)] for j in range(1, 5)}
    assert "more participants than terms" in refused(
        effects.within_arm, NAMES[:8], people(**numbers), "drug", "p.tsv", list(numbers)
    )
    table = people(site=SITE)
    table[3]["site"] = None
    assert "n/a for sub-04" in refused(effects.group_by_time, NAMES, table, ARMS, "p.tsv", site="site")
    with pytest.raises(ValueError, match="finite"):
        effects.association(NAMES, TABLE, ARMS, np.where(np.arange(N) == 2, np.nan, SEED), "p.tsv")


def test_a_covariate_that_changes_enters_by_its_change():
    rng = np.random.default_rng(8)
    first, second = rng.normal(80, 9, (2, N))
    table = [{**row, "weight_T1": str(a), "weight_T2": str(b)} for row, a, b in zip(TABLE, first, second)]
    effect = effects.group_by_time(NAMES, table, ARMS, "p.tsv", ["weight_T2 - weight_T1"])
    # All scans on subjects, session, session by arm and the covariate as it was at each scan.
    scans, session = np.concatenate([FIRST, SECOND]), np.repeat([0.0, 1.0], N)
    columns = [
        np.tile(np.eye(N), (2, 1)),
        session,
        np.concatenate([first, second]),
        session * np.tile(ARM == "drug", 2),
    ]
    long = np.array([sm.OLS(y, np.column_stack(columns)).fit().tvalues[-1] for y in scans.T])
    np.testing.assert_allclose(fit(effect, CHANGE)[0], long, rtol=1e-7)
    words = [{**row, "weight_T1": "light", "weight_T2": "heavy" if k % 2 else "light"} for k, row in enumerate(TABLE)]
    with pytest.raises(InputError, match="weight_T"):
        effects.group_by_time(NAMES, words, ARMS, "p.tsv", ["weight_T2 - weight_T1"])
