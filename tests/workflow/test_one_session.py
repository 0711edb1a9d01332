"""A study of one session: the arms compared by baseline ~ arm, and whatever needs a follow-up refused."""

import copy

import pytest
from pharmasl.errors import InputErrors

from tests import complete_settings, skeleton

ARMS = {"contrast": "rest", "model": "baseline ~ arm + age", "test": "arm"}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one_session")
    skeleton.dataset(folder / "bids", participants=8, sessions=("T1",))
    config = skeleton.config(folder / "bids", folder / "results")
    return {**config, "sessions": {"baseline": "T1"}, "analyses": {"arms_apart": ARMS}}


def test_the_arms_are_compared_at_it(config):
    study = complete_settings.read(config)
    targets = complete_settings.targets(study)
    assert study.sessions.labels == ("T1",)
    assert len(targets.session_maps("baseline", "arms_apart")) == 8
    assert targets.session_maps("followup", "arms_apart") == []
    assert targets.members("arms_apart") == {"baseline": [f"sub-{n:02d}" for n in range(1, 9)], "followup": []}


@pytest.mark.parametrize(
    "more",
    [
        {"analyses": {"change": {"contrast": "rest", "effect": "group_by_time"}}},
        {"analyses": {"change": {"contrast": "rest", "model": "followup ~ arm + baseline", "test": "arm"}}},
        {"craving": {"table": "phenotype/craving.tsv", "before": "craving_pre", "after": "craving_post"}},
    ],
)
def test_what_compares_sessions_is_refused(config, more):
    with pytest.raises(InputErrors, match=r"sessions\.followup.*the follow-up session"):
        complete_settings.read({**copy.deepcopy(config), **more})
