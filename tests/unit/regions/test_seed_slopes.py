"""Slopes of regions on a seed against statsmodels, what is said where there are none, and the script on files."""

from dataclasses import replace
from types import SimpleNamespace

import complete_settings
import designs as effects
import numpy as np
import pytest
import statsmodels.api as sm
from loading import script
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.regions import seed_slopes
from pharmasl.report import left_out_section, seeds_section
from pharmasl.study import settings as study_settings
from pharmasl.study.labels import NAMES as NAMES_OF_THE_CONFIGURATION
from statsmodels.stats.multitest import multipletests

ARMS = {"column": "arm", "treatment": "drug", "control": "placebo", "others": []}
SESSIONS = {"baseline": "T1", "followup": "T2"}
INFERENCE = study_settings.plain(complete_settings.inference(permutations=999, seed=4))
N = 26
NAMES = [f"sub-{k:02d}" for k in range(1, N + 1)]
RNG = np.random.default_rng(11)
ARM = np.array(["drug", "placebo"] * 13)
DRUG = ARM == "drug"
AGE = RNG.integers(20, 60, N).astype(float)
SITE = np.array(["a", "b"] * 13)[RNG.permutation(N)]
SEED = RNG.normal(-2, 5, N)
# In the insula the drug doubles the slope; in the vmPFC there is none.
CHANGE = {
    "insula": 0.6 * SEED * (1 + DRUG) + 0.1 * AGE + RNG.normal(0, 1, N),
    "vmpfc": RNG.normal(0, 4, N),
}
GROUPS = ["drug", "placebo", "all", "drug - placebo"]


class Inputs(dict):
    __getattr__ = dict.__getitem__


def columns_of(rows, **units):
    """Columns of a table of values, with units of contrasts."""
    described = {"Description": "", "Units": "mL/100 g/min", **({"UnitsByContrast": units} if units else {})}
    return {**dict.fromkeys(rows[0], ""), "cbf": described}


@pytest.fixture
def files(tmp_path):
    """Tables of the seed and two regions, one participant's insula not covered at follow-up."""
    rng = np.random.default_rng(12)
    people = [{"participant_id": n, "arm": a, "age": g, "site": s} for n, a, g, s in zip(NAMES, ARM, AGE, SITE)]
    tables.write_table(tmp_path / "participants.tsv", people, dict.fromkeys(people[0], ""))
    for roi, contrast, change in (("dlpfc", "rest", SEED), *((roi, "cue", CHANGE[roi]) for roi in CHANGE)):
        rows = []
        for k, name in enumerate(NAMES):
            base = float(rng.normal(50, 5))
            for session, value in (("ses-T1", base), ("ses-T2", base + change[k])):
                lost = (roi, k, session) == ("insula", 3, "ses-T2")
                row = {"participant_id": name, "session_id": session, "contrast": contrast, "roi": roi}
                rows.append({**row, "cbf": None if lost else value})
        tables.write_table(tmp_path / f"{roi}_values.tsv", rows, columns_of(rows))
        tables.write_json(tmp_path / f"{roi}_mask.json", {"AnalysisDefined": roi == "dlpfc"})
    return tmp_path


def told(files, *, effect="association", rois=("insula", "vmpfc", "dlpfc"), **settings):
    least = {"covariates": ["age"], "method": "differences", "constrained_baseline": False}
    settings = {"effect": effect, "contrast": "cue", **least, **settings}
    settings |= {"seed": {"roi": "dlpfc", "contrast": "rest"}, "inference": INFERENCE}
    names = ("insula", "vmpfc", "dlpfc")
    given = {"participants": files / "participants.tsv"}
    given["values"] = [files / f"{roi}_values.tsv" for roi in names]
    given["sidecars"] = [files / f"{roi}_mask.json" for roi in names]
    params = SimpleNamespace(
        analyses={"link": {"settings": settings, "members": NAMES, "sessions": SESSIONS}}, rois=list(rois), arms=ARMS
    )
    output = SimpleNamespace(table=files / "seed_slopes.tsv")
    script("seed_slopes").main(SimpleNamespace(input=Inputs(given), output=output, params=params))
    return tables.read_table(output.table)


