"""What a region, a seed or a contrast shares with what is tested against it."""

import complete_settings
import pytest
from pharmasl.errors import InputErrors
from pharmasl.study import configuration, settings, shared_data

ARMS = {"column": "arm", "treatment": "drug", "control": "placebo"}


def config(**changes):
    base = {
        "bids_dir": "bids",
        "output_dir": "results",
        "sessions": {"baseline": "T1", "followup": "T2"},
        "arms": ARMS,
        "conditions": {name: {"acquisition": name} for name in ("rest", "smoking", "neutral")},
        "contrasts": {
            "rest": {"rest": 1},
            "again": {"rest": 2},
            "cue": {"smoking": 1, "neutral": -1},
            "change": {"smoking": 1, "rest": -1},
            "all": {"rest": 0.5, "neutral": 0.5},
        },
        "rois": {"seed": {"analysis": "rest", "cluster": 1}, "atlas": {"sphere": [0, 0, 0], "radius": 5}},
        "analyses": {"rest": {"contrast": "rest", "effect": "group_by_time"}},
    }
    base["analyses"] = {**base["analyses"], **changes.pop("analyses", {})}
    base["rois"] = {**base["rois"], **changes.pop("rois", {})}
    return {**base, **changes}


def link(contrast, seed, roi="seed", **more):
    return {"contrast": contrast, "effect": "association", "seed": {"roi": roi, "contrast": seed}, **more}


def problems(**changes):
    with pytest.raises(InputErrors) as caught:
        configuration.resolve(config(**changes))
    return caught.value.errors


@pytest.mark.parametrize(
    ("contrast", "seed", "words"),
    [
        ("cue", "rest", None),
        ("change", "rest", "share the scans of rest"),
        ("all", "rest", "share the scans of rest"),
        ("change", "cue", "share the scans of smoking"),
        ("rest", "rest", "the same contrast"),
        ("again", "rest", "the same contrast"),
    ],
)
def test_seed_and_outcome_are_compared_by_their_states(contrast, seed, words):
    complete = settings.read(configuration.resolve(config(analyses={"link": link(contrast, seed)})))
    found = shared_data.of_analysis(complete, "link")
    assert len(found) == (words is not None)
    if words:
        assert words in found[0]
        assert "take a seed" in found[0]


def test_a_search_region_that_the_same_scans_chose_is_told_through_the_chain():
    analyses = {
        "within": {"contrast": "change", "effect": "group_by_time", "within": "seed"},
        "apart": {"contrast": "cue", "effect": "group_by_time", "within": "seed"},
        "link": link("cue", "rest"),
        "deep": {"contrast": "change", "effect": "group_by_time", "within": "linked"},
    }
    complete = settings.read(
        configuration.resolve(config(analyses=analyses, rois={"linked": {"analysis": "link", "cluster": 1}}))
    )
    assert "chosen by the analysis rest in scans" in shared_data.of_analysis(complete, "within")[0]
    assert shared_data.of_analysis(complete, "apart") == []
    # The cluster of link, which shares smoking, and the cluster of rest that was link's seed, which shares rest.
    assert len(shared_data.of_analysis(complete, "deep")) == 2


CRAVING = {"table": "craving.tsv", "before": "pre", "after": "post", "contrast": "cue"}
CHOSEN = {
    "analyses": {"slope": {"contrast": "rest", "effect": "regression", "predictor": "craving_change"}},
    "rois": {"chosen": {"analysis": "slope", "cluster": 1}},
}


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"craving": {**CRAVING, "rois": ["chosen"]}}, "craving.rois"),
        (
            {"craving": {**CRAVING, "rois": [], "mediation": {"mediators": [{"roi": "chosen", "contrast": "cue"}]}}},
            "craving.mediation",
        ),
    ],
)
def test_a_region_that_a_participants_number_chose_is_not_related_to_craving(more, field):
    (error,) = problems(**CHOSEN, **more)
    assert error.field == field
    assert "craving_change" in error.found
    assert "craving.covariates" in error.fix


def test_with_that_number_held_fixed_it_may_be_and_so_may_a_region_of_the_arms():
    held = {**CRAVING, "rois": ["chosen"], "covariates": ["craving_change"]}
    assert configuration.resolve(config(**CHOSEN, craving=held))
    assert configuration.resolve(config(craving={**CRAVING, "rois": ["seed", "atlas"]}))


def test_what_shares_data_with_its_seed_is_no_primary_answer():
    (error,) = problems(analyses={"link": link("change", "rest")}, primary={"answers": ["link"]})
    assert error.field == "primary.answers"
    assert "share the scans of rest" in error.found
    assert "primary.secondary" in error.fix
    assert configuration.resolve(
        config(analyses={"link": link("change", "rest")}, primary={"answers": ["rest"], "secondary": ["link"]})
    )


def test_a_map_of_the_outcomes_own_scans_is_no_other_contrast():
    relative = {"weights": {"rest": 1}, "scaling": "proportional"}
    base = config()
    analyses = {
        "circle": {"contrast": "rest", "model": "change ~ arm + cbf(relative)", "test": "arm"},
        "apart": {"contrast": "rest", "model": "change ~ arm + cbf(cue)", "test": "arm"},
    }
    complete = settings.read(
        configuration.resolve(
            {**base, "contrasts": {**base["contrasts"], "relative": relative}, "analyses": analyses, "rois": {}}
        )
    )
    (shared,) = shared_data.of_analysis(complete, "circle")
    assert shared.startswith("the term cbf(relative) and the outcome share the scans of rest")
    assert shared_data.of_analysis(complete, "apart") == []
    # Absolute and relative CBF of the same scans are two contrasts, which share their noise.
    assert not shared_data.same(complete, "rest", "relative")
    assert shared_data.same(complete, "rest", "again")


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"rest": 1}, True),
        ({"rest": 0.5, "neutral": 0.5}, True),
        ({"smoking": 1, "neutral": -1}, False),
        ({"rest": -1}, False),
    ],
)
def test_a_percentage_has_a_meaning_for_a_sum_of_states_alone(weights, expected):
    assert contrast(weights).is_cbf is expected
    assert contrast(weights, scaling="proportional").is_cbf is expected
    # A mean taken off leaves nothing to be a percentage of.
    assert contrast(weights, scaling="additive").is_cbf is False


def contrast(weights, **scaling):
    conditions = {state: {} for state in ("rest", "neutral", "smoking")}
    written = {"weights": weights, **scaling} if scaling else weights
    return complete_settings.study(conditions=conditions, contrasts={"own": written}).contrasts["own"]
