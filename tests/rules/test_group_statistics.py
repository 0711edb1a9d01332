"""The scripts of the group stage on a tiny trial with a planted effect."""

import dataclasses
import types
from pathlib import Path

import complete_settings
import nibabel as nib
import numpy as np
import pytest
import statsmodels.api as sm
from loading import script
from pharmasl.errors import InputError
from pharmasl.figures import findings
from pharmasl.files import tables
from pharmasl.group import analysis, random_fields, table
from pharmasl.report import analyses_section as report
from pharmasl.report import analysis_definitions, methods_group
from pharmasl.space import images
from pharmasl.study.effect_words import PERFUSION
from scipy import ndimage, special, stats

group_statistics = script("group_statistics").main
cluster_table = script("cluster_table").main

AFFINE = np.array([[-4.0, 0, 0, 30], [0, 4, 0, -32], [0, 0, 4, -20], [0, 0, 0, 1]])
SHAPE = (16, 17, 14)
NAMES = [f"sub-{k:02d}" for k in range(1, 15)]
TREATED = np.arange(14) < 7
PLACE, SEED_PLACE = (10, 9, 7), (4, 9, 7)
INFERENCE = complete_settings.plain_inference(permutations=400, seed=3, cluster_forming_p=0.005)
ARMS = {"column": "group", "treatment": "baclofen", "control": "placebo", "others": []}
MAPS = ("effect", "t", "z", "voxel_pfwe", "cluster_pfwe")
EVERY = analysis.MAPS


def ball(centre, radius):
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"))
    return ((grid - np.reshape(centre, (3, 1, 1, 1))) ** 2).sum(axis=0) <= radius**2


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """Maps of 14 participants: at PLACE the treated fall by 12; the seed's change drives SEED_PLACE in all."""
    folder = tmp_path_factory.mktemp("trial")
    rng = np.random.default_rng(5)
    mask = ball((7.5, 8, 6.5), 6.4)
    images.save(folder / "mask.nii.gz", mask, AFFINE, dtype=np.uint8)
    seed_change = rng.normal(0, 6, 14)
    rows, values = [], []
    paths = {"baseline": [], "followup": []}
    for i, name in enumerate(NAMES):
        for session, key in (("ses-T1", "baseline"), ("ses-T2", "followup")):
            cbf = 55 + 3 * ndimage.gaussian_filter(rng.normal(size=SHAPE), 1) / 0.15
            if key == "followup":
                cbf -= 12.0 * TREATED[i] * ball(PLACE, 2)
                cbf += 1.5 * seed_change[i] * ball(SEED_PLACE, 2)
            cbf[~mask] = np.nan
            # One participant's field of view lacks the lowest slices; zeros there mean the same as NaN.
            if i == 2:
                cbf[:, :, :2] = 0
            path = folder / f"{name}_{session}.nii.gz"
            images.save(path, cbf, AFFINE)
            paths[key].append(str(path))
            value = 50 + (seed_change[i] if key == "followup" else 0)
            values.append(
                {"participant_id": name, "session_id": session, "contrast": "rest", "roi": "dlpfc", "cbf": value}
            )
        arm = "baclofen" if TREATED[i] else "placebo"
        age, sex = int(rng.integers(20, 60)), "FM"[i % 3 == 0]
        rows.append({"participant_id": name, "arm": arm, "age": age, "sex": sex})
    tables.write_table(folder / "participants.tsv", rows, dict.fromkeys(rows[0], ""))
    tables.write_table(folder / "dlpfc_values.tsv", values, dict.fromkeys(values[0], ""))
    return types.SimpleNamespace(folder=folder, mask=mask, seed_change=seed_change, **paths)


trial_sessions = ("baseline", "followup")


def outputs(folder):
    folder.mkdir(exist_ok=True)
    files = {name: str(folder / f"{name}.nii.gz") for name in (*EVERY, "mask", "clusters")}
    return types.SimpleNamespace(
        **files,
        **{name: str(folder / f"{name}.tsv") for name in ("design", "null")},
        inference=str(folder / "inference.json"),
    )


def call(
    trial, folder, *, inference=(), threads=1, given=(), participants=NAMES, is_cbf=True, shared=(), more=(), **settings
):
    settings = {"effect": "group_by_time", "contrast": "rest", "covariates": ["age", "sex"], **settings}
    seed = [str(trial.folder / "dlpfc_values.tsv")] if "seed" in settings else []
    inputs = {
        "baseline": trial.baseline,
        "followup": trial.followup,
        "participants": str(trial.folder / "participants.tsv"),
        "template_mask": str(trial.folder / "mask.nii.gz"),
        "seeds": seed,
        "within": [],
        "further": [],
        "terms": [],
        "global_values": [],
        **dict(given),
    }
    params = types.SimpleNamespace(
        analysis=complete_settings.plain_analysis(inference={**INFERENCE, **dict(inference)}, **settings),
        arms=ARMS,
        participants=participants if isinstance(participants, dict) else dict.fromkeys(trial_sessions, participants),
        sessions={"baseline": "T1", "followup": "T2"},
        is_cbf=is_cbf,
        shared=list(shared),
        statistic="t",
        scaling={"scaling": "absolute", "reference": "brain"},
        terms=[],
        cautions=[],
        quantity=dataclasses.asdict(PERFUSION),
    )
    vars(params).update(more)
    output = outputs(folder)
    group_statistics(
        types.SimpleNamespace(input=types.SimpleNamespace(**inputs), output=output, params=params, threads=threads)
    )
    return output


def tabulate(output, folder, atlas=()):
    path = folder / "clusters.tsv"
    given = {name: getattr(output, name) for name in (*table.MAPS, "clusters", "inference")}
    given = types.SimpleNamespace(**given, atlas=list(atlas))
    cluster_table(types.SimpleNamespace(input=given, output=types.SimpleNamespace(table=path), params=None, threads=1))
    return tables.read_table(path)


@pytest.fixture(scope="module")
def interaction(trial, tmp_path_factory):
    return call(trial, tmp_path_factory.mktemp("interaction"))


def test_planted_interaction_is_found_with_sign_place_and_size(trial, interaction, tmp_path):
    labels, _ = images.load(interaction.clusters, dtype=np.int16)
    effect, affine = images.load(interaction.effect)
    planted = ball(PLACE, 2)
    found = labels == 1
    assert (found & planted).sum() > 0.8 * planted.sum()
    assert (found & ~ball(PLACE, 4)).sum() == 0
    assert effect[planted].mean() == pytest.approx(-12, abs=2)
    first = tabulate(interaction, tmp_path)[0]
    assert first["sign"] == "-"
    assert float(first["p_fwe_cluster"]) <= 0.05
    centre = affine[:3, :3] @ PLACE + affine[:3, 3]
    assert np.linalg.norm([float(first[axis]) for axis in "xyz"] - centre) <= 8
    summary = tables.read_json(interaction.inference)
    assert summary["status"] == "run"
    decided = summary["verdict"]
    assert (decided["statistic"], decided["error_rate"], decided["significant"]) == (
        "extent",
        "family-wise error",
        True,
    )
    assert decided["p"] == pytest.approx(min(float(row["p_fwe_cluster"]) for row in summary["clusters"]))
    assert decided["significant_clusters"] == sum(row["p_fwe_cluster"] <= 0.05 for row in summary["clusters"]) >= 1
    assert first["significant"] == "yes"
    assert first["p_verdict"] == first["p_fwe_cluster"]


