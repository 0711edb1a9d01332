"""The comparison with the truth: right results are called found, wrong ones are not."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import simulation
from loading import script
from pharmasl.files import tables
from pharmasl.simulate import accuracy, brain_comparison, craving_comparison, simulation_settings, virtual_trial
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.space import images, transforms
from pharmasl.study import settings

ARMS, SESSIONS = simulation.arms(), simulation.sessions()
AFFINE = np.diag([4.0, 4, 4, 1])
AFFINE[:3, 3] = (-70, -20, -40)
SHAPE = (36, 24, 24)
POINTS = transforms.points(images.Grid(SHAPE, AFFINE))
COMPARE = simulation.section()["compare"]
SETTINGS = simulation.trial(
    seed=1,
    exact=True,
    people={"treatment": 4, "control": 4},
    blood_flow={"grey": 60.0, "white": 20.0, "grey_spread": 7.0, "between_sessions": 0.0, "between_runs": 0.0},
    effects={"resting_rise": 28.0, "resting_spread": 8.0, "cue_response": 15.0, "cue_spread": 0.5, "slope": -0.8},
    craving={
        "before": 30.0,
        "before_spread": 8.0,
        "elicited": 30.0,
        "elicited_spread": 5.0,
        "slope": 1.0,
        "noise": 2.0,
    },
)


def effect_rows():
    rows = [
        ("resting group by time", "dlpfc", 28.0),
        *(("association with the dlPFC's change", r, -0.8) for r in ("insula", "vmpfc")),
        *(("cue response at baseline", r, 15.0) for r in ("insula", "vmpfc")),
    ]
    return [
        {"effect": effect, "x": repr(x), "y": repr(y), "z": repr(z), "amount": repr(amount)}
        for effect, region, amount in rows
        for x, y, z in REGIONS[region].centres
    ]


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A trial whose scanner resolves everything: the maps are the planted sums."""
    folder = tmp_path_factory.mktemp("truth")
    participants, scans, _ = virtual_trial.draw(SETTINGS, ARMS, SESSIONS)
    paths = []
    for number, scan in enumerate(scans):
        cbf = scan["gm_cbf"] + sum(scan[name] * region.weight(POINTS) for name, region in REGIONS.items())
        paths.append(folder / f"{number}.nii.gz")
        images.save(paths[-1], cbf, AFFINE)
    return participants, scans, brain_comparison.TruthMaps(scans, paths, 0.0)


def analysis(folder, name, effect, t, regions, p=0.001, people=range(1, 9)):
    """An analysis as the workflow writes it, with a cluster at each centre of some regions."""
    clusters, number = np.zeros(SHAPE, np.int16), 0
    for region in regions:
        for centre in region.centres:
            number += 1
            clusters[region.around(centre).weight(POINTS) > 0.3] = number
    files = {key: folder / f"{name}_{key}.nii.gz" for key in ("effect", "t", "verdict", "clusters")}
    images.save(files["effect"], effect, AFFINE)
    images.save(files["t"], t, AFFINE)
    images.save(files["verdict"], -np.log10(np.where(clusters > 0, p, 1)), AFFINE)
    images.save(files["clusters"], clusters, AFFINE, dtype=np.int16)
    files["table"] = folder / f"{name}_clusters.tsv"
    rows = [{"cluster": k, "x": 0.0, "y": 0.0, "z": 0.0, "region": f"Region_{k}"} for k in range(1, number + 1)]
    tables.write_table(files["table"], rows, dict.fromkeys(("cluster", "x", "y", "z", "region"), "-"))
    files["inference"] = folder / f"{name}_inference.json"
    decided = {"statistic": "extent", "error_rate": "family-wise error", "alpha": 0.05}
    tables.write_json(files["inference"], {"verdict": decided, "seed": {"roi": "spot"} if name == "cue" else None})
    files["design"] = folder / f"{name}_design.tsv"
    rows = [{"participant_id": f"sub-{k:02d}", "arm": 1.0} for k in people]
    tables.write_table(files["design"], rows, dict.fromkeys(("participant_id", "arm"), "-"))
    return brain_comparison.AnalysisResult(brain_comparison.AnalysisFiles(**files))


