"""Who enters which analysis: arms, sessions, methods."""

import complete_settings
import pytest
import skeleton
from pharmasl.errors import InputErrors

ARMS = {"column": "arm", "treatment": "baclofen", "control": "placebo", "others": ["varenicline"]}


@pytest.fixture
def root(tmp_path):
    """Nine participants of three arms at three sessions, resting scans alone."""
    return skeleton.dataset(tmp_path / "bids", 9, ("T1", "T2", "T3"), ("rest",), ("baclofen", "placebo", "varenicline"))


def read(root, analyses, **changes):
    config = {
        **skeleton.config(root),
        "sessions": {"baseline": "T1", "followup": "T2", "others": ["T3"]},
        "arms": ARMS,
        "conditions": {"rest": {"acquisition": "rest"}},
        "contrasts": {"rest": {"rest": 1}},
        "analyses": {name: {"contrast": "rest", **part} for name, part in analyses.items()},
        **changes,
    }
    return complete_settings.read(config)


def remove(root, number, session):
    for path in (root / f"sub-{number:02d}/ses-{session}/perf").iterdir():
        path.unlink()


def test_an_analysis_takes_the_arms_it_is_about(root):
    study = read(
        root,
        {
            "interaction": {"effect": "group_by_time"},
            "pair": {"effect": "between_arms", "pair": ["varenicline", "placebo"]},
            "own": {"effect": "within_arm", "arm": "varenicline"},
            "slope": {"effect": "regression", "predictor": "age"},
        },
    )
    arms = {name: {study.participants[m]["arm"] for m in study.members(name)} for name in study.config["analyses"]}
    assert arms["interaction"] == {"baclofen", "placebo"}
    assert arms["pair"] == arms["slope"] == {"baclofen", "placebo", "varenicline"}
    assert arms["own"] == {"varenicline"}
    reasons = {(row["participant_id"], row["analysis"]): row["reason"] for row in study.incomplete()}
    assert reasons["sub-02", "interaction"] == "the arm varenicline is not part of it"


def test_an_association_is_of_both_arms_or_of_one_and_its_slopes_are_told_in_the_declared_regions(root):
    link = {"effect": "association", "seed": {"roi": "seed", "contrast": "rest"}}
    rois = {name: {"sphere": [0, 0, k], "radius": 5} for k, name in enumerate(("seed", "one", "two"))}
    analyses = {"both": link, "own": {**link, "arm": "varenicline"}, "plain": {"effect": "group_by_time"}}
    study = read(root, analyses, rois=rois)
    arms = {name: {study.participants[m]["arm"] for m in study.members(name)} for name in analyses}
    assert arms["both"] == arms["plain"] == {"baclofen", "placebo"}
    assert arms["own"] == {"varenicline"}
    found = complete_settings.targets(study)
    assert found.slopes.regions() == ["seed", "one", "two"]
    slopes = found.slopes.described()
    assert list(slopes) == ["both", "own"]
    assert slopes["own"]["members"] == [f"sub-{subject}" for subject in study.members("own")]
    assert slopes["own"]["sessions"] == {"baseline": "T1", "followup": "T2"}
    assert slopes["both"]["settings"]["inference"]["permutations"] == 5000
    craving = {"table": "c.tsv", "before": "a", "after": "b", "contrast": "rest"}
    found = complete_settings.targets(read(root, analyses, rois=rois, craving={**craving, "rois": ["two"]}))
    assert found.slopes.files("{roi}.tsv") == ["two.tsv", "seed.tsv"]
    # With the seed alone there is nothing to tell.
    for rest in ({"rois": {"seed": rois["seed"]}}, {"rois": rois, "craving": {**craving, "rois": ["seed"]}}):
        found = complete_settings.targets(read(root, analyses, **rest))
        assert found.slopes.analyses() == []
    assert complete_settings.targets(read(root, {"a": {"effect": "group_by_time"}}, rois=rois)).slopes.described() == {}