def test_maps_hold_together(trial, interaction):
    effect, t, z, voxel, cluster = (images.load(getattr(interaction, name))[0] for name in MAPS)
    mask = images.load(interaction.mask)[0] > 0
    labels = images.load(interaction.clusters, dtype=np.int16)[0]
    expected = trial.mask.copy()
    expected[:, :, :2] = False
    assert np.array_equal(mask, expected)
    for data in (effect, t, z, voxel, cluster):
        assert np.array_equal(np.isfinite(data), mask)
    assert np.all(np.sign(t[mask]) == np.sign(z[mask]))
    assert np.all(np.abs(z[mask]) <= np.abs(t[mask]))
    p = 10.0 ** -voxel[mask].astype(float)
    np.testing.assert_allclose(p * 400, np.round(p * 400), atol=1e-4)
    assert p.min() >= 1 / 400 - 1e-9
    # The larger |t|, the smaller p; and clusters are the voxels above the threshold.
    order = np.argsort(np.abs(t[mask]))
    assert np.all(np.diff(voxel[mask][order]) >= 0)
    summary = tables.read_json(interaction.inference)
    assert np.array_equal(labels[mask] > 0, np.abs(t[mask]) > summary["tests"]["cluster"]["forming_t"])
    assert np.all(cluster[mask & (labels == 0)] == 0)
    sizes = np.bincount(labels[labels > 0])[1:]
    assert np.all(np.diff(sizes) <= 0)


def test_t_is_that_of_the_maps(trial, interaction):
    design = tables.read_table(interaction.design)
    terms = [name for name in design[0] if name != "participant_id"]
    assert terms == ["arm", "intercept", "age", "sex[M]"]
    matrix = np.array([[float(row[term]) for term in terms] for row in design])
    change = np.array(
        [
            images.load(b)[0][PLACE].astype(float) - images.load(a)[0][PLACE]
            for a, b in zip(trial.baseline, trial.followup)
        ]
    )
    beta, rss, *_ = np.linalg.lstsq(matrix, change, rcond=None)
    t = beta[0] / np.sqrt(rss[0] / 10 * np.linalg.inv(matrix.T @ matrix)[0, 0])
    assert images.load(interaction.t)[0][PLACE] == pytest.approx(t, rel=1e-6)
    assert images.load(interaction.effect)[0][PLACE] == pytest.approx(beta[0], rel=1e-6)


def test_what_adjusting_for_the_baseline_would_give(trial, interaction, tmp_path):
    """Of the study's own voxels, by another program's residuals; only where arms are compared by their changes."""
    block = tables.read_json(interaction.inference)["baseline_adjustment"]
    searched = images.load(interaction.mask)[0] > 0
    first, second = (
        np.stack([images.load(path)[0][searched] for path in paths]) for paths in (trial.baseline, trial.followup)
    )
    rows = tables.read_table(interaction.design)
    design = np.array([[float(row[term]) for term in rows[0] if term != "participant_id"] for row in rows])
    chosen = range(0, searched.sum(), 7)
    residuals = [[sm.OLS(maps[:, k], design).fit().resid for k in chosen] for maps in (first, second)]
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(*residuals)]
    assert block["correlation"]["median"] == pytest.approx(np.median(r), abs=0.05)
    assert block["voxels"] == searched.sum()
    assert block["equal_variances"] == pytest.approx(2 / (1 + block["correlation"]["median"]), abs=1e-3)
    assert block["variance_ratio"]["median"] > 1.2  # noise without memory: two sessions' noise against one's
    results = findings.Findings(cluster_rows(interaction, tmp_path), interaction.inference)
    assert any("followup ~ arm + baseline" in note for note in report.notes(results, {}))
    seed = {"roi": "dlpfc", "contrast": "rest"}
    (tmp_path / "link").mkdir()
    link = call(trial, tmp_path / "link", effect="association", seed=seed)
    assert tables.read_json(link.inference)["baseline_adjustment"] is None


def cluster_rows(output, folder):
    tabulate(output, folder)
    return folder / "clusters.tsv"


def test_inference_says_what_was_done(interaction):
    summary = tables.read_json(interaction.inference)
    assert summary["model"]["df"] == 10
    assert (summary["model"]["n_treatment"], summary["model"]["n_control"]) == (7, 7)
    assert summary["permutation"]["number"] == 400
    assert summary["permutation"]["exhaustive"] is False
    assert summary["permutation"]["smallest_attainable_p"] == 1 / 400
    assert summary["permutation"]["seed"] == 3
    assert summary["tests"]["cluster"]["forming_t"] == pytest.approx(3.169272672616)  # t of one-sided .005 at 10 df
    volume = summary["search_volume"]
    mask = images.load(interaction.mask)[0]
    assert volume["voxels"] == mask.sum()
    assert volume["uncovered_voxels"]["sub-03"] == volume["template_voxels"] - volume["voxels"] > 0
    assert volume["uncovered_voxels"]["sub-01"] == 0
    fields = summary["random_fields"]
    threshold = summary["tests"]["cluster"]["forming_t"]
    expected = 2 * float(random_fields.expected_euler_characteristic(threshold, 10, fields["resels"]))
    assert fields["clusters"] == summary["result"]["clusters"]
    assert fields["p_set"] == pytest.approx(stats.poisson.sf(fields["clusters"] - 1, expected), rel=1e-8)
    # The uncorrected p up to which voxels are declared, and the map of q, are one thing.
    discovery = summary["tests"]["false_discovery"]
    p, q = 2 * stats.t.sf(np.abs(images.load(interaction.t)[0]), 10), images.load(interaction.qfdr)[0]
    assert discovery["voxels"] == (q >= -np.log10(0.05)).sum() > 0
    assert p[q >= -np.log10(0.05)].max() == pytest.approx(discovery["critical_p"], rel=1e-4)
    null = tables.read_table(interaction.null)
    assert len(null) == 400
    t = images.load(interaction.t)[0]
    assert float(null[0]["max_t"]) == pytest.approx(np.nanmax(t), rel=1e-6)
    largest = np.array([max(float(row["max_t"]), -float(row["min_t"])) for row in null])
    critical = summary["tests"]["voxel"]["critical_t"]
    assert (largest >= critical).mean() <= 0.05 < (largest >= np.sort(largest)[np.sort(largest) < critical][-1]).mean()


def test_files_have_the_same_bytes_whatever_the_threads(trial, interaction, tmp_path):
    again = call(trial, tmp_path, threads=3)
    for name, path in vars(again).items():
        with open(path, "rb") as mine, open(getattr(interaction, name), "rb") as first:
            assert mine.read() == first.read(), name