def perfect(planted, folder, sign=1.0, p=0.001):
    participants, _, truth = planted
    treated = np.array([row["arm"] == "baclofen" for row in participants], dtype=float)
    rest = truth.change(participants, SESSIONS, {"rest": 1})
    cue = truth.change(participants, SESSIONS, {"smoking": 1, "neutral": -1})
    design = np.column_stack([np.ones(len(treated)), treated])
    effect = brain_comparison.ordinary_least_squares(design, rest.reshape(len(rest), -1))[1].reshape(SHAPE)
    seed = rest[:, REGIONS["dlpfc"].weight(POINTS) > 0.3].mean(axis=1)
    slope = brain_comparison.ordinary_least_squares(np.column_stack([design, seed]), cue.reshape(len(cue), -1))[
        2
    ].reshape(SHAPE)
    return (
        analysis(folder, "rest", sign * effect, sign * effect, [REGIONS["dlpfc"]], p),
        analysis(folder, "cue", sign * slope, 10 * sign * slope, [REGIONS["insula"], REGIONS["vmpfc"]], p),
    )


def seed_mask(folder, region=REGIONS["dlpfc"]):
    path = folder / "spot_mask.nii.gz"
    images.save(path, region.weight(POINTS) > 0.3, AFFINE, dtype=np.uint8)
    return path


def brain_rows(planted, rest, association, folder):
    truth = brain_comparison.Truth(planted[0], effect_rows(), planted[2])
    masks = {"spot": seed_mask(folder)}
    return brain_comparison.brain_rows(truth, rest, association, masks, arms=ARMS, sessions=SESSIONS)


def test_what_was_planted_is_found_where_it_was_planted(planted, tmp_path):
    rows = brain_rows(planted, *perfect(planted, tmp_path), tmp_path)
    effects = [row for row in rows if row.planted_at]
    assert len(effects) == 4
    for row in effects:
        assert row.verdict == "found"
        assert row.found == pytest.approx(row.expected, rel=2e-3)
        assert row.p == pytest.approx(0.001, rel=1e-3)
        # The weight is one over 8 mm about the centre.
        assert row.distance <= 9
        assert row.found_region.startswith("Region_")
    assert [row.planted for row in effects] == [28.0, -0.8, -0.8, -0.8]
    assert [row.found for row in rows if not row.planted_at] == [0, 0]


def test_the_other_sign_is_not_found(planted, tmp_path):
    found = perfect(planted, tmp_path, sign=-1.0)
    rows = brain_rows(planted, *found, tmp_path)
    assert {row.verdict for row in rows if row.planted_at} == {"wrong sign"}


def test_what_is_not_significant_is_not_found(planted, tmp_path):
    found = perfect(planted, tmp_path, p=0.2)
    rows = brain_rows(planted, *found, tmp_path)
    assert {row.verdict for row in rows if row.planted_at} == {"not found"}


def test_people_whom_the_analysis_did_not_take_change_nothing_of_what_is_expected(planted, tmp_path):
    """The truth of six of eight: least squares over these six, whoever else was simulated."""
    participants, _, truth = planted
    some = [row for k, row in enumerate(participants) if k not in (2, 7)]
    names = [int(row["participant_id"][-2:]) for row in some]
    everyone = perfect(planted, tmp_path)[0]
    rest = analysis(tmp_path, "some", everyone.effect, everyone.t, [REGIONS["dlpfc"]], people=names)
    change = truth.mean(truth.change(some, SESSIONS, {"rest": 1}), REGIONS["dlpfc"])
    treated = np.array([row["arm"] == "baclofen" for row in some])
    asked = brain_comparison.Truth(participants, effect_rows(), truth)
    association = analysis(tmp_path, "cue", everyone.effect, everyone.t, [REGIONS["dlpfc"]], people=names)
    masks = {"spot": seed_mask(tmp_path)}
    row = brain_comparison.brain_rows(asked, rest, association, masks, arms=ARMS, sessions=SESSIONS)[0]
    assert row.expected == pytest.approx(change[treated].mean() - change[~treated].mean(), rel=1e-3)


