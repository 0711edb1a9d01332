"""The draw of the simulated trial: what is declared is what is planted."""

import copy

import numpy as np
import pytest
import simulation
import yaml
from loading import ROOT
from pharmasl.simulate import exact_draws, planted_cigarettes, trial_draws, virtual_trial
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.study import schemas


@pytest.fixture(scope="module")
def drawn():
    return draw()


def draw(**changes):
    return virtual_trial.draw(simulation.trial(exact=True, **changes), simulation.arms(), simulation.sessions())


def column(rows, name):
    return np.array([row[name] for row in rows], dtype=float)


def treated(rows):
    return np.array([row["arm"] == "baclofen" for row in rows])


def test_demo_configuration_fits_the_schema():
    demo = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text(encoding="utf-8"))
    assert not schemas.check(copy.deepcopy(demo["simulate"]), "simulate", "config", fill=True)


def test_spread_is_exact_and_orthogonal():
    rng = np.random.default_rng(1)
    nuisance = np.column_stack([np.ones(12), np.arange(12) % 2, rng.integers(20, 60, 12)]).astype(float)
    values = exact_draws.spread(np.random.default_rng(2), nuisance, 8.0)
    np.testing.assert_allclose(nuisance.T @ values, 0, atol=1e-9)
    assert np.sqrt((values**2).sum() / 10) == pytest.approx(8, rel=1e-12)


def test_spread_without_freedom_is_zero():
    assert not exact_draws.spread(np.random.default_rng(2), np.ones((2, 4)), 8.0).any()


def test_arms_are_of_one_size_and_alike_in_sex(drawn):
    participants = drawn[0]
    arm = treated(participants)
    female = np.array([row["sex"] == "F" for row in participants])
    assert arm.sum() == 8
    assert (~arm).sum() == 8
    assert female[arm].sum() == female[~arm].sum() == 4


def test_arm_difference_of_the_resting_change_is_as_declared(drawn):
    participants = drawn[0]
    change, arm = column(participants, "dlpfc_change"), treated(participants)
    effects = simulation.section()["effects"]
    assert change[arm].mean() == pytest.approx(effects["resting_rise"], abs=1e-9)
    assert change[~arm].mean() == pytest.approx(0, abs=1e-9)
    residual = change - np.where(arm, change[arm].mean(), change[~arm].mean())
    assert np.sqrt((residual**2).sum() / 14) == pytest.approx(effects["resting_spread"], rel=1e-9)


@pytest.mark.parametrize("region", ["insula", "vmpfc"])
def test_slope_adjusted_for_arm_age_and_sex_is_as_declared(drawn, region):
    participants = drawn[0]
    design = np.column_stack(
        [
            np.ones(16),
            treated(participants),
            column(participants, "age"),
            [row["sex"] == "F" for row in participants],
            column(participants, "dlpfc_change"),
        ]
    ).astype(float)
    slope = np.linalg.lstsq(design, column(participants, f"{region}_cue_change"), rcond=None)[0][-1]
    assert slope == pytest.approx(simulation.section()["effects"]["slope"], rel=1e-9)


def test_craving_follows_the_insula(drawn):
    participants = drawn[0]
    change = column(participants, "craving_followup") - column(participants, "craving_baseline")
    design = np.column_stack([np.ones(16), treated(participants), column(participants, "insula_cue_change")])
    assert np.linalg.lstsq(design, change, rcond=None)[0][-1] == pytest.approx(1.0, rel=1e-9)
    arm = treated(participants)
    effects = simulation.section()["effects"]
    assert change[arm].mean() - change[~arm].mean() == pytest.approx(
        effects["slope"] * effects["resting_rise"], rel=1e-9
    )


def test_scans_hold_what_participants_hold(drawn):
    participants, scans, _ = drawn
    assert len(scans) == 16 * 2 * 3
    found = {(row["participant_id"], row["session_id"], row["condition"]): row for row in scans}
    for row in participants:
        name = row["participant_id"]
        for condition in trial_draws.CONDITIONS:
            gain = found[name, "T2", condition]["dlpfc"] - found[name, "T1", condition]["dlpfc"]
            assert gain == pytest.approx(row["dlpfc_change"], abs=1e-12)
        for region in ("insula", "vmpfc"):
            cue = [
                found[name, session, "smoking"][region] - found[name, session, "neutral"][region]
                for session in ("T1", "T2")
            ]
            assert cue[1] - cue[0] == pytest.approx(row[f"{region}_cue_change"], abs=1e-9)
    baseline = [row["insula"] for row in scans if (row["session_id"], row["condition"]) == ("T1", "smoking")]
    assert np.mean(baseline) == pytest.approx(simulation.section()["effects"]["cue_response"], rel=1e-9)


def test_craving_table_is_the_rounded_truth_within_the_scale(drawn):
    participants, _, craving = drawn
    truth = {row["participant_id"]: row for row in participants}
    for row in craving:
        assert 0 <= row["craving_pre"] <= row["craving_pre"] + 100
        assert 0 <= row["craving_post"] <= 100
        planted = truth[row["participant_id"]]["craving_baseline" if row["session_id"] == "T1" else "craving_followup"]
        # Two roundings, of half a point each.
        assert abs(row["craving_post"] - row["craving_pre"] - planted) <= 1


def test_seed_decides(drawn):
    assert draw() == drawn
    assert draw(seed=1) != drawn


@pytest.mark.parametrize("per_arm", [1, 2, 3])
def test_tiny_trials_can_be_drawn(per_arm):
    participants, scans, craving = draw(people={"treatment": per_arm, "control": per_arm})
    assert len(participants) == 2 * per_arm
    assert np.isfinite([row["gm_cbf"] for row in scans]).all()
    assert len(craving) == 4 * per_arm


@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS)
def test_weight_is_one_in_the_core_and_zero_beyond_the_edge(region):
    for centre in region.centres:
        away = np.array(centre) + np.array([[0, 0, 1.0]]) * np.array(
            [[0.0], [region.core], [(region.core + region.edge) / 2], [region.edge], [region.edge + 3]]
        )
        np.testing.assert_allclose(region.weight(away), [1, 1, 0.5, 0, 0], atol=1e-6)
        assert region.distance(np.array(centre)) == 0


def test_cigarettes_differ_between_the_arms_at_equal_baselines_as_declared():
    """By least squares over everyone; the table has the planted numbers, and none of the follow-ups that are lost."""
    asked = simulation.trial(exact=True, cigarettes={"lost": 2})
    participants = draw()[0]
    made = planted_cigarettes.draw(asked, participants, simulation.arms(), simulation.sessions())
    before, after = (column(made.plan, f"cigarettes_{when}") for when in ("baseline", "followup"))
    design = np.column_stack([np.ones(16), treated(participants), before])
    _, effect, slope = np.linalg.lstsq(design, after, rcond=None)[0]
    assert (effect, slope) == pytest.approx((asked.cigarettes.effect, asked.cigarettes.slope), rel=1e-9)
    missing = [row["participant_id"] for row in made.table if row["cigarettes_per_day"] is None]
    assert missing == [row["participant_id"] for row in participants if row["arm"] == "baclofen"][-2:]
    for row, planted in zip(made.table, np.column_stack([before, after]).ravel()):
        assert row["cigarettes_per_day"] is None or abs(row["cigarettes_per_day"] - planted) <= 0.05


def test_cigarettes_change_nothing_else_of_a_seeds_trial():
    assert draw(cigarettes={"effect": 3.0}) == draw()
