"""Maps and global CBF that are terms of a model: read in the order of the outcome's rows, where all of them have a value."""

import numpy as np
import pytest
from pharmasl.contrasts.global_values import GlobalValues
from pharmasl.group import covariate_maps, maps
from pharmasl.group.covariate_maps import TermFiles, TermMaps
from pharmasl.space import images

AFFINE = np.diag([2.0, 2, 2, 1])
SHAPE = (3, 4, 2)
RNG = np.random.default_rng(1)
NAMES = ["sub-01", "sub-02", "sub-03"]


def save(folder, name, values):
    path = str(folder / f"{name}.nii.gz")
    images.save(path, values, AFFINE)
    return path


@pytest.fixture
def case(tmp_path):
    """Outcomes of two sessions, grey matter, and transit times of two sessions."""
    data = {kind: RNG.uniform(0.2, 1, (3, *SHAPE)).astype(np.float32) for kind in ("one", "two", "gm", "att1", "att2")}
    data["gm"][1, 0, 0, 0] = 0  # no grey matter is a value
    data["att1"][2, 1, 1, 1] = np.nan  # no fit is none
    data["att2"][0, 2, 2, 0] = data["att1"][0, 2, 2, 0]  # nor is no change missing
    data["two"][1, 2, 3, 1] = 0  # CBF of exactly nothing is not covered
    paths = {
        kind: [save(tmp_path, f"{kind}_{k}", volume) for k, volume in enumerate(volumes)]
        for kind, volumes in data.items()
    }
    images.save(tmp_path / "mask.nii.gz", np.ones(SHAPE), AFFINE, dtype=np.uint8)
    return data, paths, tmp_path / "mask.nii.gz"


def terms(paths):
    return {
        "gm": TermMaps(participants=tuple(NAMES), lists=(paths["gm"],), is_cbf=False),
        "att": TermMaps(participants=tuple(NAMES), lists=(paths["att1"], paths["att2"]), is_cbf=False),
    }


def test_terms_are_read_beside_the_outcome_where_all_have_a_value(case):
    data, paths, mask = case
    loaded = maps.read([paths["one"], paths["two"]], mask, terms(paths))
    inside = np.ones(SHAPE, dtype=bool)
    inside[1, 1, 1] = inside[2, 3, 1] = False
    np.testing.assert_array_equal(loaded.mask, inside)
    np.testing.assert_allclose(loaded.values, (data["two"] - data["one"])[:, inside], atol=1e-7)
    np.testing.assert_allclose(loaded.terms["gm"], data["gm"][:, inside], atol=1e-7)
    np.testing.assert_allclose(loaded.terms["att"], (data["att2"] - data["att1"])[:, inside], atol=1e-7)
    # What is lost to a term is counted apart from what the outcome does not cover.
    assert loaded.lost_to_terms == {"gm": 0, "att": 1}
    assert loaded.lost == [0, 1, 0]


def test_a_term_without_any_value_leaves_its_participant_out(case, tmp_path):
    data, paths, mask = case
    paths["att2"][1] = save(tmp_path, "none", np.full(SHAPE, np.nan))
    loaded = maps.read([paths["one"], paths["two"]], mask, terms(paths))
    assert loaded.empty == [(False,) * 4, (False, False, False, True), (False,) * 4]
    assert len(loaded.values) == len(loaded.terms["gm"]) == 2
    np.testing.assert_allclose(loaded.terms["gm"], data["gm"][[0, 2]][:, loaded.mask], atol=1e-7)


def test_terms_follow_the_order_of_the_names_asked_for():
    whole = TermMaps(participants=("a", "b", "c"), lists=(["a1", "b1", "c1"], ["a2", "b2", "c2"]), is_cbf=True)
    some = whole.chosen(["c", "a"])
    assert some.lists == (["c1", "a1"], ["c2", "a2"])
    assert some.participants == ("c", "a")


def test_a_flat_list_of_files_is_cut_by_term_session_and_member():
    described = [
        TermFiles(text="gm", lists=1, members="followup", is_cbf=False),
        TermFiles(text="cbf(cue)", lists=2, members="followup", is_cbf=True),
    ]
    members = {"baseline": ["a"], "followup": ["a", "b"]}
    files = ["gm_a", "gm_b", "one_a", "one_b", "two_a", "two_b"]
    found = covariate_maps.term_maps(files, described, members)
    assert found["gm"].lists == (["gm_a", "gm_b"],)
    assert found["cbf(cue)"].lists == (["one_a", "one_b"], ["two_a", "two_b"])
    assert found["cbf(cue)"].is_cbf
    with pytest.raises(ValueError, match="1 maps"):
        covariate_maps.term_maps([*files, "more"], described, members)


def test_global_cbf_follows_the_outcome():
    table = {
        ("sub-01", "T1", "rest"): {"brain": 40.0, "grey_matter": 60.0},
        ("sub-01", "T2", "rest"): {"brain": 44.0, "grey_matter": 67.0},
        ("sub-02", "T1", "rest"): {"brain": 50.0, "grey_matter": 70.0},
        ("sub-02", "T2", "rest"): {"brain": None, "grey_matter": 71.0},
    }
    values = GlobalValues("table.tsv", table)

    def read(outcome, reference="brain"):
        sessions = {"baseline": "ses-T1", "followup": "T2"}
        return covariate_maps.global_term(values, ["sub-01", "sub-02"], "rest", sessions, outcome, reference).tolist()

    assert read("baseline") == [40, 50]
    assert read("followup", "grey_matter") == [67, 71]
    assert read("change", "grey_matter") == [7, 1]
    change = read("change")
    assert change[0] == 4
    assert np.isnan(change[1])