@pytest.mark.parametrize(("shift", "holds"), [(0.0, "yes"), (1.9, "yes"), (2.1, "no"), (-2.1, "no")])
def test_an_interval_holds_the_truth_or_does_not(planted, tmp_path, shift, holds):
    participants, _, truth = planted
    rest = perfect(planted, tmp_path)[0]
    weight = REGIONS["dlpfc"].weight(POINTS)
    images.save(tmp_path / "roi.nii.gz", weight > 0.5, AFFINE, dtype=np.uint8)
    inside = images.load(tmp_path / "roi.nii.gz").data > 0.5
    change = truth.change(participants, SESSIONS, {"rest": 1})[:, inside].mean(axis=1)
    treated = np.array([row["arm"] == "baclofen" for row in participants])
    expected = change[treated].mean() - change[~treated].mean()
    centre = expected + shift
    names = ("roi", "estimate", "ci_low", "ci_high", "p", "defined_by_same_data")
    own = dict(zip(names, ("here", centre, centre - 2, centre + 2, 0.04, "false")))
    rows = [own, {**own, "roi": "chosen", "defined_by_same_data": "true"}, {**own, "roi": "empty", "estimate": None}]
    tables.write_table(tmp_path / "regions.tsv", rows, dict.fromkeys(names, "-"))
    masks = dict.fromkeys(("here", "chosen", "empty"), tmp_path / "roi.nii.gz")
    asked = brain_comparison.Truth(participants, effect_rows(), truth)
    made = brain_comparison.region_rows(asked, rest, tmp_path / "regions.tsv", masks, arms=ARMS, sessions=SESSIONS)
    assert [row.region for row in made] == ["here"]
    assert made[0].expected == pytest.approx(expected, rel=1e-3)
    assert made[0].holds == holds


def cue_rows(planted, folder, effect, p):
    """The rows of a study whose map of the mean response is given, with a region whose interval is 2 about the truth."""
    participants, _, truth = planted
    asked = brain_comparison.Truth(participants, effect_rows(), truth)
    regions = [REGIONS["insula"], REGIONS["vmpfc"]]
    found = analysis(folder, "response", effect, effect, regions, p)
    images.save(folder / "roi.nii.gz", REGIONS["vmpfc"].weight(POINTS) > 0.5, AFFINE, dtype=np.uint8)
    inside = images.load(folder / "roi.nii.gz").data > 0.5
    centre = float(effect[inside].mean())
    names = ("roi", "estimate", "ci_low", "ci_high", "p", "defined_by_same_data")
    row = dict(zip(names, ("vmpfc", centre, centre - 2, centre + 2, p, "false")))
    tables.write_table(folder / "cue_regions.tsv", [row], dict.fromkeys(names, "-"))
    return brain_comparison.cue_rows(
        asked, found, folder / "cue_regions.tsv", {"vmpfc": folder / "roi.nii.gz"}, sessions=SESSIONS
    )


def test_the_cue_response_is_that_of_the_first_session(planted, tmp_path):
    participants, scans, truth = planted
    effect = truth.cue(participants, SESSIONS.baseline).mean(axis=0)
    *places, stray, region = cue_rows(planted, tmp_path, effect, 0.001)
    assert [row.verdict for row in places] == ["found"] * 3
    by_condition = {
        cue: np.mean([scan["vmpfc"] for scan in scans if (scan["session_id"], scan["condition"]) == ("T1", cue)])
        for cue in ("smoking", "neutral")
    }
    weight = REGIONS["vmpfc"].weight(POINTS)
    mean = (weight**2).sum() / weight.sum() * (by_condition["smoking"] - by_condition["neutral"])
    assert places[-1].expected == pytest.approx(mean, rel=1e-3)
    assert places[-1].found == pytest.approx(mean, rel=1e-3)
    assert (stray.found, region.holds) == (0, "yes")


def test_a_cue_response_that_bold_made_is_not_held(planted, tmp_path):
    """Pairwise differences find less by 14 mL/100 g/min where BOLD is 1 %."""
    participants, _, truth = planted
    effect = truth.cue(participants, SESSIONS.baseline).mean(axis=0) - 14 * REGIONS["vmpfc"].weight(POINTS)
    assert cue_rows(planted, tmp_path, effect, 0.2)[-1].holds == "no"


def test_maps_of_a_condition_of_two_runs_are_averaged(tmp_path):
    paths = [tmp_path / "one.nii.gz", tmp_path / "two.nii.gz"]
    for path, value in zip(paths, (40.0, 50.0)):
        images.save(path, np.full(SHAPE, value), AFFINE)
    first = {"participant_id": "sub-01", "session_id": "T1"}
    named = [{**first, "condition": cue} for cue in ("smoking", "smoking", "neutral")]
    maps = brain_comparison.TruthMaps(named, [*paths, paths[0]], 0.0)
    np.testing.assert_allclose(maps.cue([first], "T1"), 5.0)