def test_slopes_have_the_units_of_their_contrasts(files):
    def described():
        told(files)
        return tables.read_json(files / "seed_slopes.json")["slope"]["Units"]

    assert described() == "mL/100 g/min per mL/100 g/min of the seed"
    rows = tables.read_table(files / "dlpfc_values.tsv")
    tables.write_table(files / "dlpfc_values.tsv", rows, columns_of(rows, cue="percent", rest="a.u."))
    assert described() == "percent per a.u. of the seed"


def by_statsmodels(roi, group):
    """The same slope by statsmodels from columns written out here; and its row of the results."""
    keep = np.ones(N, bool)
    keep[3] = roi != "insula"
    if group in ("drug", "placebo"):
        keep &= group == ARM
    seed, drug = SEED[keep], DRUG[keep].astype(float)
    columns = {
        "drug": [seed],
        "placebo": [seed],
        "all": [seed, drug],
        "drug - placebo": [seed * drug, seed, drug],
    }[group]
    return sm.OLS(CHANGE[roi][keep], sm.add_constant(np.column_stack([*columns, AGE[keep]]))).fit()


def by_arm(fit, drug):
    """Standard error of the first slope with a residual variance in each arm, from statsmodels' fit; and their ratio.

    The variances are those with which both arms' residual sums of squares are what they are expected to be.
    """
    x = fit.model.exog
    maker = np.eye(len(x)) - x @ np.linalg.pinv(x)
    parts = [maker @ np.diag(each.astype(float)) @ maker for each in (drug, ~drug)]
    traces = [[np.trace(part @ np.diag(each.astype(float))) for each in (drug, ~drug)] for part in parts]
    drug_variance, placebo_variance = np.linalg.solve(
        traces, [fit.resid[drug] @ fit.resid[drug], fit.resid[~drug] @ fit.resid[~drug]]
    )
    covariance = np.linalg.pinv(x) @ np.diag(np.where(drug, drug_variance, placebo_variance)) @ np.linalg.pinv(x).T
    return {"se": np.sqrt(covariance[1, 1]), "variance_ratio": drug_variance / placebo_variance}


def test_slopes_are_statsmodels_within_arms_over_both_and_between(files):
    rows = told(files)
    # The seed is no region of its own.
    assert [(row["roi"], row["group"]) for row in rows] == [(roi, group) for roi in CHANGE for group in GROUPS]
    for row in rows:
        fit = by_statsmodels(row["roi"], row["group"])
        expected = {"slope": fit.params[1]}
        if row["group"] in ("drug", "placebo"):
            low, high = fit.conf_int()[1]
            expected |= {"se": fit.bse[1], "t": fit.tvalues[1], "df": fit.df_resid, "p": fit.pvalues[1]}
            expected |= {"ci_low": low, "ci_high": high}
            assert row["variance_ratio"] is None
        else:
            expected |= by_arm(fit, DRUG if fit.nobs == N else np.delete(DRUG, 3))
        for name, value in expected.items():
            assert float(row[name]) == pytest.approx(value, rel=1e-8), (row["roi"], row["group"], name)
        assert int(row["n"]) == fit.nobs
        assert (row["seed_defined_by_same_data"], row["roi_defined_by_same_data"]) == ("true", "false")
        assert row["adjusted_for"].endswith("age")
    # A planted difference of slopes is found, and none where none was planted.
    p = {(row["roi"], row["group"]): float(row["p_permutation"]) for row in rows}
    assert p["insula", "drug - placebo"] == pytest.approx(1 / 999)
    assert p["vmpfc", "drug - placebo"] > 0.1
    expected = multipletests([float(row["p_permutation"]) for row in rows], method="holm")[1]
    np.testing.assert_allclose([float(row["p_holm"]) for row in rows], expected, rtol=1e-12)


def test_difference_of_slopes_is_the_arms_own_without_covariates(files):
    rows = {(row["roi"], row["group"]): row for row in told(files, covariates=[])}
    for roi in CHANGE:
        slopes = [float(rows[roi, group]["slope"]) for group in ("drug", "placebo", "drug - placebo")]
        assert slopes[0] - slopes[1] == pytest.approx(slopes[2], rel=1e-9)
        assert rows[roi, "drug"]["adjusted_for"] is None
        assert rows[roi, "all"]["adjusted_for"] == "arm"