def test_association_finds_the_slope_where_it_was_planted(trial, tmp_path):
    output = call(
        trial,
        tmp_path,
        effect="association",
        contrast="cue",
        covariates=["age"],
        seed={"roi": "dlpfc", "contrast": "rest"},
    )
    labels = images.load(output.clusters, dtype=np.int16)[0]
    slope = images.load(output.effect)[0]
    planted = ball(SEED_PLACE, 2)
    assert ((labels == 1) & planted).sum() > 0.8 * planted.sum()
    assert slope[planted].mean() == pytest.approx(1.5, abs=0.25)
    # The arm is held fixed: what the drug does elsewhere is no association.
    assert 10.0 ** -images.load(output.cluster_pfwe)[0][PLACE] > 0.05
    summary = tables.read_json(output.inference)
    assert summary["model"]["formula"] == "change ~ seed_change + arm + intercept + age"
    assert summary["model"]["df"] == 10
    assert summary["seed"] == {"roi": "dlpfc", "contrast": "rest"}


def test_one_sample_without_arms_or_sessions_is_the_mean_of_all(trial, tmp_path):
    """Signs of fourteen maps of one visit each flipped; the maps' words know no baseline, and no arm."""
    rows = [{"participant_id": name, "arm": None} for name in NAMES]
    tables.write_table(tmp_path / "participants.tsv", rows, dict.fromkeys(rows[0], ""))
    output = call(
        trial,
        tmp_path,
        effect=None,
        model="baseline ~ 1",
        test="1",
        covariates=[],
        given={"followup": [], "participants": str(tmp_path / "participants.tsv")},
        participants={"baseline": NAMES, "followup": []},
        more={"arms": None, "sessions": {"baseline": ""}},
    )
    summary = tables.read_json(output.inference)
    stack = np.array([images.load(path)[0] for path in trial.baseline], dtype=float)
    expected = stats.ttest_1samp(stack[(slice(None), *PLACE)], 0)
    assert images.load(output.t)[0][PLACE] == pytest.approx(expected.statistic, rel=1e-5)
    assert summary["arms"] is None
    assert summary["single_visit"] is True
    assert (summary["model"]["n"], summary["model"]["df"], summary["model"]["n_by_arm"]) == (14, 13, {})
    assert summary["model"]["design"] == (
        "One-sample test: mean of one session over all participants, against zero, signs flipped"
    )
    assert summary["permutation"]["method"].startswith("the signs of participants' values flipped")
    tabulate(output, tmp_path)
    found = findings.Findings(tmp_path / "clusters.tsv", output.inference)
    assert found.question == "CBF (rest): mean; baseline ~ 1"
    assert found.people == "14 participants"
    assert (
        report.direction(found, {"sign": "+", "effect_mean": "55"}) == "mean CBF was 55.0 mL/100 g/min higher than zero"
    )
    assert "14 participants, 13 degrees of freedom" in methods_group.group("a", summary)


def test_association_within_one_arm_is_of_its_participants_alone(trial, tmp_path):
    output = call(
        trial,
        tmp_path,
        inference={"cluster_forming_p": 0.01},
        effect="association",
        arm="placebo",
        contrast="cue",
        covariates=["age"],
        seed={"roi": "dlpfc", "contrast": "rest"},
    )
    summary = tables.read_json(output.inference)
    assert summary["status"] == "run"
    assert summary["participants"] == NAMES[7:]
    assert summary["model"]["formula"] == "change ~ seed_change + intercept + age"
    assert (summary["model"]["df"], summary["model"]["n"]) == (4, 7)
    assert "within one arm" in summary["effect"]["meaning"]
    # Seven participants have 5040 orders: 400 of them are drawn.
    assert summary["permutation"]["exhaustive"] is False
    age = [float(row["age"]) for row in tables.read_table(trial.folder / "participants.tsv")]
    x = sm.add_constant(np.column_stack([trial.seed_change, age])[7:])
    for place in (PLACE, SEED_PLACE, (8, 4, 6)):
        first, second = (
            np.array([images.load(path)[0][place] for path in paths[7:]], dtype=float)
            for paths in (trial.baseline, trial.followup)
        )
        expected = sm.OLS(second - first, x).fit()
        assert images.load(output.t)[0][place] == pytest.approx(expected.tvalues[1], rel=1e-5)
        assert images.load(output.effect)[0][place] == pytest.approx(expected.params[1], rel=1e-5)
    tabulate(output, tmp_path)
    found = findings.Findings(tmp_path / "clusters.tsv", output.inference)
    assert found.question == "Change in CBF (cue) with change in dlpfc (rest) on placebo"
    assert found.people == "7 participants of placebo"
    assert "in the seed region, on placebo" in report.direction(found, {"sign": "+", "effect_mean": "1.5"})
    assert "7 participants on placebo" in methods_group.group("a", summary)


def test_a_seed_in_one_arm_alone_is_enough_within_it(trial, tmp_path):
    given = change_seed(trial, tmp_path, NAMES[:7])
    settings = {"contrast": "cue", "covariates": [], "seed": {"roi": "dlpfc", "contrast": "rest"}}
    output = call(trial, tmp_path, given=given, effect="association", arm="placebo", **settings)
    summary = tables.read_json(output.inference)
    assert (summary["status"], summary["excluded"]) == ("run", [])
    output = call(trial, tmp_path, given=given, effect="association", arm="baclofen", **settings)
    summary = tables.read_json(output.inference)
    assert summary["status"] == "not run: seed dlpfc has no values"
    assert "within one arm" in summary["effect"]["meaning"]


def change_seed(trial, folder, missing):
    rows = tables.read_table(trial.folder / "dlpfc_values.tsv")
    for row in rows:
        if row["participant_id"] in missing and row["session_id"] == "ses-T2":
            row["cbf"] = None
    tables.write_table(folder / "other_values.tsv", rows, dict.fromkeys(rows[0], ""))
    return {"seeds": [str(folder / "other_values.tsv")]}


def test_without_a_seed_the_association_is_not_run_and_says_so(trial, tmp_path):
    given = change_seed(trial, tmp_path, NAMES)
    output = call(
        trial, tmp_path, given=given, effect="association", contrast="cue", seed={"roi": "dlpfc", "contrast": "rest"}
    )
    summary = tables.read_json(output.inference)
    assert summary["status"] == "not run: seed dlpfc has no values"
    for name in MAPS:
        assert np.isnan(images.load(getattr(output, name))[0]).all()
    assert not images.load(output.clusters)[0].any()
    assert tables.read_table(output.null) == tables.read_table(output.design) == []
    assert tabulate(output, tmp_path) == []


def test_a_participant_without_seed_is_left_out_and_named(trial, tmp_path):
    given = change_seed(trial, tmp_path, ["sub-04"])
    output = call(
        trial,
        tmp_path,
        given=given,
        effect="association",
        contrast="cue",
        covariates=[],
        seed={"roi": "dlpfc", "contrast": "rest"},
    )
    summary = tables.read_json(output.inference)
    assert [entry["participant_id"] for entry in summary["excluded"]] == ["sub-04"]
    assert summary["model"]["n"] == 13
    assert "sub-04" not in summary["participants"]
    assert summary["notes"] == []


