"""The declared answers of a trial: names, roles, and what cannot be corrected jointly, at the plan."""

import pytest
import skeleton
from pharmasl.errors import InputErrors
from pharmasl.study import configuration, primary, settings

SEED = {"roi": "insula", "contrast": "rest"}


def config(asked, **analyses):
    return {
        **skeleton.config("bids"),
        "analyses": {
            "rest": {"contrast": "rest", "effect": "group_by_time", "covariates": ["age"]},
            "cue": {"contrast": "cue", "effect": "group_by_time", "covariates": ["age"]},
            "link": {"contrast": "cue", "effect": "association", "seed": SEED},
            "mixed": {"contrast": "rest", "effect": "group_by_time", "method": "mixed_model"},
            **analyses,
        },
        "rois": {"insula": {"sphere": [40, 0, 0], "radius": 8}, "vmpfc": {"sphere": [0, 44, -12], "radius": 8}},
        "craving": {"table": "c.tsv", "before": "a", "after": "b", "contrast": "cue", "rois": ["vmpfc"]},
        "primary": asked,
    }


def problems(asked, **analyses):
    with pytest.raises(InputErrors) as caught:
        configuration.resolve(config(asked, **analyses))
    return caught.value.errors


def test_answers_have_roles_and_defaults():
    asked = {"answers": ["rest", "craving"], "secondary": ["mixed", "craving.vmpfc"]}
    found = configuration.resolve(config(asked) | {"inference": {"alpha": 0.01}})
    assert found["primary"] == asked | {"correction": "holm", "alpha": 0.01}
    study = settings.read(found)
    assert primary.known(study) == ["rest", "cue", "link", "mixed", "craving", "craving.vmpfc"]
    roles = {name: primary.role(study.primary, name) for name in primary.known(study)}
    assert roles == {
        "rest": "primary",
        "cue": "exploratory",
        "link": "exploratory",
        "mixed": "secondary",
        "craving": "primary",
        "craving.vmpfc": "secondary",
    }
    assert primary.declared_analyses(study) == ["rest", "mixed"]
    undeclared = config(asked)
    del undeclared["primary"]
    undeclared = configuration.resolve(undeclared)
    assert "primary" not in undeclared
    assert primary.role(None, "rest") == "exploratory"


@pytest.mark.parametrize(
    ("asked", "field", "found", "fix"),
    [
        ({"answers": ["rset"]}, "primary.answers", "rset", "Did you mean rest?"),
        ({"answers": ["craving.vmpfcc"]}, "primary.answers", "craving.vmpfcc", "Did you mean craving.vmpfc?"),
        # A region that is not related to craving has no such answer.
        ({"answers": ["craving.insula"]}, "primary.answers", "craving.insula", ""),
        ({"answers": ["rest"], "secondary": ["nothing_of_it"]}, "primary.secondary", "nothing_of_it", "craving.rois"),
        ({"answers": ["rest"], "secondary": ["rest"]}, "primary.secondary", "rest", "one of the lists"),
        ({"answers": ["mixed"]}, "primary.answers", "mixed, of method mixed_model", "primary.secondary"),
        (
            {"answers": ["rest", "craving"], "correction": "joint"},
            "primary.correction",
            "joint, and craving is an endpoint",
            "holm",
        ),
        ({"answers": ["rest", "rest"]}, "primary.answers", ["rest", "rest"], ""),
        ({"answers": []}, "primary.answers", [], ""),
        ({"answers": ["rest"], "correction": "bonferroni"}, "primary.correction", "bonferroni", ""),
    ],
)
def test_what_cannot_decide_a_trial_is_refused(asked, field, found, fix):
    (error,) = problems(asked)
    assert (error.field, error.found) == (field, found)
    assert fix in error.fix


def test_an_analysis_named_as_the_endpoint_is_refused():
    (error,) = problems({"answers": ["craving"]}, craving={"contrast": "rest", "effect": "group_by_time"})
    assert error.field == "analyses.craving"


def test_what_is_known_to_differ_is_not_corrected_jointly():
    def joint(*answers):
        return {"answers": list(answers), "correction": "joint"}

    configuration.resolve(config(joint("rest", "cue")))
    own = {"contrast": "rest", "effect": "group_by_time", "covariates": ["age"]}
    for change, words in (
        ({"covariates": ["age", "sex"]}, "covariates is ['age'] in rest, ['age', 'sex'] in other"),
        ({"covariates": []}, "covariates is ['age'] in rest, nothing in other"),
        ({"site": "site"}, "site is nothing in rest, site in other"),
        ({"inference": {"permutations": 1000}}, "inference.permutations is 5000 in rest, 1000 in other"),
        ({"inference": {"seed": 1}}, "inference.seed is 20200218 in rest, 1 in other"),
        (
            {"effect": "between_arms", "pair": ["baclofen", "placebo"]},
            "effect is group_by_time in rest, between_arms in other",
        ),
    ):
        found = [error.found for error in problems(joint("rest", "other"), other={**own, **change})]
        assert any(words in each for each in found), found
    # What does not touch the relabellings may differ.
    configuration.resolve(config(joint("rest", "other"), other={**own, "contrast": "cue", "within": "insula"}))
    full = {"contrast": "rest", "effect": "group_by_time", "method": "full_factorial"}
    assert any("of method full_factorial" in e.found for e in problems(joint("rest", "other"), other=full))
    assert any(
        "seed is" in e.found
        for e in problems(
            joint("link", "other"), other={**own, "effect": "association", "seed": SEED | {"contrast": "cue"}}
        )
    )