def test_permutation_p_is_that_of_residuals_permuted_within_arms_and_refitted():
    plan = effects.association_by_arm(
        NAMES, [{"participant_id": n, "arm": a} for n, a in zip(NAMES, ARM)], ARMS, SEED, "p.tsv"
    )
    rng = np.random.default_rng(0)
    y = 0.25 * SEED * (1 + DRUG) + 3 * DRUG + rng.normal(0, 4, N) * (1 + DRUG)
    found = seed_slopes.slope(plan, y, ARM, permutations=300, seed=5)["p_permutation"]
    residual = sm.OLS(y, sm.add_constant(np.column_stack([SEED, DRUG]))).fit().resid
    blocks = [np.flatnonzero(DRUG), np.flatnonzero(~DRUG)]
    null = []
    for _ in range(2000):
        own = residual.copy()
        if null:
            for members in blocks:
                own[members] = residual[rng.permutation(members)]
        lines = [sm.OLS(own[members], sm.add_constant(SEED[members])).fit() for members in blocks]
        gap = lines[0].params[1] - lines[1].params[1]
        null.append(abs(gap) / np.hypot(lines[0].bse[1], lines[1].bse[1]))
    # Other orders are drawn here: the two shares differ by their Monte Carlo error alone.
    expected = np.mean(np.array(null) >= null[0] * (1 - 1e-9))
    assert 0.01 < expected < 0.6
    assert abs(found - expected) < 3.3 * np.sqrt(expected * (1 - expected) * (1 / 300 + 1 / 2000))


@pytest.mark.parametrize("deviation", [1, 3])
def test_of_arms_that_scatter_differently_p_is_even(deviation):
    """Six on the drug, whose residuals scatter ``deviation`` times as much, 18 on placebo: 600 null regions."""
    rng, names = np.random.default_rng(5), NAMES[:24]
    arm = np.array(["drug"] * 6 + ["placebo"] * 18)
    table = [{"participant_id": n, "arm": a} for n, a in zip(names, arm)]
    p = []
    for _ in range(600):
        seed = rng.normal(size=24)
        plan = effects.association_by_arm(names, table, ARMS, seed, "p.tsv")
        y = 0.5 * seed + rng.normal(size=24) * np.where(arm == "drug", deviation, 1)
        row = seed_slopes.slope(plan, y, arm, permutations=60, seed=1)
        p.append([row["p"], row["p_permutation"]])
    by_t, by_permutation = (np.array(p) <= 0.1).mean(axis=0)
    assert abs(by_t - 0.1) < 3.3 * np.sqrt(0.09 / 600)
    assert abs(by_permutation - 0.1) < 3.3 * np.sqrt(0.09 / 600)


def test_of_a_null_seed_p_is_even():
    """400 null regions: shares of p below .1 and .5 as they should be, the arms' slopes and means equal or not."""
    rng, names = np.random.default_rng(3), NAMES[:16]
    table = [{"participant_id": n, "arm": a} for n, a in zip(names, ARM)]
    small = []
    for _ in range(400):
        seed = rng.normal(size=16)
        plan = effects.association_by_arm(names, table, ARMS, seed, "p.tsv")
        y = 0.5 * seed + 2 * DRUG[:16] + rng.normal(size=16)
        small.append(seed_slopes.slope(plan, y, ARM[:16], permutations=100, seed=1)["p_permutation"])
    small = np.array(small)
    for level in (0.1, 0.5):
        assert abs((small <= level).mean() - level) < 3.3 * np.sqrt(level * (1 - level) / 400)


def test_an_analysis_within_an_arm_tells_of_that_arm_alone_and_sites_are_blocks(files):
    rows = told(files, arm="placebo", site="site", rois=["vmpfc"])
    assert [row["group"] for row in rows] == ["placebo"]
    keep = ~DRUG
    x = sm.add_constant(np.column_stack([SEED, AGE, SITE == "b"])[keep].astype(float))
    assert float(rows[0]["t"]) == pytest.approx(sm.OLS(CHANGE["vmpfc"][keep], x).fit().tvalues[1], rel=1e-8)
    assert rows[0]["adjusted_for"] == "age, site[b]"
    # An analysis of the difference tells of the arms too.
    rows = told(files, effect="association_by_arm", rois=["vmpfc"])
    assert [row["group"] for row in rows] == GROUPS