def test_an_analysis_can_name_its_own_sessions(root):
    study = read(root, {"late": {"effect": "group_by_time", "sessions": {"baseline": "T1", "followup": "T3"}}})
    assert study.analysis_sessions("late") == {"baseline": "T1", "followup": "T3"}
    paths = complete_settings.targets(study).analyses.session_maps("followup", "late")
    assert paths
    assert all("ses-T3" in path for path in paths)


def test_incomplete_participants_enter_where_the_method_takes_them(root):
    remove(root, 1, "T2")
    study = read(
        root,
        {
            "plain": {"effect": "group_by_time"},
            "mixed": {"effect": "group_by_time", "method": "mixed_model"},
            "first": {"effect": "baseline_difference"},
        },
    )
    assert "01" not in study.members("plain")
    assert "01" in study.members("mixed")
    assert "01" in study.members("mixed", "baseline")
    assert "01" not in study.members("mixed", "followup")
    # What concerns the baseline alone needs no follow-up.
    assert "01" in study.members("first")

    found = complete_settings.targets(study)
    assert found.analyses.session_maps("followup", "first") == []
    assert found.analyses.members("first")["followup"] == []


def test_the_arm_is_called_arm_whatever_the_dataset_calls_it(root):
    path = root / "participants.tsv"
    path.write_text(path.read_text().replace("\tarm\t", "\tgroup\t"))
    study = read(root, {"interaction": {"effect": "group_by_time"}}, arms={**ARMS, "column": "group"})
    rows = complete_settings.targets(study).sheets()["participants"]
    assert {row["arm"] for row in rows} == {"baclofen", "placebo", "varenicline"}


def test_both_columns_of_a_change_are_needed(root):
    path = root / "participants.tsv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0] + "\tw1\tw2", *(f"{line}\t80\t{70 + k}" for k, line in enumerate(lines[1:]))]))
    path.write_text(path.read_text().replace("\t80\t70", "\tn/a\t70") + "\n")
    study = read(root, {"a": {"effect": "group_by_time", "covariates": ["w2 - w1"]}})
    assert "01" not in study.members("a")
    with pytest.raises(InputErrors, match="w3"):
        read(root, {"a": {"effect": "group_by_time", "covariates": ["w3 - w1"]}})
    with pytest.raises(InputErrors, match="do not change"):
        read(root, {"a": {"effect": "group_by_time", "covariates": ["w2 - w1"], "method": "mixed_model"}})


@pytest.mark.parametrize(
    ("analysis", "changes", "field"),
    [
        ({"effect": "within_arm"}, {}, "analyses.a.arm"),
        ({"effect": "within_arm", "arm": "nobody"}, {}, "analyses.a.arm"),
        ({"effect": "group_by_time", "arm": "placebo"}, {}, "analyses.a"),
        ({"effect": "between_arms"}, {}, "analyses.a.pair"),
        ({"effect": "group_by_time", "sessions": {"baseline": "T1", "followup": "T9"}}, {}, "analyses.a.sessions"),
        ({"effect": "group_by_time", "within": "nowhere"}, {}, "analyses.a.within"),
        ({"effect": "regression"}, {}, "analyses.a.predictor"),
        ({"effect": "regression", "predictor": "weight"}, {}, "weight"),
        ({"effect": "group_by_time", "site": "centre"}, {}, "centre"),
        ({"effect": "within_arm", "arm": "placebo", "method": "mixed_model"}, {}, "analyses.a.method"),
        ({"effect": "group_by_time", "method": "full_factorial", "covariates": ["age"]}, {}, "analyses.a.covariates"),
        ({"effect": "group_by_time", "inference": {"neighbours": 7}}, {}, "analyses.a.inference.neighbours"),
        ({"effect": "group_by_time", "inference": {"threshold": 3.1}}, {}, "analyses.a.inference"),
        ({"effect": "group_by_time"}, {"conjunctions": {"both": ["a", "b"]}}, "conjunctions.both"),
        ({"effect": "group_by_time"}, {"arms": {**ARMS, "others": []}}, "arm of sub-02, sub-05, sub-08"),
    ],
)
def test_what_does_not_fit_is_named(root, analysis, changes, field):
    with pytest.raises(InputErrors) as caught:
        read(root, {"a": analysis}, **changes)
    assert field in [error.field for error in caught.value.errors]
