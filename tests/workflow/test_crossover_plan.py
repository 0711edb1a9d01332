"""A crossover whose treatments stand in BIDS' tables of sessions, planned from raw BIDS."""

import pytest
from pharmasl.errors import InputErrors
from pharmasl.group import design_names, formula_models
from pharmasl.workflow import plan

from tests import complete_settings, skeleton

MODEL = {"contrast": "rest", "model": "cbf ~ visit(drug) + session + (1 | participant)", "test": "visit(drug)"}
ORDERS = (("active", "none"), ("none", "active"))


@pytest.fixture
def config(tmp_path):
    """Eight people in two orders of treatment; the last has one session."""
    root = skeleton.dataset(tmp_path / "bids", participants=8, conditions=("rest",))
    for number in range(1, 9):
        label = f"sub-{number:02d}"
        first, second = ORDERS[number % 2]
        rows = ["session_id\tdrug", f"ses-T1\t{first}", f"ses-T2\t{second if number < 8 else 'n/a'}"]
        (root / label / f"{label}_sessions.tsv").write_text("\n".join(rows) + "\n")
    part = {"conditions": {"rest": {"acquisition": "rest"}}, "contrasts": {"rest": {"rest": 1}}}
    return {**skeleton.config(root, tmp_path / "results"), **part, "analyses": {"crossover": MODEL}}


def test_scans_enter_with_the_treatment_of_their_session(config):
    reading = plan.read(config)
    plan.check_trial(reading)
    study = reading.study
    targets = complete_settings.targets(study)
    members = targets.analyses.members("crossover")
    assert (len(members["baseline"]), len(members["followup"])) == (8, 7)
    (rows,) = [rows for name, rows in targets.models.items() if name == "analyses/crossover"]
    assert rows[0] == {"participant_id": "sub-01", "arm": "placebo", "drug_T1": "none", "drug_T2": "active"}
    scans = formula_models.DesignRows(
        participants=[*members["baseline"], *members["followup"]],
        sessions=["T1"] * 8 + ["T2"] * 7,
        labels=["T1", "T2"],
    )
    analysis = study.settings.analyses["crossover"]
    model = formula_models.build(analysis, study.arms, scans, rows, "participants.tsv")
    assert model.effects == ("none - active",)
    assert model.allocation.what == "sequence"
    assert design_names.name_of(model).startswith("Crossover")


def test_a_blinded_run_does_not_read_treatments(config):
    with pytest.raises(InputErrors, match=r"no column of sessions in a blinded run"):
        plan.read({**config, "blinded": True})