def test_without_enough_values_a_row_says_so_and_a_missing_table_row_is_an_error(files):
    rows = tables.read_table(files / "vmpfc_values.tsv")
    for row in rows:
        if ARM[NAMES.index(row["participant_id"])] == "drug":
            row["cbf"] = None
    tables.write_table(files / "vmpfc_values.tsv", rows, columns_of(rows))
    slopes = told(files)
    # Two of the eight slopes could not be answered: all eight were asked.
    least = min(float(row["p_permutation"]) for row in slopes if row["p_permutation"] is not None)
    assert min(float(row["p_holm"]) for row in slopes if row["p_holm"] is not None) == pytest.approx(8 * least)
    found = {row["group"]: row for row in slopes if row["roi"] == "vmpfc"}
    assert found["drug"]["note"] == "not tested: arm drug: 0 participant(s)"
    assert found["placebo"]["note"] is None
    assert found["drug - placebo"]["slope"] is found["drug - placebo"]["p_holm"] is None
    text = seeds_section.section(list(found.values())).sentences[0]
    assert "not tested in the drug arm" in text
    assert "could not be compared" in text
    tables.write_table(files / "vmpfc_values.tsv", rows[2:], columns_of(rows))
    with pytest.raises(InputError, match="no row"):
        told(files)


def test_the_reports_section_compares_the_arms_and_marks_what_the_data_chose(files):
    found = seeds_section.section(told(files))
    assert found.chosen is True
    assert found.sentences[0].startswith("insula (cue) on dlpfc (rest) \u2020: slope +")
    assert "in the drug arm (n = 13), slope +" in found.sentences[0]
    assert "; difference +" in found.sentences[0]
    assert "p\u00a0=\u00a00.001, corrected p\u00a0=\u00a00.008" in found.sentences[0]
    assert found.table.marked == {3, 7}
    assert len(found.table.rows) == 8
    assert all(len(row) == len(found.table.heads) for row in found.table.rows)
    assert seeds_section.section([]) is None


def test_the_reports_section_has_the_words_of_the_study(files):
    labels = replace(NAMES_OF_THE_CONFIGURATION, regions={"insula": "anterior insula"}, arms={"drug": "varenicline"})
    found = seeds_section.section(told(files), labels)
    assert found.sentences[0].startswith("anterior insula (cue) on dlpfc (rest)")
    assert "in the varenicline arm" in found.sentences[0]
    assert "drug" not in " ".join(cell for row in found.table.rows for cell in map(str, row[:4]))


def test_the_reports_left_out_test_gives_every_p_its_worth():
    test = {
        "status": "run",
        "r": 0.42,
        "p": 0.031,
        "p_naive": 0.004,
        "r_same_region": 0.71,
        "p_same_region": 2e-6,
        "n": 40,
        "participants": 43,
        "permutations": 999,
        "tested_term": "arm",
    }
    chosen_by = dict.fromkeys(("one", "two", "three"), "rest_interaction")
    tests = {
        "one": test,
        "two": {"status": "not run: cluster 1 was not found again"},
        "three": {**test, "r": None, "p": None, "p_naive": None, "n": 1},
    }
    found = left_out_section.section(tests, chosen_by)
    one, two, three = found.sentences
    assert "it was found again for 40 of 43" in one
    assert "r = 0.42, p\u00a0=\u00a00.031 (one-sided;" in one
    assert "(p\u00a0=\u00a00.004) is too small" in one
    assert "r = 0.71 in the single cluster from all participants is circular" in one
    assert "was not found again" in two
    assert "for 1 of 43, too few" in three
    assert found.table.rows[0][2:] == ["40 of 43", "0.42", "0.031", "0.004", "0.71", "< 0.0001"]
    assert all(len(row) == len(found.table.heads) for row in found.table.rows)
    assert left_out_section.section({}, chosen_by) is None