def test_too_few_seeds_are_a_reason_not_to_run_but_a_faulty_table_stays_an_error(trial, tmp_path):
    settings = {"effect": "association", "contrast": "rest", "seed": {"roi": "dlpfc", "contrast": "rest"}}
    given = change_seed(trial, tmp_path, NAMES[1:7])
    summary = tables.read_json(call(trial, tmp_path, given=given, **settings).inference)
    assert summary["status"].startswith("not run: too few participants have a value of seed dlpfc")
    assert "arm baclofen: found '1 participant(s)'" in summary["status"]
    assert len(summary["excluded"]) == 6
    with pytest.raises(InputError, match="weight"):
        call(trial, tmp_path, given=given, **{**settings, "covariates": ["weight"]})


def without_values(trial, folder, *places):
    """The maps of the trial with some of them empty, as contrasts of excluded scans are."""
    images.save(folder / "missing.nii.gz", np.full(SHAPE, np.nan), AFFINE)
    given = {key: list(getattr(trial, key)) for key in ("baseline", "followup")}
    for key, k in places:
        given[key][k] = str(folder / "missing.nii.gz")
    return given


@pytest.mark.parametrize("effect", ["group_by_time", "association"])
def test_a_group_with_an_excluded_participant_is_the_group_without_him(trial, tmp_path, effect):
    lost = {3, 9}
    settings = {"effect": effect, "covariates": ["age", "sex"]}
    if effect == "association":
        settings |= {"contrast": "cue", "seed": {"roi": "dlpfc", "contrast": "rest"}}
    given = without_values(trial, tmp_path, ("baseline", 3), ("followup", 9))
    output = call(trial, tmp_path / "all", given=given, **settings)
    others = [k for k in range(14) if k not in lost]
    given = {key: [getattr(trial, key)[k] for k in others] for key in ("baseline", "followup")}
    without = call(trial, tmp_path / "without", given=given, participants=[NAMES[k] for k in others], **settings)
    for name in (*MAPS, "mask", "clusters", "design", "null"):
        with open(getattr(output, name), "rb") as mine, open(getattr(without, name), "rb") as other:
            assert mine.read() == other.read(), name
    summary, expected = (tables.read_json(each.inference) for each in (output, without))
    contrast = settings.get("contrast", "rest")
    assert summary.pop("excluded") == [
        {"participant_id": "sub-04", "reason": f"no CBF of {contrast} at T1: the scan is excluded or covers nothing"},
        {"participant_id": "sub-10", "reason": f"no CBF of {contrast} at T2: the scan is excluded or covers nothing"},
    ]
    assert expected.pop("excluded") == []
    assert summary == expected
    assert summary["model"]["n"] == 12


def test_too_few_usable_scans_in_an_arm_are_a_reason_not_to_run(trial, tmp_path):
    given = without_values(trial, tmp_path, *[("followup", k) for k in range(6)])
    output = call(trial, tmp_path, given=given)
    summary = tables.read_json(output.inference)
    assert summary["status"].startswith("not run: too few participants have usable scans of rest")
    assert "arm baclofen: found '1 participant(s)'" in summary["status"]
    assert len(summary["excluded"]) == 6
    assert np.isnan(images.load(output.t)[0]).all()
    given = without_values(trial, tmp_path, *[("baseline", k) for k in range(14)])
    summary = tables.read_json(call(trial, tmp_path, given=given).inference)
    assert summary["status"].startswith("not run: too few participants have usable scans of rest")
    assert len(summary["excluded"]) == 14


def test_all_relabellings_are_used_where_they_are_few(trial, tmp_path):
    output = call(trial, tmp_path, covariates=[], inference={"permutations": 3432})
    summary = tables.read_json(output.inference)["permutation"]
    assert summary["exhaustive"] is True
    assert summary["number"] == 3432
    assert summary["seed"] is None
    assert summary["smallest_attainable_p"] == 2 / 3432
    # Seven against seven: the mirror of each relabelling ties with it, so relabellings count in pairs.
    pairs = 3432 / 2 * 10.0 ** -np.unique(images.load(output.voxel_pfwe)[0].astype(float))
    pairs = pairs[np.isfinite(pairs)]
    assert len(pairs) > 10
    np.testing.assert_allclose(pairs, np.round(pairs), atol=1e-3)


def test_one_sided_tests_the_positive_direction_alone(trial, tmp_path):
    output = call(trial, tmp_path, inference={"two_sided": False})
    t = images.load(output.t)[0]
    assert t[PLACE] < -3
    assert images.load(output.voxel_pfwe)[0][PLACE] == 0
    assert images.load(output.clusters)[0][PLACE] == 0


def test_unusable_maps_are_refused_and_nothing_is_written(trial, tmp_path):
    output = outputs(tmp_path / "out")
    with pytest.raises(InputError, match="14 participants, 13 maps"):
        call(trial, tmp_path / "out", given={"baseline": trial.baseline[1:]})
    images.save(tmp_path / "small.nii.gz", np.ones((3, 3, 3)), AFFINE)
    with pytest.raises(InputError, match=r"small\.nii\.gz: grid"):
        call(trial, tmp_path / "out", given={"followup": [str(tmp_path / "small.nii.gz"), *trial.followup[1:]]})
    below, above = (np.where(np.arange(14) < 7, first, second) * np.ones(SHAPE) for first, second in ((1, 0), (0, 1)))
    images.save(tmp_path / "below.nii.gz", below, AFFINE)
    images.save(tmp_path / "above.nii.gz", above, AFFINE)
    given = [str(tmp_path / "below.nii.gz"), str(tmp_path / "above.nii.gz"), *trial.followup[2:]]
    with pytest.raises(InputError, match=r"\.nii\.gz: coverage"):
        call(trial, tmp_path / "out", given={"followup": given})
    assert list((tmp_path / "out").iterdir()) == []
    assert output.t


def stack(shape=(20, 12, 12)):
    return np.zeros(shape), np.zeros(shape, dtype=np.int32)