def test_an_association_that_was_not_run_has_no_value(planted, tmp_path):
    """In a trial without effects its seed region, a cluster, is hardly ever there."""
    rest = perfect(planted, tmp_path)[0]
    nothing = np.full(SHAPE, np.nan)
    rows = brain_rows(planted, rest, analysis(tmp_path, "none", nothing, nothing, [], people=()), tmp_path)
    assert [row.verdict for row in rows] == ["found", "none", "not run", "not run", "not run"]
    assert [row.planted for row in rows[2:]] == [-0.8] * 3
    assert all(row.expected is None and row.found is None for row in rows[2:])


def test_the_slope_is_expected_on_the_seed_that_was_taken_wherever_it_lies(planted, tmp_path):
    """A cluster of noise may be the largest: what is expected is the slope on its own true change, not on the planted region's."""
    participants, _, truth = planted
    rest, association = perfect(planted, tmp_path)
    change = truth.change(participants, SESSIONS, {"rest": 1})
    cue = truth.change(participants, SESSIONS, {"smoking": 1, "neutral": -1})
    treated = np.array([row["arm"] == "baclofen" for row in participants], dtype=float)
    design = np.column_stack([np.ones(len(treated)), treated])
    seed = change[:, REGIONS["insula"].weight(POINTS) > 0.3].mean(axis=1)
    masks = {"spot": seed_mask(tmp_path, REGIONS["insula"])}
    planted_truth = brain_comparison.Truth(participants, effect_rows(), truth)
    rows = brain_comparison.brain_rows(planted_truth, rest, association, masks, arms=ARMS, sessions=SESSIONS)
    vmpfc = REGIONS["vmpfc"]
    mean = truth.mean(cue, vmpfc.around(vmpfc.centres[0]))
    slope = brain_comparison.ordinary_least_squares(np.column_stack([design, seed]), mean[:, None])[2, 0]
    (row,) = (row for row in rows if row.planted_at == " ".join(f"{value:g}" for value in vmpfc.centres[0]))
    assert row.expected == pytest.approx(slope, rel=1e-3)


def test_the_overlap_with_what_was_planted_is_dices(planted, tmp_path):
    """Of clusters where the weight is above 0.3 with the region where it is above one half."""
    row = brain_rows(planted, *perfect(planted, tmp_path), tmp_path)[0]
    weight = REGIONS["dlpfc"].weight(POINTS)
    cluster, region = weight > 0.3, weight > 0.5
    assert row.dice == pytest.approx(2 * (cluster & region).sum() / (cluster.sum() + region.sum()), rel=1e-2)


def test_stray_clusters_are_counted(planted, tmp_path):
    t = np.ones(SHAPE)
    stray = analysis(tmp_path, "stray", t, t, [REGIONS["dlpfc"], REGIONS["vmpfc"]])
    cue = analysis(tmp_path, "cue", t, t, [REGIONS["dlpfc"], REGIONS["vmpfc"]])
    rows = brain_rows(planted, stray, cue, tmp_path)
    assert [row.found for row in rows if not row.planted_at] == [1, 1]


def test_craving_rows_read_the_right_tests(planted):
    participants = planted[0]
    model = [
        {"analysis": "paired_t", "term": "change", "arm": "baclofen", "estimate": "-21", "p": "0.001"},
        {"analysis": "paired_t", "term": "change", "arm": "placebo", "estimate": "0.5", "p": "0.7"},
        {"analysis": "difference_of_changes", "term": "arm:session", "arm": None, "estimate": "-21.5", "p": "0.2"},
    ]
    correlations = [
        {"roi": "vmpfc", "timing": "change", "group": "all", "method": "pearson", "estimate": "-0.5", "p": "0.01"},
    ]
    rows = craving_comparison.craving_rows(
        participants,
        model=model,
        correlations=correlations,
        arms=ARMS,
        compare=settings.build(simulation_settings.ComparedNames, COMPARE),
        alpha=0.05,
    )
    assert [row.verdict for row in rows] == ["described", "described", "not significant", "not tested", "wrong sign"]
    assert rows[2].planted == pytest.approx(-0.8 * 28, rel=1e-3)
    # Noise of 2 points beside 6.4 = 0.8 * 8 of the insula.
    assert rows[3].planted == pytest.approx(np.sqrt(1 / (1 + 4 / (6.4**2 + 0.25))), abs=0.02)


