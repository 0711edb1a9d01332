"""The participants' table: rows, labels and arms, right or refused before the first job."""

import complete_settings
import pytest
import skeleton
from pharmasl.errors import InputErrors
from pharmasl.study import arms


@pytest.fixture
def root(tmp_path):
    return skeleton.dataset(tmp_path / "bids")


def read(root, **changes):
    return complete_settings.read({**skeleton.config(root), **changes})


def problems(root, **changes):
    with pytest.raises(InputErrors) as caught:
        read(root, **changes)
    return caught.value.errors


def rewrite(root, old, new, count=-1):
    path = root / "participants.tsv"
    path.write_text(path.read_text().replace(old, new, count))


def test_labels_with_and_without_their_prefix_are_one(root):
    rewrite(root, "sub-", "")
    assert read(root).participants["02"]["participant_id"] == "sub-02"
    assert read(root).members("rest_interaction") == ["01", "02", "03", "04"]


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("arm\tage", "arm\tarm", "header"),
        ("sub-03\tplacebo", "sub-03\t\tplacebo", "rows"),
        ("participant_id\t", "subject\t", "participant_id"),
        ("participant_id\t", "Participant_ID\t", "participant_id"),
        ("\tarm\t", "\tArm\t", "arm"),
        ("sub-04", "sub-03", "line 5, participant_id"),
        ("sub-04", "n/a", "line 5, participant_id"),
        ("sub-04", "sub-0 4", "line 5, participant_id"),
        ("sub-0", "sub-", "participant_id"),
        ("\t", ",", "header"),
        ("\t", ";", "header"),
    ],
)
def test_one_cause_is_one_message(root, old, new, field):
    rewrite(root, old, new)
    found = [error for error in problems(root) if error.file.endswith("participants.tsv")]
    # Whose row cannot be read has none.
    assert {error.field for error in found} - {"participant_id"} <= {field}
    assert field in [error.field for error in found]
    assert len(found) <= 2


def test_a_doubled_row_names_the_first(root):
    rewrite(root, "sub-04\tbaclofen", "3\tbaclofen")
    rewrite(root, "3\tbaclofen", "03\tbaclofen")
    error = next(error for error in problems(root) if "line" in error.field)
    assert error.found == "sub-03 again, first in line 4"


def test_lost_zeros_are_explained(root):
    rewrite(root, "sub-0", "")
    (error,) = [error for error in problems(root) if error.field == "participant_id"]
    assert "sub-01, sub-02, sub-03, sub-04" in error.found
    assert "1 for 01" in error.fix


def test_a_column_that_differs_in_case_is_suggested(root):
    rewrite(root, "\tage\t", "\tAge\t")
    error = next(error for error in problems(root) if error.field == "age")
    assert error.fix.endswith("Did you mean Age?")


def test_an_arm_that_nobody_defined_is_one_message_with_its_people(root):
    rewrite(root, "baclofen", "Baclofen")
    (error,) = problems(root)
    assert error.field == "arm of sub-02, sub-04"
    assert error.found == "Baclofen"


def test_a_table_in_another_encoding_is_one_message(root):
    path = root / "participants.tsv"
    path.write_bytes(path.read_text().replace("\tM", "\tmännlich").encode("cp1252"))
    (error,) = problems(root)
    assert "UTF-8" in error.fix


def test_columns_are_named_by_analyses_craving_sensitivity_and_haematocrit():
    study = complete_settings.study(
        sessions=complete_settings.SESSIONS,
        arms=complete_settings.ARMS,
        contrasts={"rest": {"rest": 1}},
        rois={"acc": {"sphere": [0, 0, 0], "radius": 6}},
        analyses={
            "a": {
                "contrast": "rest",
                "effect": "group_by_time",
                "covariates": ["weight_T2 - weight_T1"],
                "site": "centre",
            }
        },
        craving={"table": "c.tsv", "before": "a", "after": "b", "covariates": ["age"]},
        sensitivity={"answers": {"a": {"analysis": "a", "roi": "acc"}}, "covariates": {"more": ["sex"]}},
        perfusion={"haematocrit": "hct"},
    )
    assert arms.named_columns(study) == ["age", "centre", "hct", "sex", "weight_T1", "weight_T2"]