def test_table_of_a_cluster_with_three_peaks(tmp_path):
    t, labels = stack()
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = -20
    # One bar along x, 2 mm voxels: peaks at 2, 5 (6 mm from the first: too near), 7, 12 and 17; the fourth best is left out.
    labels[1:19, 5, 5] = 1
    t[1:19, 5, 5] = 3
    for x, height in ((2, 9.0), (5, 8.0), (7, 7.0), (12, 6.0), (17, 5.0)):
        t[x, 5, 5] = height
    labels[5, 9, 9], t[5, 9, 9] = 2, -4
    nothing = np.full(t.shape, np.nan)
    maps = {"effect": 2 * t, "t": t, "z": t / 2, "tfce_pfwe": nothing, "qfdr": np.full(t.shape, 1.0)}
    maps["voxel_pfwe"] = np.where(t > 8, -np.log10(0.02), 0)
    told = [{"cluster": 1, "p_fwe_cluster": 0.005, "effect_mean": 7.4, "hedges_g": 0.8, "significant": True}]
    told.append({"cluster": 2, "p_fwe_cluster": 1.0, "p_rft_cluster": None, "significant": False})
    fields = {"status": "known", "df": 40.0, "resels": [1.0, 10.0, 50.0, 100.0], "voxels": 5000, "tails": 2}
    names = types.SimpleNamespace(nearest=lambda point: ("A", 0.0), shares=lambda points: [("A", 0.996), ("B", 0.004)])
    rows = table.rows(maps, labels, affine, {"clusters": told, "random_fields": fields}, names)
    assert [(row["cluster"], row["peak"], row["t"]) for row in rows] == [(1, 1, 9), (1, 2, 7), (1, 3, 6), (2, 1, -4)]
    first, second, _, last = rows
    assert (first["x"], first["y"], first["z"]) == (-16, -10, -10)
    assert (first["size_voxels"], first["volume_mm3"]) == (18, 144)
    assert [row.get("significant") for row in rows] == ["yes", None, None, "no"]
    assert (first["p_fwe_cluster"], first["p_fwe_voxel"]) == (0.005, 0.02)
    assert (first["effect"], first["z_score"], first["sign"]) == (18, 4.5, "+")
    assert (first["effect_mean"], first["hedges_g"], first["q_fdr"], first["p_fwe_tfce"]) == (7.4, 0.8, 0.1, None)
    expected = 2 * random_fields.peak_p(9.0, 40.0, np.array(fields["resels"]), 5000)
    assert first["p_rft_peak"] == pytest.approx(float(expected), rel=1e-5)
    assert first["regions"] == "A 100 %"
    assert "size_voxels" not in second
    assert (last["sign"], last["size_voxels"], last["p_fwe_cluster"]) == ("-", 1, 1)


def test_table_names_regions_and_says_how_far_the_nearest_is(interaction, tmp_path):
    labels = np.zeros(SHAPE)
    labels[:8], labels[8:] = 1, 2
    clusters = images.load(interaction.clusters, dtype=np.int16)[0]
    images.save(tmp_path / "atlas.nii.gz", labels, AFFINE, dtype=np.uint8)
    (tmp_path / "atlas.txt").write_text("1 West\n2 East\n")
    rows = tabulate(interaction, tmp_path, [tmp_path / "atlas.nii.gz", tmp_path / "atlas.txt"])
    # x falls with the voxel index in this affine, as in many images; the planted cluster lies in the upper half.
    assert rows[0]["region"] == "East"
    share = 100 * (clusters[8:] == 1).sum() / (clusters == 1).sum()
    assert rows[0]["regions"].split("; ")[0] == f"East {share:.0f} %"
    labels[8:] = 0
    images.save(tmp_path / "atlas.nii.gz", labels, AFFINE, dtype=np.uint8)
    rows = tabulate(interaction, tmp_path, [tmp_path / "atlas.nii.gz", tmp_path / "atlas.txt"])
    assert rows[0]["region"] == "unlabelled" or "mm away" in rows[0]["region"]
    assert set(tables.read_json(tmp_path / "clusters.json")) == set(rows[0])
    assert len({row["cluster"] for row in rows}) == clusters.max()


def test_images_of_different_grids_are_refused(interaction, tmp_path):
    images.save(tmp_path / "t.nii.gz", np.zeros((3, 3, 3)), AFFINE)
    wrong = types.SimpleNamespace(**{**vars(interaction), "t": str(tmp_path / "t.nii.gz")})
    with pytest.raises(InputError, match="grid"):
        tabulate(wrong, tmp_path)


EVERYTHING = {"statistics": ["extent", "mass", "tfce"], "permutations": 200}


def test_mass_tfce_random_fields_and_sizes_beside_the_rest(trial, interaction, tmp_path):
    output = call(trial, tmp_path, inference=EVERYTHING)
    planted = ball(PLACE, 2)
    p = 10.0 ** -images.load(output.tfce_pfwe)[0].astype(float)
    # Of all the map, the planted place is the least likely by chance.
    assert np.nanmin(p[planted]) == np.nanmin(p) < 0.2
    assert np.sign(images.load(output.tfce)[0][PLACE]) == -1
    mask = images.load(output.mask)[0] > 0
    np.testing.assert_allclose(p[mask] * 200, np.round(p[mask] * 200), atol=1e-4)
    assert 10.0 ** -images.load(output.mass_pfwe)[0][PLACE] <= 0.05
    # What is asked for beside them changes nothing of the others.
    for name in ("effect", "t", "z", "clusters"):
        assert np.array_equal(images.load(getattr(output, name))[0], images.load(getattr(interaction, name))[0], True)
    percent, effect = images.load(output.percent)[0], images.load(output.effect)[0]
    baseline = np.mean([images.load(path)[0] for path in trial.baseline], axis=0)
    np.testing.assert_allclose(percent[mask], 100 * effect[mask] / baseline[mask], rtol=1e-4)
    t, g = images.load(output.t)[0], images.load(output.hedges_g)[0]
    design = tables.read_table(output.design)
    matrix = np.array([[float(row[name]) for name in ("arm", "intercept", "age", "sex[M]")] for row in design])
    # d is t times the root of the contrast's variance factor; Hedges' factor by his approximation.
    d = t * np.sqrt(np.linalg.inv(matrix.T @ matrix)[0, 0])
    np.testing.assert_allclose(g[mask], d[mask] * (1 - 3 / (4 * 10 - 1)), rtol=2e-3)
    q = 10.0 ** -images.load(output.qfdr)[0].astype(float)
    assert q[planted & mask].min() < 0.05
    row = tabulate(output, tmp_path)[0]
    low, high = float(row["effect_low"]), float(row["effect_high"])
    assert low < float(row["effect_mean"]) < high < 0
    assert float(row["hedges_g_low"]) < float(row["hedges_g"]) < float(row["hedges_g_high"]) < 0
    assert 0 < float(row["p_rft_cluster"]) <= 1
    summary = tables.read_json(output.inference)
    assert summary["tests"]["tfce"]["neighbours"] == 6
    assert summary["tests"]["mass"]["statistic"].endswith("(as nilearn)")
    null = tables.read_table(output.null)
    assert {"mass_positive", "tfce_negative"} <= set(null[0])
    # The observed labelling's own maxima are the maps'.
    assert float(null[0]["tfce_negative"]) == pytest.approx(-np.nanmin(images.load(output.tfce)[0]), rel=1e-5)


def test_change_within_an_arm_flips_signs(trial, tmp_path):
    output = call(trial, tmp_path, effect="within_arm", arm="baclofen", covariates=[], inference=EVERYTHING)
    summary = tables.read_json(output.inference)
    assert summary["participants"] == NAMES[:7]
    assert summary["permutation"]["method"].startswith("the signs")
    assert summary["permutation"]["exhaustive"] is True
    assert summary["permutation"]["number"] == 2**7
    change = [
        images.load(after)[0][PLACE].astype(float) - images.load(before)[0][PLACE]
        for before, after in list(zip(trial.baseline, trial.followup))[:7]
    ]
    t = np.mean(change) / (np.std(change, ddof=1) / np.sqrt(7))
    assert images.load(output.t)[0][PLACE] == pytest.approx(t, rel=1e-5)
    assert images.load(output.effect)[0][PLACE] == pytest.approx(np.mean(change), rel=1e-5)


