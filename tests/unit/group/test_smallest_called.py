"""The smallest called estimate: against closed forms, against the test's own verdict on data that have it, and how often a true effect is called."""

import complete_settings
import designs
import numpy as np
import pytest
from pharmasl.group import combination, permutation_inference, random_fields, smallest_called
from pharmasl.group.engine import clusters, maxima
from pharmasl.group.maps import Maps
from pharmasl.group.random_fields import SearchedField
from pharmasl.group.smallest_called import Height
from pharmasl.statistics import noncentral_t
from scipy import stats

SHAPE, TREATED, CONTROLS = (6, 6, 5), 8, 7
N, VOXELS = TREATED + CONTROLS, 6 * 6 * 5
NAMES = [f"sub-{number:02d}" for number in range(N)]
TABLE = [{"participant_id": name, "arm": "a" if number < TREATED else "b"} for number, name in enumerate(NAMES)]
IS_TREATED = np.arange(N) < TREATED


def drawn(seed=3, spread=4.0, people=N):
    return np.random.default_rng(seed).normal(0, spread, (people, VOXELS)).astype(np.float32)


def maps_of(values):
    mask = np.ones(SHAPE, dtype=bool)
    people = len(values)
    return Maps(
        values,
        mask,
        np.diag([2.0, 2.0, 2.0, 1.0]),
        VOXELS,
        [0] * people,
        [(False, False)] * people,
        np.full(VOXELS, 50.0),
        ["map.nii.gz"] * people,
    )


def ran(values, names=NAMES, **changes):
    table = [row for row in TABLE if row["participant_id"] in names]
    model = designs.group_by_time(names, table, {"treatment": "a", "control": "b"}, "participants.tsv")
    inference = complete_settings.inference(
        **{"permutations": 400, "seed": 2, "cluster_forming_p": 0.01, "primary": "voxel", **changes}
    )
    return permutation_inference.test(model, maps_of(values), inference, is_cbf=True, threads=1)


def standard_error(values):
    """Of the arms' difference, with one variance for both."""
    first, second = values[:TREATED].astype(float), values[TREATED:].astype(float)
    pooled = (first.var(axis=0, ddof=1) * (TREATED - 1) + second.var(axis=0, ddof=1) * (CONTROLS - 1)) / (N - 2)
    return np.sqrt(pooled * (1 / TREATED + 1 / CONTROLS))


def with_estimates(values, wanted):
    """The same with these estimates (NaN: as it is), by the same shift of all treated: no standard error changes."""
    now = values[:TREATED].mean(axis=0, dtype=float) - values[TREATED:].mean(axis=0, dtype=float)
    shift = np.where(np.isfinite(wanted), wanted - now, 0)
    return np.where(IS_TREATED[:, np.newaxis], values + shift, values)


def heights(values):
    return stats.ttest_ind(values[:TREATED], values[TREATED:]).statistic


