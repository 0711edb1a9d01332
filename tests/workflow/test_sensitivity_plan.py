"""The plan of a sensitivity analysis, from its specifications to the report."""

import yaml
from loading import ROOT


def waits_for(plan, message):
    """The files for which a job of the plan waits, as text, the job told by its message."""
    start = plan.index("Reason:", plan.index(f": {message}\n"))
    return plan[start : plan.index("\n", start)]


def test_one_table_one_figure_and_the_report_wait_for_all_specifications(small):
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text()) | {"bids_dir": "bids"}
    # Four participants do not allow the covariates.
    for analysis in config["analyses"].values():
        analysis["covariates"] = []
    small.configure(config)
    assert "Testing all specifications" not in small.snakemake("-n").stdout
    config["sensitivity"] = {"answers": {"vmpfc_craving": {"roi": "vmpfc", "contrast": "cue"}}, "scaling": ["global"]}
    config["sensitivity"]["covariates"] = {"none": []}
    small.configure(config)
    plan = small.snakemake("-n", "--quiet", "host").stdout
    folder = "results/sensitivity/specifications"
    needed = waits_for(plan, "Testing all specifications together")
    for scaling in ("absolute", "global"):
        for covariates in ("own", "none"):
            path = f"scaling~{scaling}/smoothing_fwhm~6/partial_volume~false/quality~own/covariates~{covariates}"
            assert f"{folder}/{path}/answers.json" in needed
    assert needed.count("answers.json") == 4
    figure = waits_for(plan, "Drawing the specification curves")
    assert "results/sensitivity/specifications.tsv" in figure
    assert "results/sensitivity/curve.tsv" in figure
    report = waits_for(plan, "Writing the report")
    for name in ("specifications.tsv", "curve.tsv", "specifications.svg"):
        assert f"results/sensitivity/{name}" in report
    target = small.snakemake("-n", "sensitivity").stdout
    assert "Drawing the specification curves" in target
    assert "Writing the report" not in target