def test_a_region_is_a_family_of_its_own(trial, interaction, tmp_path):
    images.save(tmp_path / "region.nii.gz", ball(PLACE, 2), AFFINE, dtype=np.uint8)
    output = call(trial, tmp_path / "out", within="here", given={"within": [str(tmp_path / "region.nii.gz")]})
    mask = images.load(output.mask)[0] > 0
    assert mask.sum() == ball(PLACE, 2).sum()
    assert np.array_equal(images.load(output.t)[0][mask], images.load(interaction.t)[0][mask])
    # Fewer tests, so no p is larger than over the whole brain.
    own, whole = (images.load(each.voxel_pfwe)[0][mask] for each in (output, interaction))
    assert (own >= whole).all()
    assert (own > whole).any()
    assert "within the region here" in tables.read_json(output.inference)["search_volume"]["definition"]
    images.save(tmp_path / "empty.nii.gz", np.zeros(SHAPE), AFFINE, dtype=np.uint8)
    output = call(trial, tmp_path / "none", within="here", given={"within": [str(tmp_path / "empty.nii.gz")]})
    assert tables.read_json(output.inference)["status"].startswith("not run: the region searched")


def in_a_region(trial, folder, region, **settings):
    images.save(folder / "region.nii.gz", region, AFFINE, dtype=np.uint8)
    output = call(trial, folder / "out", within="here", given={"within": [str(folder / "region.nii.gz")]}, **settings)
    return output, tables.read_json(output.inference)


@pytest.mark.parametrize("method", ["differences", "full_factorial"])
def test_random_fields_of_a_region_have_the_brains_smoothness_and_the_regions_resels(trial, tmp_path, method):
    settings = {"method": method, "covariates": []}
    whole = call(trial, tmp_path / "whole", **settings)
    region = np.zeros(SHAPE, bool)
    region[8:12, 7:12, 5:9] = True
    output, summary = in_a_region(trial, tmp_path, region, **settings)
    ours, brain = summary["random_fields"], tables.read_json(whole.inference)["random_fields"]
    assert ours["fwhm_voxels"] == brain["fwhm_voxels"]
    assert ours["smoothness_voxels"] == brain["smoothness_voxels"] > ours["voxels"] == region.sum() == 80
    assert "whole brain" in ours["smoothness_of"]
    # A box of 4 x 5 x 4 voxels has sides of 3, 4 and 3 voxels between their centres (Worsley et al. 1996).
    a, b, c = np.array([3, 4, 3]) / brain["fwhm_voxels"]
    np.testing.assert_allclose(ours["resels"], [1, a + b + c, a * b + a * c + b * c, a * b * c], rtol=1e-12)
    # The map is a part of the brain's, its error term the brain's too.
    assert np.array_equal(images.load(output.t)[0][region], images.load(whole.t)[0][region])
    row = tabulate(output, tmp_path)[0]
    t, df = abs(float(row["t"])), ours["df"]
    density = [
        stats.t.sf(t, df),
        np.sqrt(4 * np.log(2)) / (2 * np.pi) * (1 + t * t / df) ** (-(df - 1) / 2),
        4
        * np.log(2)
        / (2 * np.pi) ** 1.5
        * np.exp(special.gammaln((df + 1) / 2) - special.gammaln(df / 2))
        / np.sqrt(df / 2)
        * t
        * (1 + t * t / df) ** (-(df - 1) / 2),
        (4 * np.log(2)) ** 1.5 / (2 * np.pi) ** 2 * (1 + t * t / df) ** (-(df - 1) / 2) * ((df - 1) / df * t * t - 1),
    ]
    expected = 2 * min(1 - np.exp(-np.dot(ours["resels"], density)), 80 * density[0])
    assert float(row["p_rft_peak"]) == pytest.approx(expected, rel=1e-4)
    # Fewer resels, smaller p of the same peak.
    over_brain = [float(r["p_rft_peak"]) for r in tabulate(whole, tmp_path) if r["t"] == row["t"]]
    assert not over_brain or float(row["p_rft_peak"]) < over_brain[0]


def test_baselines_are_compared_without_the_followup(trial, tmp_path):
    given = {"followup": []}
    participants = {"baseline": NAMES, "followup": []}
    output = call(trial, tmp_path, effect="baseline_difference", covariates=[], given=given, participants=participants)
    before = np.array([images.load(path)[0][PLACE] for path in trial.baseline], dtype=float)
    effect = images.load(output.effect)[0][PLACE]
    assert effect == pytest.approx(before[TREATED].mean() - before[~TREATED].mean(), rel=1e-4)


def test_regression_on_a_number(trial, tmp_path):
    output = call(trial, tmp_path, effect="regression", predictor="age", covariates=["sex"])
    design = tables.read_table(output.design)
    assert list(design[0]) == ["participant_id", "age", "intercept", "arm[placebo]", "sex[M]"] or "age" in design[0]
    change = np.array(
        [
            images.load(b)[0][PLACE].astype(float) - images.load(a)[0][PLACE]
            for a, b in zip(trial.baseline, trial.followup)
        ]
    )
    matrix = np.array([[float(value) for name, value in row.items() if name != "participant_id"] for row in design])
    where = [name for name in design[0] if name != "participant_id"].index("age")
    slope = np.linalg.lstsq(matrix, change, rcond=None)[0][where]
    assert images.load(output.effect)[0][PLACE] == pytest.approx(slope, rel=1e-4)
    assert np.isnan(images.load(output.hedges_g)[0]).all()


def test_the_slopes_of_the_arms_are_compared(trial, tmp_path):
    settings = {
        "effect": "association_by_arm",
        "contrast": "cue",
        "covariates": [],
        "seed": {"roi": "dlpfc", "contrast": "rest"},
    }
    output = call(trial, tmp_path, **settings)
    # Planted alike in both arms.
    assert 10.0 ** -images.load(output.cluster_pfwe)[0][SEED_PLACE] > 0.05
    assert "seed_change:arm" in tables.read_json(output.inference)["model"]["formula"]


