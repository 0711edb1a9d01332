"""Columns by which Snakemake's own report lists the results."""

import json

import complete_settings
from pharmasl.workflow import report_entries


def test_an_analysis_states_its_model_number_and_what_decides(tmp_path):
    block = {
        "status": "run",
        "alpha": 0.01,
        "model": {"formula": "change ~ arm", "n": 21},
        "verdict": {"statistic": "tfce", "error_rate": "family-wise error"},
        "tests": {"cluster": {"forming_p": 0.005, "neighbours": 26}},
        "permutation": None,
    }
    path = tmp_path / "inference.json"
    path.write_text(json.dumps(block))
    assert report_entries.of_analysis(path, "Map", blinded=False) == {
        "Result": "Map",
        "Model": "change ~ arm",
        "N": "21 participants",
        "Threshold": "threshold-free cluster enhancement decides at a family-wise error of 0.01; clusters formed at p < 0.005 with 26 "
        "neighbours",
    }
    block["permutation"] = {"number": 5000}
    path.write_text(json.dumps(block))
    assert report_entries.of_analysis(path, "Map", blinded=False)["Threshold"].endswith("; 5,000 relabellings")


def test_an_analysis_that_was_not_run_says_so_and_a_blinded_one_is_marked(tmp_path):
    path = tmp_path / "inference.json"
    path.write_text(json.dumps({"status": "not run: two participants"}))
    shown = report_entries.of_analysis(path, "Map", blinded=True)
    assert shown == {"Result": "BLINDED: Map", "Model": "not run", "N": "", "Threshold": ""}


def test_the_sensitivity_analysis_states_the_span_of_its_numbers(tmp_path):
    path = tmp_path / "curve.tsv"
    path.write_text("dimension\tspecifications\tparticipants\nall\t4\t12\nall\t8\t11\nscaling\t2\t12\n")
    shown = report_entries.of_sensitivity(path, "Curve", complete_settings.study())
    assert shown["Model"] == "4 to 8 specifications of each of 2 answers"
    assert shown["N"] == "11 to 12 participants"