@pytest.mark.parametrize("two_sided", [True, False])
def test_by_the_largest_height_it_is_the_critical_t_times_the_standard_error(two_sided):
    values = drawn()
    result = ran(values, two_sided=two_sided)
    block = result.definitions["smallest_called"]
    critical = result.definitions["tests"]["voxel"]["critical_t"]
    assert (block["height"], block["scale"], block["statistic"]) == (critical, "t", "voxel")
    np.testing.assert_allclose(result.maps["called"], critical * standard_error(values), rtol=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_an_estimate_of_that_size_is_called_and_a_smaller_one_is_not(sign):
    values = drawn().astype(float)
    result = ran(values.astype(np.float32))
    null, called = result.null.largest_t(True), result.maps["called"]
    # The critical height is the smallest maximum of a relabelling that is significant: from the next smaller one on nothing is.
    next_smaller = np.unique(null[null < result.definitions["smallest_called"]["height"] - 1e-9]).max()
    below = next_smaller / result.definitions["smallest_called"]["height"]
    assert below > 0.97
    for factor, expected in ((1.0001, True), (below * 0.9999, False)):
        p = maxima.family_wise_p(np.abs(heights(with_estimates(values, sign * factor * called))), null)
        assert ((p <= 0.05) == expected).all()


def test_by_extent_a_region_of_the_critical_extent_at_the_map_is_called_and_nothing_below_it():
    values = drawn().astype(float)
    result = ran(values.astype(np.float32), primary="extent")
    block, called = result.definitions["smallest_called"], result.maps["called"]
    threshold = result.definitions["tests"]["cluster"]["forming_t"]
    needed = int(block["extent_voxels"])
    assert block["height"] == threshold
    assert needed == result.definitions["tests"]["cluster"]["critical_extent_voxels"] > 1
    assert f"{needed} voxels" in block["criterion"]
    np.testing.assert_allclose(called, threshold * standard_error(values), rtol=1e-6)
    lattice = clusters.Lattice(result.mask, 18)
    null = result.null.largest_extent(True)
    # Voxels that follow one another in C order along the last axis are neighbours.
    smaller = int(null[null < needed].max())
    for number, factor, expected in ((needed, 1.0001, True), (smaller, 1.0001, False), (VOXELS, 0.9999, False)):
        wanted = np.zeros(VOXELS)
        places = np.flatnonzero(np.indices(SHAPE)[0].ravel() == 2)
        places = places if number <= len(places) else np.arange(VOXELS)
        wanted[places[:number]] = factor * called[places[:number]]
        _, sizes = clusters.label(heights(with_estimates(values, wanted)), threshold, lattice)
        assert (maxima.family_wise_p(sizes, null) <= 0.05).any() == expected


def test_by_mass_the_forming_height_is_needed_and_the_words_say_that_it_does_not_suffice():
    values = drawn()
    result = ran(values, primary="mass", statistics=["extent", "mass"])
    threshold = result.definitions["tests"]["cluster"]["forming_t"]
    np.testing.assert_allclose(result.maps["called"], threshold * standard_error(values), rtol=1e-6)
    assert "critical mass too; below it never" in result.definitions["smallest_called"]["criterion"]


def test_by_tfce_the_words_say_that_this_height_does_not_decide():
    values = drawn()
    result = ran(values, primary="tfce", statistics=["extent", "tfce"])
    critical = result.definitions["tests"]["voxel"]["critical_t"]
    np.testing.assert_allclose(result.maps["called"], critical * standard_error(values), rtol=1e-6)
    assert "does not decide" in result.definitions["smallest_called"]["criterion"]


def test_by_any_the_height_is_the_least_whose_own_p_suffices():
    values = drawn()
    result = ran(values, primary="any", statistics=["extent", "mass", "tfce"])
    block, null = result.definitions["smallest_called"], result.null
    largest = null.largest_t(True)

    def p(height):
        return float(combination.combined_p(maxima.family_wise_p(np.array(height), largest), null, True))

    assert p(block["height"]) <= 0.05
    assert all(p(height) > 0.05 for height in largest if height < block["height"] - 1e-9)
    assert block["height"] >= result.definitions["tests"]["voxel"]["critical_t"]


def test_with_a_variance_for_each_arm_each_voxel_has_its_own_degrees_of_freedom():
    values = drawn().astype(float)
    values[:TREATED] *= np.linspace(0.3, 4, VOXELS)
    result = ran(values.astype(np.float32), variance="by_arm")
    block, called = result.definitions["smallest_called"], result.maps["called"]
    assert block["scale"] == "z"
    shifted = with_estimates(values, called)
    welch = stats.ttest_ind(shifted[:TREATED], shifted[TREATED:], equal_var=False)
    np.testing.assert_allclose(stats.norm.isf(welch.pvalue / 2), block["height"], rtol=1e-5)


def test_nothing_is_told_where_nothing_could_have_been_called():
    names = [*NAMES[:3], *NAMES[TREATED : TREATED + 3]]
    values = drawn()[[NAMES.index(name) for name in names]]
    result = ran(values, names=names)
    assert result.definitions["smallest_called"] == {
        "status": "none: nothing could have been significant at this level",
        "statistic": "voxel",
    }
    assert "called" not in result.maps


def test_of_several_effects_together_and_of_false_discoveries_there_is_none():
    for called in (smallest_called.of_several("extent"), smallest_called.of_false_discoveries()):
        assert called.maps() == {}
        assert called.block["status"].startswith("none: ")


def test_a_voxel_that_does_not_vary_has_none():
    height = Height(value=3.0, scale="t", statistic="voxel")
    called = smallest_called.called(height, np.array([2.0, 0.0]), np.array([4.0, 0.0]), 12.0)
    np.testing.assert_array_equal(called.estimates, [1.5, np.nan])


@pytest.mark.parametrize(("people", "critical", "within"), [((21, 22), 5.0, 0.02), ((6, 6), 8.0, 0.06)])
def test_a_true_effect_of_that_size_is_called_in_about_half_of_studies(people, critical, within):
    """At one voxel, with the critical value of a search: by a simulation, and by the noncentral t."""
    rng, draws, (first, second) = np.random.default_rng(8), 40_000, people
    error = 4.0 * np.sqrt(1 / first + 1 / second)
    one = rng.normal(critical * error, 4.0, (first, draws))
    other = rng.normal(0, 4.0, (second, draws))
    found = stats.ttest_ind(one, other)
    estimates = one.mean(axis=0) - other.mean(axis=0)
    height = Height(value=critical, scale="t", statistic="voxel")
    called = smallest_called.called(height, estimates, found.statistic, first + second - 2.0)
    share = np.mean(np.abs(estimates) >= called.estimates)
    expected = noncentral_t.power(critical, first + second - 2.0, critical, two_sided=True)
    assert share == pytest.approx(float(expected), abs=4 * np.sqrt(0.25 / draws))
    assert share == pytest.approx(0.5, abs=within)


def test_critical_values_of_t_fields_are_those_of_their_p():
    counts, fwhm, voxels, df = np.array([1.0, 30.0, 250.0, 600.0]), np.array([3.0, 3.2, 2.8]), 30_000, 24.0
    field = SearchedField(df=df, counts=counts, fwhm=fwhm, voxels=voxels)
    peak = field.critical_peak(0.025)
    assert random_fields.peak_p(peak, df, counts, voxels) == pytest.approx(0.025, rel=1e-9)
    extent = field.critical_extent(3.47, 0.025)
    p = random_fields.cluster_p([extent - 1, extent], 3.47, df, counts, fwhm).family_wise
    assert p[1] <= 0.025 < p[0]
    heights = [
        smallest_called.of_random_fields(primary, two_sided=True, alpha=0.05, forming=3.47, field=field)
        for primary in ("voxel", "extent")
    ]
    assert [height.value for height in heights] == [peak, 3.47]
    assert heights[1].extent == extent