def test_the_full_factorial_has_its_own_error_term_and_random_fields(trial, interaction, tmp_path):
    output = call(trial, tmp_path, method="full_factorial", covariates=[])
    plain = call(trial, tmp_path / "plain", covariates=[])
    effect, same = (images.load(each.effect)[0] for each in (output, plain))
    mask = images.load(output.mask)[0] > 0
    np.testing.assert_allclose(effect[mask], same[mask], rtol=1e-3, atol=1e-3)
    t, other = (images.load(each.t)[0] for each in (output, plain))
    assert np.abs(t - other)[mask].max() > 0.1
    summary = tables.read_json(output.inference)
    assert summary["model"]["df"] == 24
    assert summary["permutation"] is None
    assert "random fields" in summary["tests"]["cluster"]["statistic"]
    assert tables.read_table(output.null) == []
    called, block = images.load(output.called)[0], summary["smallest_called"]
    np.testing.assert_allclose(called[mask], block["height"] * np.abs(effect / t)[mask], rtol=1e-4)
    fields = summary["random_fields"]
    for extent, significant in ((block["extent_voxels"], True), (block["extent_voxels"] - 1, False)):
        p = random_fields.cluster_p(extent, block["height"], 24, fields["resels"], fields["fwhm_voxels"]).family_wise
        assert (2 * float(p) <= 0.05) == significant
    assert tabulate(output, tmp_path)[0]["p_fwe_cluster"] is not None


def test_the_mixed_model_takes_those_with_one_session(trial, tmp_path):
    participants = {"baseline": NAMES, "followup": NAMES[1:]}
    given = {"followup": trial.followup[1:]}
    output = call(trial, tmp_path, method="mixed_model", covariates=["age"], participants=participants, given=given)
    summary = tables.read_json(output.inference)
    assert summary["model"]["scans"] == 27
    assert summary["model"]["incomplete"] == ["sub-01"]
    assert images.load(output.effect)[0][ball(PLACE, 2)].mean() == pytest.approx(-12, abs=2.5)
    assert np.isnan(images.load(output.voxel_pfwe)[0]).all()
    q = 10.0 ** -images.load(output.qfdr)[0].astype(float)
    assert q[PLACE] < 0.05
    assert np.isnan(images.load(output.called)[0]).all()
    sidecar = tables.read_json(Path(output.called.replace(".nii.gz", ".json")))
    assert sidecar["Criterion"].startswith("none: the threshold of a false discovery rate moves")
    with pytest.raises(InputError, match="mixed_model"):
        call(trial, tmp_path, participants=participants, given=given)


def test_effects_tested_together_make_a_map_of_f(trial, tmp_path):
    stated = {"effect": None, "model": "change ~ arm + age", "test": ["arm", "age"], "covariates": []}
    output = call(trial, tmp_path, more={"statistic": "F"}, **stated)
    summary = tables.read_json(output.inference)
    assert (summary["status"], summary["model"]["df_tested"]) == ("run", 2)
    assert nib.load(output.t).header.get_intent()[0] == "f test"


@pytest.mark.parametrize(("statistic", "test"), [("F", "arm"), ("t", ["arm", "age"])])
def test_a_map_is_not_written_under_the_name_of_another_statistic(trial, tmp_path, statistic, test):
    """As where a level of the tested factor is lost with those who have no usable scan."""
    stated = {"effect": None, "model": "change ~ arm + age", "test": test, "covariates": []}
    output = call(trial, tmp_path, more={"statistic": statistic}, **stated)
    assert tables.read_json(output.inference)["status"].startswith(f"not run: {statistic} was to be tested")
    assert np.isnan(images.load(output.t)[0]).all()


def test_a_formula_of_scans_has_family_wise_p_with_sessions_and_voxels_missing(trial, tmp_path):
    participants = {"baseline": NAMES, "followup": NAMES[1:]}
    stated = {
        "effect": None,
        "model": "cbf ~ arm * session + age + (1 | participant)",
        "test": "arm:session",
        "method": "mixed_model",
        "covariates": [],
    }
    given = {"followup": trial.followup[1:]}
    files = [
        call(trial, tmp_path / str(threads), participants=participants, given=given, threads=threads, **stated)
        for threads in (1, 2)
    ]
    output = files[0]
    for name in (*EVERY, "null"):
        assert Path(getattr(output, name)).read_bytes() == Path(getattr(files[1], name)).read_bytes()
    summary = tables.read_json(output.inference)
    assert (summary["model"]["scans"], summary["model"]["incomplete"]) == (27, ["sub-01"])
    assert summary["permutation"]["exchanged"] == "allocation"
    assert "random intercept" in summary["model"]["design"]
    # The lowest slices that one participant's scans lack are searched with the others' scans.
    assert summary["search_volume"]["voxels"] == int(trial.mask.sum())
    assert summary["search_volume"]["voxels_that_scans_lack"] == int(trial.mask[:, :, :2].sum())
    assert images.load(output.effect)[0][ball(PLACE, 2)].mean() == pytest.approx(-12, abs=2.5)
    row = tabulate(output, tmp_path)[0]
    assert row["sign"] == "-"
    assert float(row["p_fwe_cluster"]) <= 0.05
    assert (10.0 ** -images.load(output.voxel_pfwe)[0][ball(PLACE, 2)]).min() <= 0.05
    assert summary["verdict"]["significant"]
    results = findings.Findings(tmp_path / "clusters.tsv", output.inference)
    assert any("tested with the scans that do" in note for note in report.notes(results, {}))
    told = {definition.term: definition.text for definition in analysis_definitions.tested(results)}
    assert told["Scans"] == "27: participants 1 with 1 and 13 with 2"
    assert "arms reallocated among whole participants" in told["Permutation"]
    assert told["Design"].startswith("Repeated measures")


def test_regions_are_terms_of_scans_at_their_own_session(trial, tmp_path):
    """The seed's values drive SEED_PLACE at follow-up in all: there its slope is found, by flips, for nothing allocated it."""
    stated = {
        "effect": None,
        "model": "cbf ~ session + roi(dlpfc, rest) + (1 | participant)",
        "test": "roi(dlpfc, rest)",
        "method": "mixed_model",
        "covariates": [],
    }
    output = call(trial, tmp_path, given={"seeds": [str(trial.folder / "dlpfc_values.tsv")]}, **stated)
    summary = tables.read_json(output.inference)
    assert summary["permutation"]["exchanged"] == "signs"
    assert images.load(output.effect)[0][ball(SEED_PLACE, 2)].mean() == pytest.approx(1.5, abs=0.3)
    assert 10.0 ** -images.load(output.voxel_pfwe)[0][SEED_PLACE] <= 0.05
    with open(output.design, encoding="utf-8") as design:
        assert "roi(dlpfc, rest)" in design.readline()


