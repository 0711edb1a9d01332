"""Columns of each session, from BIDS' tables of a participant's sessions."""

import pytest
from pharmasl.study import session_tables

SESSIONS = ("T1", "T2")
COLUMNS = ["drug_T1", "drug_T2", "age"]


def _table(folder, text, label="01"):
    (folder / f"sub-{label}").mkdir(exist_ok=True)
    (folder / f"sub-{label}" / f"sub-{label}_sessions.tsv").write_text(text.replace(" ", "\t"))


def test_each_session_fills_its_column(tmp_path):
    _table(tmp_path, "session_id drug\nses-T1 placebo\nses-T2 n/a\n")
    rows = {"01": {"participant_id": "sub-01"}, "02": {"participant_id": "sub-02"}}
    filled, errors = session_tables.fill(str(tmp_path), rows, COLUMNS, SESSIONS)
    assert (filled, errors) == ({"drug_T1", "drug_T2"}, [])
    assert rows["01"] == {"participant_id": "sub-01", "drug_T1": "placebo", "drug_T2": None}
    assert rows["02"]["drug_T1"] is None


@pytest.mark.parametrize(
    ("text", "says"),
    [("session drug\nT1 a\n", "session_id"), ("session_id drug\nT1 a\nses-T1 b\n", "ses-T1 twice")],
)
def test_a_table_that_cannot_be_read_is_an_error(tmp_path, text, says):
    _table(tmp_path, text)
    _, errors = session_tables.fill(str(tmp_path), {"01": {}}, COLUMNS, SESSIONS)
    assert len(errors) == 1
    assert says in str(errors[0])


def test_without_such_columns_nothing_is_read(tmp_path):
    _table(tmp_path, "nonsense\n")
    assert session_tables.fill(str(tmp_path), {"01": {}}, ["age"], SESSIONS) == (set(), [])
