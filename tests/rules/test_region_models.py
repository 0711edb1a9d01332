"""The scripts that test an analysis in regions and parcels, and draw it, on tables of a small trial."""

import re
from types import SimpleNamespace

import complete_settings
import designs
import numpy as np
import pytest
import statsmodels.api as sm
from loading import script
from pharmasl.errors import InputError
from pharmasl.files import blinding, tables
from pharmasl.group import definitions, formula_models, mixed_maps
from pharmasl.regions import parcel_values, region_values
from pharmasl.report import regions_section
from pharmasl.space import images
from pharmasl.study import labels, settings
from scipy import stats

ARMS = {"column": "arm", "treatment": "drug", "control": "placebo", "others": []}
NAMES = [f"sub-{k:02d}" for k in range(1, 25)]
ARM = ["drug"] * 13 + ["placebo"] * 11
DRUG = np.array(ARM) == "drug"
TABLE = [{"participant_id": n, "arm": a, "age": str(20 + 7 * k % 31)} for k, (n, a) in enumerate(zip(NAMES, ARM))]
SESSIONS = {"baseline": "T1", "followup": "T2"}
ROIS = ("insula", "vmpfc", "cluster")
PARCELS = 30


def values():
    """CBF of each participant at both sessions in the regions and parcels, shape (24, 2, R): two effects are planted."""
    rng = np.random.default_rng(8)
    cbf = 50 + rng.normal(0, 5, (24, 1, 1)) + rng.normal(0, 3, (24, 2, len(ROIS) + PARCELS))
    cbf[DRUG, 1, 0] -= 9
    cbf[DRUG, 1, len(ROIS) + 4] -= 12
    # A participant whose scan does not reach a parcel, a parcel of one arm alone, and one that no scan covers.
    cbf[5, 1, len(ROIS) + 7] = np.nan
    cbf[DRUG, :, len(ROIS) + 8] = np.nan
    cbf[:, :, len(ROIS) + 9] = np.nan
    return cbf


def lay(folder, model, *, status="run", **effect):
    """The files that the rule reads."""
    cbf = values()
    visits = [(k, s, name, label) for k, name in enumerate(NAMES) for s, label in enumerate(("T1", "T2"))]

    def row(k, s, name, label, place):
        value = cbf[k, s, place]
        measured = None if np.isnan(value) else float(value)
        return {"participant_id": name, "session_id": label, "contrast": "rest", "cbf": measured}

    for place, roi in enumerate(ROIS):
        rows = [{**row(*visit, place), "roi": roi} for visit in visits]
        tables.write_table(folder / f"{roi}_values.tsv", rows, region_values.VALUE_COLUMNS)
        tables.write_json(folder / f"{roi}_mask.json", {"AnalysisDefined": roi == "cluster"})
    rows = [
        {**row(*visit, len(ROIS) + k), "index": 10 + k, "parcel": f"Area_{k}"}
        for visit in visits
        for k in range(PARCELS)
    ]
    tables.write_table(folder / "parcels.tsv", rows, parcel_values.COLUMNS)
    model.write(folder / "design.tsv")
    block = {
        "status": status,
        "alpha": 0.05,
        "arm": None,
        "effect": definitions.effect(model.kind, None),
        "model": {"formula": model.formula, "tested_term": "arm", "tested_model": model.record()},
        "verdict": {"can_reach_alpha": True},
    }
    tables.write_json(folder / "inference.json", block)


def run(folder, rois=ROIS, sessions=SESSIONS, terms=(), files=(), **analysis):
    inference = complete_settings.plain_inference(permutations=400, seed=3, **analysis.pop("inference", {}))
    params = SimpleNamespace(
        analysis=complete_settings.plain_analysis(inference=inference, **{"effect": "group_by_time", **analysis}),
        sessions=sessions,
        is_cbf=True,
        terms=list(terms),
        participants={"baseline": NAMES, "followup": NAMES},
    )
    inputs = SimpleNamespace(
        design=folder / "design.tsv",
        inference=folder / "inference.json",
        region_values=[folder / f"{roi}_values.tsv" for roi in rois],
        sidecars=[folder / f"{roi}_mask.json" for roi in rois],
        parcels=folder / "parcels.tsv",
        terms=list(files),
        masks=[folder / f"{roi}_mask.nii.gz" for roi in rois] if terms else [],
        atlas=[folder / "atlas.nii.gz", folder / "atlas.tsv"] if terms else [],
    )
    output = SimpleNamespace(regions=folder / "regions_out.tsv", parcels=folder / "parcels_out.tsv")
    script("region_models").main(SimpleNamespace(input=inputs, output=output, params=params))
    return tables.read_table(output.regions), tables.read_table(output.parcels)


