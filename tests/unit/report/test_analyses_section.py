"""What the section of an analysis says of its parts."""

import pytest
from pharmasl.figures.findings import Findings
from pharmasl.files import tables
from pharmasl.group.table import COLUMNS
from pharmasl.report import analyses_section, analysis_clusters, analysis_definitions


@pytest.mark.parametrize(
    ("ratio", "says"),
    [
        (
            1.26,
            "more precisely: the change-score estimate has 1.26 times its variance, and needs 26 % more participants",
        ),
        (1.01, "as precisely as the change does"),
        (0.89, "would not pay in so small a trial: the change-score estimate has 0.89 times its variance"),
    ],
)
def test_what_adjusting_would_give(ratio, says):
    block = {
        "correlation": {"low": -0.1, "median": 0.587, "high": 0.76},
        "variance_ratio": {"low": 1.0, "median": ratio, "high": 2.0},
    }
    text = analyses_section.adjusting(block)
    assert says in text
    assert "r = 0.59 (median over voxels; −0.10 to 0.76 from the 10th to the 90th percentile)" in text
    assert "followup ~ arm + baseline" in text


BLOCK = {
    "status": "run",
    "alpha": 0.05,
    "effect": {"name": "group_by_time", "formula": "followup ~ arm + baseline", "is_joint": True},
    "model": {
        "df": 38,
        "tested_effects": ["low - placebo", "high - placebo"],
        "test_in_coefficients": ["arm[low]", "arm[high]"],
        "coding": ["arm: reference placebo, against it low, high"],
        "maps": ["baseline", "gm"],
        "random": [],
        "tested_model": {"columns": ["intercept", "arm[low]", "arm[high]", "age", "baseline", "gm"]},
    },
    "search_volume": {"lost_to_terms": {"baseline": 0, "gm": 12}},
    "verdict": {"statistic": "voxel", "error_rate": "family-wise error"},
}
ROW = {
    "cluster": 1,
    "peak": 1,
    "x": 4.0,
    "y": 8.0,
    "z": 4.0,
    "sign": "+",
    "size_voxels": 27,
    "t": 12.5,
    "significant": "no",
}


def findings(folder, **effect):
    tables.write_table(folder / "clusters.tsv", [ROW], COLUMNS)
    tables.write_json(folder / "inference.json", {**BLOCK, "effect": {**BLOCK["effect"], **effect}})
    return Findings(folder / "clusters.tsv", folder / "inference.json")


def test_a_formula_s_test_in_coefficients_coding_and_maps(tmp_path):
    said = dict(analysis_definitions._formula(findings(tmp_path)))
    assert said["Test, in coefficients"] == (
        "low - placebo: arm[low]; high - placebo: arm[high]. Null hypothesis: all are zero; F with 2 and 38 degrees of freedom"
    )
    assert said["Coding"] == "arm: reference placebo, against it low, high. Centred at the mean: age"
    assert said["Maps as regressors"].startswith("baseline and gm (which excludes 12 voxels): the value at each voxel")
    assert "Random effects" not in said


def test_the_table_of_an_f_has_no_sign(tmp_path):
    table = analysis_clusters.clusters(findings(tmp_path), "mL/100 g/min")
    assert "F" in table.heads
    assert table.rows[0][table.heads.index("F")] == "12.50"
    # Nothing was tested by mass or TFCE here.
    assert not {"p FWE, mass", "p FWE, TFCE", "All regions"} & set(table.heads)
    signed = analysis_clusters.clusters(findings(tmp_path, is_joint=False), "mL/100 g/min")
    assert "t" in signed.heads
    # The place is shown at first, the statistics on demand.
    assert signed.is_main(signed.heads.index("Cluster"))
    assert not signed.is_main(signed.heads.index("t"))
    assert signed.hides