def test_variances_by_arm_are_told_and_used(trial, tmp_path):
    """The treatment arm's noise three times as large: told where one variance is assumed, used where each arm has its own."""
    (tmp_path / "equal").mkdir()
    (tmp_path / "own").mkdir()
    noisy = []
    arm = {row["participant_id"]: row["arm"] for row in tables.read_table(trial.folder / "participants.tsv")}
    rng = np.random.default_rng(0)
    for name, path in zip(NAMES, trial.followup):
        data, affine = images.load(path)
        if arm[name] == "baclofen":
            data = np.where(data != 0, data + rng.normal(0, 12, data.shape), 0)
        noisy.append(str(tmp_path / f"{name}.nii.gz"))
        images.save(noisy[-1], data, affine)
    results = {}
    for kind in ("equal", "own"):
        settings = {"variance": "by_arm" if kind == "own" else "equal", "permutations": 200, **EVERYTHING}
        output = call(trial, tmp_path / kind, inference=settings, given={"followup": noisy})
        results[kind] = tables.read_json(output.inference)
        maps = {name: images.load(getattr(output, name))[0] for name in ("t", "z", "tfce", "voxel_pfwe")}
        assert np.isfinite(maps["voxel_pfwe"][np.isfinite(maps["t"])]).all()
    equal, own = results["equal"], results["own"]
    assert equal["variance"]["larger"] == own["variance"]["larger"] == "baclofen"
    assert equal["variance"]["ratio"] == own["variance"]["ratio"] > 3
    assert any("set inference.variance to by_arm" in note for note in equal["model"]["notes"])
    assert any("each arm has a variance of its own here" in note for note in own["model"]["notes"])
    assert own["model"]["statistic"].startswith("Aspin-Welch v")
    low, high = own["model"]["df_range"]
    assert low < own["model"]["df"] < high <= equal["model"]["df"] + 1
    assert own["tests"]["cluster"]["forming_t"] == pytest.approx(stats.norm.isf(INFERENCE["cluster_forming_p"]))
    assert own["tests"]["voxel"]["statistic"].startswith("largest |z of v| in the mask")
    assert own["random_fields"]["status"].startswith("not known")


def test_a_contrast_of_states_has_no_percentage(trial, interaction, tmp_path):
    """Whatever its maps look like: these are a CBF's, and its weights decide."""
    output = call(trial, tmp_path, is_cbf=False, shared=["they share it; take others"])
    assert np.isnan(images.load(output.percent)[0]).all()
    assert np.isfinite(images.load(interaction.percent)[0]).any()
    summary, usual = (tables.read_json(each.inference) for each in (output, interaction))
    assert summary["percent"].startswith("none: a contrast of states")
    assert (usual["percent"], usual["notes"]) == (None, [])
    assert summary["notes"] == ["they share it; take others"]
    assert all("percent_mean" not in row for row in summary["clusters"])
    assert all("percent_mean" in row for row in usual["clusters"])


def write_global(trial, path, lost=()):
    """The table of global CBF of the trial's scans: the mean over their mask."""
    rows = []
    for session, label in (("baseline", "T1"), ("followup", "T2")):
        for name, file in zip(NAMES, getattr(trial, session)):
            mean = float(np.nanmean(np.where(trial.mask, images.load(file)[0], np.nan)))
            row = {"participant_id": name, "session_id": label, "contrast": "rest", "grey_matter": mean + 20}
            row["brain"] = None if (name, label) in lost else mean
            rows.append(
                row | {f"{each}_{part}": 1 for each in ("brain", "grey_matter") for part in ("voxels", "coverage")}
            )
    tables.write_table(path, rows, dict.fromkeys(rows[0], "x"))
    return str(path)


def test_global_cbf_is_a_term_and_those_without_it_are_left_out(trial, tmp_path):
    lost = [(NAMES[4], "T2")]
    table_path = write_global(trial, tmp_path / "global_values.tsv", lost)
    output = call(
        trial,
        tmp_path / "global",
        given={"global_values": [table_path]},
        effect=None,
        model="change ~ arm + global",
        test="arm",
        covariates=[],
        more={"cautions": ["global is later"]},
    )
    summary = tables.read_json(output.inference)
    assert [row["participant_id"] for row in summary["excluded"]] == [NAMES[4]]
    assert summary["cautions"] == ["global is later"]
    kept = [k for k in range(14) if k != 4]
    first, second = (np.stack([images.load(file)[0] for file in files]) for files in (trial.baseline, trial.followup))
    means = {(row["participant_id"], row["session_id"]): row["brain"] for row in tables.read_table(table_path)}
    change = [float(means[NAMES[k], "T2"]) - float(means[NAMES[k], "T1"]) for k in kept]
    columns = sm.add_constant(np.column_stack([TREATED[kept], change]).astype(float))
    fit = sm.OLS((second - first)[kept][:, *PLACE], columns).fit()
    assert images.load(output.effect)[0][PLACE] == pytest.approx(fit.params[1], rel=1e-5)
    assert images.load(output.t)[0][PLACE] == pytest.approx(fit.tvalues[1], rel=1e-4)


def test_relative_cbf_is_named_wherever_its_numbers_are(trial, tmp_path):
    scaled = {"scaling": "proportional", "reference": "grey_matter"}
    output = call(trial, tmp_path / "relative", more={"scaling": scaled})
    summary = tables.read_json(output.inference)
    unit = "mL/100 g/min of relative CBF (grey matter mean of each scan scaled to 50)"
    assert summary["effect"]["unit"] == summary["cbf_unit"] == unit
    assert summary["scaling"]["meaning"].startswith("each scan's CBF divided by its own mean over the grey matter")
    assert tables.read_json(output.effect.replace(".nii.gz", ".json"))["Units"] == unit
    tabulate(output, tmp_path)
    results = findings.Findings(tmp_path / "clusters.tsv", output.inference)
    assert f"{unit} lower on baclofen than on placebo" in " ".join(report.sentences(results, None))
    absolute = tables.read_json(call(trial, tmp_path / "absolute").inference)
    assert "cbf_unit" not in absolute
    assert absolute["effect"]["unit"] == "mL/100 g/min"


def test_grey_matter_and_another_contrast_are_terms_at_each_voxel(trial, tmp_path):
    rng = np.random.default_rng(11)
    grey = np.where(trial.mask, rng.uniform(0, 1, (14, *SHAPE)), np.nan)
    cue = 10 + 4 * rng.normal(size=(2, 14, *SHAPE))
    paths = []
    for kind, volumes in (("gm", grey), ("cue1", cue[0]), ("cue2", cue[1])):
        for name, volume in zip(NAMES, volumes):
            paths.append(str(tmp_path / f"{name}_{kind}.nii.gz"))
            images.save(paths[-1], volume, AFFINE)
    terms = [
        {"text": "gm", "lists": 1, "members": "followup", "is_cbf": False},
        {"text": "cbf(cue)", "lists": 2, "members": "followup", "is_cbf": True},
    ]
    output = call(
        trial,
        tmp_path / "maps",
        given={"terms": paths},
        effect=None,
        model="change ~ arm + gm + cbf(cue)",
        test="arm",
        covariates=[],
        more={"terms": terms},
    )
    first, second = (np.stack([images.load(file)[0] for file in files]) for files in (trial.baseline, trial.followup))
    effect, t = images.load(output.effect)[0], images.load(output.t)[0]
    for voxel in (PLACE, SEED_PLACE, (7, 8, 6)):
        at = (slice(None), *voxel)
        columns = np.column_stack([TREATED, grey[at], cue[1][at] - cue[0][at]]).astype(float)
        fit = sm.OLS((second - first)[at], sm.add_constant(columns)).fit()
        assert effect[voxel] == pytest.approx(fit.params[1], rel=1e-4)
        assert t[voxel] == pytest.approx(fit.tvalues[1], rel=1e-4)