def test_map_and_geometry_rows_measure_known_errors(tmp_path):
    rng = np.random.default_rng(2)
    truth = rng.uniform(20, 60, SHAPE).astype(np.float32)
    paths = [tmp_path / name for name in ("truth.nii.gz", "found.nii.gz", "gm.nii.gz")]
    for path, data in zip(paths, (truth, 1.1 * truth, np.ones(SHAPE))):
        images.save(path, data, AFFINE)
    level, similarity = accuracy.map_rows(paths[:1], paths[1:2], paths[2])
    assert level.found == pytest.approx(1.1 * level.expected, rel=1e-3)
    assert similarity.found == pytest.approx(1)

    mask = np.zeros(SHAPE, np.uint8)
    mask[4:20, 4:20, 4:20] = 1
    images.save(tmp_path / "mask.nii.gz", mask, AFFINE, dtype=np.uint8)
    images.save(tmp_path / "moved.nii.gz", np.roll(mask, 2, axis=0), AFFINE, dtype=np.uint8)
    transforms.write_field(tmp_path / "truth_field.nii.gz", POINTS, AFFINE)
    transforms.write_field(tmp_path / "field.nii.gz", POINTS + np.array([0, 3.0, 4.0]), AFFINE)
    shifted = np.repeat(np.eye(4)[None], 2, axis=0)
    shifted[1, 0, 3] = 1.0
    transforms.write_affines(tmp_path / "still.txt", np.repeat(np.eye(4)[None], 2, axis=0))
    transforms.write_affines(tmp_path / "shifted.txt", shifted)
    transforms.write_affines(tmp_path / "one.txt", np.eye(4))
    people = [
        accuracy.PersonFiles(
            truth_mask=tmp_path / "mask.nii.gz",
            mask=tmp_path / "moved.nii.gz",
            truth_field=tmp_path / "truth_field.nii.gz",
            field=tmp_path / "field.nii.gz",
        )
    ]
    runs = [
        accuracy.RunFiles(
            truth_motion=tmp_path / "still.txt",
            motion=tmp_path / "shifted.txt",
            person=0,
            truth_coregistration=tmp_path / "one.txt",
            coregistration=tmp_path / "one.txt",
        )
    ]
    without = accuracy.geometry_rows([dataclasses.replace(people[0], field=None)], runs, paths[2])
    dice, warp, placement = accuracy.geometry_rows(people, runs, paths[2])
    # Without the field, that of the fit to the template is lacking alone.
    assert without == [dice, placement]
    assert dice.found == pytest.approx(14 / 16)
    assert warp.found == pytest.approx(5, rel=1e-4)
    # One millimetre in one of two volumes.
    assert placement.found == pytest.approx(np.sqrt(0.5), rel=1e-4)


class Names(SimpleNamespace):
    """Files with names, as Snakemake gives."""