def draw(folder):
    inputs = SimpleNamespace(
        regions=folder / "regions_out.tsv", parcels=folder / "parcels_out.tsv", inference=folder / "inference.json"
    )
    output = SimpleNamespace(figure=folder / "figure.svg")
    params = SimpleNamespace(analysis="rest_interaction", labels=settings.plain(labels.NAMES))
    script("region_figure").main(SimpleNamespace(input=inputs, output=output, params=params))
    size = re.search(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', output.figure.read_text())
    return float(size[1]), float(size[2])


@pytest.fixture
def trial(tmp_path):
    lay(tmp_path, designs.group_by_time(NAMES, TABLE, ARMS, "participants.tsv", ["age"]))
    return tmp_path


def change(place):
    return values()[:, 1, place] - values()[:, 0, place]


def test_regions_and_parcels_are_tested_with_the_analysis_model(trial):
    regions, parcels = run(trial)
    design = np.column_stack([DRUG, np.ones(24), [float(row["age"]) for row in TABLE]]).astype(float)
    for place, row in enumerate(regions):
        fitted = sm.OLS(change(place), design).fit()
        low, high = fitted.conf_int()[0]
        told = [float(row[name]) for name in ("estimate", "se", "ci_low", "ci_high", "value")]
        assert np.allclose(told, [fitted.params[0], fitted.bse[0], low, high, fitted.tvalues[0]])
        percent = 100 * fitted.params[0] / values()[:, 0, place].mean()
        assert np.isclose(float(row["percent"]), percent)
    insula, vmpfc, cluster = regions
    assert (insula["significant"], vmpfc["significant"]) == ("yes", "no")
    # The cluster of these data is described; its p is withheld and counts for nothing.
    assert [cluster[name] for name in ("p", "p_fwe", "p_holm", "significant")] == [None] * 4
    assert "chosen by these data" in cluster["note"]
    assert tables.read_json(trial / "regions_out.json")["p_fwe"]["Regions"] == 2
    by_label = {row["index"]: row for row in parcels}
    assert by_label["14"]["significant"] == "yes"
    assert (by_label["17"]["n"], by_label["17"]["corrected_by"]) == ("23", "Bonferroni")
    assert (by_label["18"]["n"], by_label["18"]["estimate"]) == ("11", None)
    assert (by_label["19"]["n"], by_label["19"]["p"]) == ("0", None)
    sidecar = tables.read_json(trial / "parcels_out.json")["p_fwe"]
    assert (sidecar["Regions"], sidecar["CompleteRegions"], sidecar["Relabellings"]) == (28, 27, 400)
    assert draw(trial)[0] == 720


def test_the_detectable_effect_is_what_the_test_finds_in_four_of_five_trials(trial):
    regions, parcels = run(trial)
    for row in [*regions[:2], parcels[0]]:
        se, df, critical, effect = (float(row[name]) for name in ("se", "df", "critical", "detectable"))
        # From the definition: a normal over a root of chi-square over its degrees of freedom.
        rng = np.random.default_rng(7)
        t = (effect / se + rng.standard_normal(400_000)) / np.sqrt(rng.chisquare(df, 400_000) / df)
        assert abs((np.abs(t) > critical).mean() - 0.8) < 0.003
        ends = [float(row[f"detectable_{end}"]) / effect for end in ("low", "high")]
        assert np.allclose(ends, np.sqrt(df / stats.chi2.ppf([0.975, 0.025], df)))
        # The critical value divides what is significant from what is not.
        assert (abs(float(row["value"])) >= critical) == (row["significant"] == "yes")
    draw(trial)
    # Of what these data have chosen there is none.
    assert [regions[2][name] for name in ("detectable", "detectable_low", "detectable_high", "critical")] == [None] * 4
    section = regions_section.section(_files(trial), tables.read_json(trial / "inference.json"))
    assert "Detectable effect" in section.notes[-1]
    assert "sham" not in section.notes[-1]
    block = {**tables.read_json(trial / "inference.json"), "BLINDED": "sham"}
    assert "sham" in regions_section.section(_files(trial), block).notes[-1]


def test_a_region_that_lacks_people_is_judged_by_its_share_of_alpha(trial):
    _, parcels = run(trial)
    one = next(row for row in parcels if row["corrected_by"] == "Bonferroni")
    assert np.isclose(float(one["critical"]), stats.t.isf(0.05 / 28 / 2, float(one["df"])), rtol=1e-10)


def test_the_same_bytes_come_again(trial):
    run(trial)
    first = [(trial / name).read_bytes() for name in ("regions_out.tsv", "parcels_out.tsv")]
    run(trial)
    assert [(trial / name).read_bytes() for name in ("regions_out.tsv", "parcels_out.tsv")] == first


def test_without_declared_regions_the_parcels_stand_alone(trial):
    regions, parcels = run(trial, rois=())
    assert regions == []
    assert len(parcels) == PARCELS
    assert draw(trial)[0] == 720
    section = regions_section.section(_files(trial), tables.read_json(trial / "inference.json"))
    assert section.sentences[0] == "No region was declared (rois)."
    assert section.regions is None


def _files(folder):
    return regions_section.RegionsFiles(
        regions=folder / "regions_out.tsv", parcels=folder / "parcels_out.tsv", figure=folder / "figure.svg"
    )


def test_an_analysis_that_was_not_run_has_empty_tables(tmp_path):
    lay(tmp_path, designs.group_by_time(NAMES, TABLE, ARMS, "participants.tsv"), status="not run: no scans")
    assert run(tmp_path) == ([], [])
    assert draw(tmp_path)[0] == 720
    assert regions_section.section(_files(tmp_path), tables.read_json(tmp_path / "inference.json")) is None


def test_a_seed_is_not_tested_against_itself(tmp_path):
    seed = change(0)
    lay(tmp_path, designs.association(NAMES, TABLE, ARMS, seed, "participants.tsv"))
    regions, _ = run(tmp_path, effect="association", seed={"roi": "insula", "contrast": "rest"})
    assert [row["roi"] for row in regions] == ["insula", "vmpfc", "cluster"]
    assert (regions[0]["value"], regions[0]["note"]) == (None, "not tested: its own value is a term of the model")
    design = np.column_stack([seed - seed.mean(), DRUG, np.ones(24)])
    fitted = sm.OLS(change(1), design).fit()
    assert np.isclose(float(regions[1]["value"]), fitted.tvalues[0])
    # A slope is neither standardised nor a percentage.
    assert (regions[1]["hedges_g"], regions[1]["percent"]) == (None, None)


def by_formula(model, test, arms=ARMS, table=TABLE):
    """The model of a formula, and the settings that a job of it has."""
    analysis = complete_settings.analysis(effect=None, model=model, test=test, arms=arms)
    rows = formula_models.DesignRows(participants=[row["participant_id"] for row in table])
    made = formula_models.build(analysis, complete_settings.arms(**arms), rows, table, "participants.tsv")
    return made, {"effect": None, "model": model, "test": test}


def test_followup_is_adjusted_for_the_regions_own_baseline(tmp_path):
    model, settings = by_formula("followup ~ arm + baseline + age", "arm")
    lay(tmp_path, model)
    regions, _ = run(tmp_path, **settings)
    cbf, age = values(), [float(row["age"]) for row in TABLE]
    for place, row in enumerate(regions):
        design = np.column_stack([np.ones(24), DRUG, cbf[:, 0, place], age]).astype(float)
        fitted = sm.OLS(cbf[:, 1, place], design).fit()
        assert np.allclose([float(row["estimate"]), float(row["value"])], [fitted.params[1], fitted.tvalues[1]])
    assert regions[0]["effect"] == "drug - placebo"
    assert regions[0]["corrected_by"] == "max-T"
    assert draw(tmp_path)[0] == 720


def test_three_arms_are_tested_jointly_and_each_against_control(tmp_path):
    arms = {**ARMS, "others": ["low"]}
    arm = np.array(["low" if k % 3 == 0 else name for k, name in enumerate(ARM)])
    table = [{**row, "arm": str(name)} for row, name in zip(TABLE, arm)]
    model, settings = by_formula("change ~ arm", "arm", arms, table)
    lay(tmp_path, model)
    regions, parcels = run(tmp_path, **settings)
    first = [row for row in regions if row["roi"] == "insula"]
    assert [row["effect"] for row in first] == ["jointly", *model.effects]
    expected = stats.f_oneway(*(change(0)[arm == name] for name in ("drug", "placebo", "low")))
    assert np.allclose([float(first[0]["value"]), float(first[0]["p"])], expected)
    assert [row["p_fwe"] for row in first[1:]] == [None, None]
    assert first[0]["estimate"] is None
    means = {name: change(0)[arm == name].mean() for name in ("drug", "placebo", "low")}
    for row in first[1:]:
        one, other = row["effect"].split(" - ")
        assert np.isclose(float(row["estimate"]), means[one] - means[other])
    assert draw(tmp_path)[0] == 720
    section = regions_section.section(_files(tmp_path), tables.read_json(tmp_path / "inference.json"))
    assert "F(2, 21)" in " ".join(section.sentences) + section.regions.rows[0][5]
    # A parcel without scans, and one in which an arm is missing, have a row that says so.
    assert len(parcels) == 3 * (PARCELS - 2) + 2


def test_a_map_that_is_not_read_in_regions_is_told(tmp_path):
    model, settings = by_formula("change ~ arm + gm", "arm")
    lay(tmp_path, model)
    regions, parcels = run(tmp_path, **settings)
    assert {row["note"].split(";")[-1].strip() for row in [*regions, *parcels]} == {
        "not tested: the map gm of the model is not read in regions"
    }
    assert draw(tmp_path)[0] == 720


def test_grey_matter_of_each_region_is_its_own_covariate(tmp_path):
    model, settings = by_formula("change ~ arm + gm", "arm")
    lay(tmp_path, model)
    rng = np.random.default_rng(17)
    shape, affine = (len(ROIS) + PARCELS, 2, 2), np.diag([2.0, 2.0, 2.0, 1.0])
    labels = np.broadcast_to(np.arange(len(ROIS) + PARCELS)[:, None, None], shape)
    for place, roi in enumerate(ROIS):
        images.save(tmp_path / f"{roi}_mask.nii.gz", labels == place, affine, dtype=np.uint8)
        tables.write_json(tmp_path / f"{roi}_mask.json", {"AnalysisDefined": False})
    atlas = np.where(labels >= len(ROIS), labels - len(ROIS) + 10, 0)
    images.save(tmp_path / "atlas.nii.gz", atlas, affine, dtype=np.int32)
    rows = [{"index": 10 + k, "name": f"Area_{k}"} for k in range(PARCELS)]
    tables.write_table(tmp_path / "atlas.tsv", rows, {"index": "", "name": ""})
    grey = rng.uniform(0.2, 0.9, (24, *shape)).astype(np.float32)
    grey[3, 0, 0, 0] = np.nan
    files = [tmp_path / f"gm{k}.nii.gz" for k in range(24)]
    for path, volume in zip(files, grey):
        images.save(path, volume, affine)
    term = {"text": "gm", "lists": 1, "members": "baseline", "is_cbf": False}
    regions, parcels = run(tmp_path, terms=[term], files=files, **settings)
    for place, row in [*enumerate(regions), (len(ROIS) + 4, parcels[4])]:
        own = np.nanmean(grey[:, place].reshape(24, 4).astype(float), axis=1)
        fitted = sm.OLS(change(place), np.column_stack([DRUG, np.ones(24), own]).astype(float)).fit()
        assert np.allclose([float(row["estimate"]), float(row["value"])], [fitted.params[0], fitted.tvalues[0]])


def test_a_mixed_model_keeps_who_lacks_a_session(tmp_path):
    scans = [(name, session) for name in NAMES for session in ("baseline", "followup")]
    scans = [scan for scan in scans if scan not in (("sub-03", "followup"), ("sub-20", "baseline"))]
    names, sessions = zip(*scans)
    model = mixed_maps.layout(names, sessions, TABLE, designs.arms("drug", "placebo"), "participants.tsv")
    lay(tmp_path, model)
    regions, _ = run(tmp_path, method="mixed_model", inference={"degrees_of_freedom": "kenward-roger"})
    assert regions[0]["n"] == "24"
    assert regions[0]["corrected_by"] == "Holm"
    assert regions[0]["p_fwe"] == regions[0]["p_holm"]
    # Complete participants alone give nearly the same, by Student's t of their changes.
    keep = ~np.isin(NAMES, ["sub-03", "sub-20"])
    fitted = sm.OLS(change(0)[keep], np.column_stack([DRUG, np.ones(24)])[keep].astype(float)).fit()
    assert abs(float(regions[0]["estimate"]) - fitted.params[0]) < 0.5
    assert draw(tmp_path)[0] == 720


def test_a_blinded_run_marks_tables_and_figure(trial):
    with blinding.marking(True):
        for name in ("design", *(f"{roi}_values" for roi in ROIS)):
            rows = _raw(trial / f"{name}.tsv")
            tables.write_table(trial / f"{name}.tsv", rows, dict.fromkeys(rows[0], ""))
        run(trial)
        draw(trial)
    assert "BLINDED" in (trial / "regions_out.tsv").read_text().splitlines()[0]
    with pytest.raises(InputError, match="BLINDED"):
        tables.read_table(trial / "regions_out.tsv")


def _raw(path):
    with blinding.marking(False):
        return tables.read_table(path)


def test_a_visit_without_a_row_is_refused(trial):
    rows = [row for row in tables.read_table(trial / "vmpfc_values.tsv") if row["participant_id"] != "sub-04"]
    for roi in ROIS:
        kept = [{**row, "roi": roi} for row in rows]
        tables.write_table(trial / f"{roi}_values.tsv", kept, region_values.VALUE_COLUMNS)
    with pytest.raises(InputError, match="sub-04"):
        run(trial)