def test_script_writes_table_and_text(planted, tmp_path):
    participants, scans, _ = planted
    perfect(planted, tmp_path)
    given = Names(plan=tmp_path / "plan.tsv", scans=tmp_path / "scans.tsv", effects=tmp_path / "effects.tsv")
    tables.write_table(given.plan, participants, virtual_trial.PARTICIPANT_COLUMNS)
    tables.write_table(given.scans, scans, virtual_trial.SCAN_COLUMNS)
    dataset_columns = dict.fromkeys(("effect", "x", "y", "z", "amount"), "-")
    tables.write_table(given.effects, effect_rows(), dataset_columns)
    for question, name in (("rest", "rest"), ("association", "cue")):
        for key in ("effect", "t", "verdict", "clusters"):
            setattr(given, f"{question}_{key}", tmp_path / f"{name}_{key}.nii.gz")
        setattr(given, f"{question}_table", tmp_path / f"{name}_clusters.tsv")
        setattr(given, f"{question}_inference", tmp_path / f"{name}_inference.json")
        setattr(given, f"{question}_design", tmp_path / f"{name}_design.tsv")
    given.truth_cbf = []
    for number, scan in enumerate(scans):
        cbf = scan["gm_cbf"] * (1 + 0.1 * np.sin(POINTS[..., 0]))
        cbf += sum(scan[name] * region.weight(POINTS) for name, region in REGIONS.items())
        given.truth_cbf.append(tmp_path / f"truth_{number}.nii.gz")
        images.save(given.truth_cbf[-1], cbf, AFFINE)
    given.cbf = given.conditions = given.truth_cbf
    given.gm = tmp_path / "gm.nii.gz"
    images.save(given.gm, np.ones(SHAPE), AFFINE)
    images.save(tmp_path / "mask.nii.gz", np.ones(SHAPE), AFFINE, dtype=np.uint8)
    transforms.write_field(tmp_path / "field.nii.gz", POINTS.copy(), AFFINE)
    transforms.write_affines(tmp_path / "one.txt", np.eye(4))
    for key, name in (("mask", "mask.nii.gz"), ("field", "field.nii.gz")):
        setattr(given, key, [tmp_path / name] * len(participants))
        setattr(given, f"truth_{key}", [tmp_path / name] * len(participants))
    for key in ("motion", "coregistration"):
        setattr(given, key, [tmp_path / "one.txt"] * len(scans))
        setattr(given, f"truth_{key}", [tmp_path / "one.txt"] * len(scans))
    given.cigarettes, given.cue_regions, given.truth_hertz, given.hertz = [], [], [], []
    given.truth_att, given.att = [], []
    given.masks = [seed_mask(tmp_path)]
    given.regions = tmp_path / "no_regions.tsv"
    names = ("roi", "estimate", "ci_low", "ci_high", "p", "defined_by_same_data")
    tables.write_table(given.regions, [], dict.fromkeys(names, "-"))
    given.model, given.correlations = tmp_path / "model.tsv", tmp_path / "correlations.tsv"
    model = [{"analysis": "difference_of_changes", "term": "arm:session", "estimate": -22.0, "p": 0.001}]
    tables.write_table(given.model, model, dict.fromkeys(("analysis", "term", "arm", "estimate", "p"), "-"))
    tables.write_table(
        given.correlations, [], dict.fromkeys(("roi", "timing", "group", "method", "estimate", "p"), "-")
    )
    output = Names(table=tmp_path / "comparison.tsv", text=tmp_path / "comparison.txt")
    params = Names(arms=simulation.ARMS, sessions=simulation.SESSIONS, compare=COMPARE, smoothing_fwhm=0.0, alpha=0.05)
    params.states = [[row["participant_id"][-2:], row["run"], row["condition"]] for row in scans]
    params.rois = ["spot"]
    script("compare_truth").main(Names(input=given, output=output, params=params, threads=1))

    rows = tables.read_table(output.table)
    assert [row["verdict"] for row in rows][:6] == ["found", "none", "found", "found", "found", "none"]
    assert [row["verdict"] for row in rows][6:11] == ["described", "described", "found", "not tested", "not tested"]
    found = {row["effect"]: row["found"] for row in rows}
    assert float(found["CBF map with the truth, mean over scans"]) == 1
    assert float(found["brain mask, mean over participants"]) == 1
    text = output.text.read_text(encoding="utf-8")
    assert "peak at (" in text
    assert len(text.splitlines()) > 3 * 10


def test_the_row_of_cigarettes_reads_the_endpoints_test():
    people = [
        {"arm": arm, "cigarettes_baseline": str(10 + k), "cigarettes_followup": str(9 + k - 5 * (arm == "baclofen"))}
        for k, arm in enumerate(["baclofen", "placebo", "placebo", "baclofen"] * 2)
    ]
    model = [{"analysis": "test", "estimate": "-4.5", "p": "0.01"}, {"analysis": "part", "estimate": "1", "p": "0.9"}]
    (row,) = craving_comparison.cigarette_rows(people, model, arms=ARMS, alpha=0.05)
    assert (row.planted, row.found, row.verdict) == (-5.0, -4.5, "found")


def test_a_seed_between_the_points_of_the_truth_takes_those_beside_it(tmp_path):
    """One voxel of 3 mm between the points of a grid of 4 mm, one of which lies outside of the brain."""
    grid = images.Grid((4, 4, 4), np.diag([4.0, 4, 4, 1]))
    maps = SimpleNamespace(points=transforms.points(grid))
    resting = np.broadcast_to(np.arange(4.0)[:, None, None], (2, 4, 4, 4)).copy()
    resting[1] += 10
    resting[:, 2, 1, 1] = np.nan
    seed = images.Grid((3, 3, 3), np.array([[3.0, 0, 0, 3], [0, 3, 0, 3], [0, 0, 3, 3], [0, 0, 0, 1]]))
    mask = np.zeros(seed.shape, np.uint8)
    mask[1, 1, 1] = 1
    images.save(tmp_path / "seed.nii.gz", mask, seed.affine)
    # The voxel at 6 mm is as far from 4 as from 8 mm: seven of eight points count.
    expected = (4 * 1 + 3 * 2) / 7
    change = brain_comparison._seed_change(maps, resting, tmp_path / "seed.nii.gz")
    np.testing.assert_allclose(change, [expected, expected + 10])
