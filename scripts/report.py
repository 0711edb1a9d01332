"""Write the report: one self-contained page that answers the study's questions in order."""

from pathlib import Path

from pharmasl.report import page
from pharmasl.workflow.job import job

INPUTS = (
    "scans",
    "participants",
    "exclusions",
    "participant_flow",
    "flow_figure",
    "quality",
    "quality_exclusions",
    "quality_figure",
    "scan_figures",
    "cbf_sidecars",
    "analyses_tables",
    "analyses_inference",
    "analyses_figures",
    "analyses_designs",
    "conjunctions",
    "seed_slopes",
    "left_out_tests",
    "craving_scores",
    "craving_model",
    "craving_figure",
    "craving_diagnostics",
    "craving_mediation",
    "roi_craving",
    "trial_verdict",
    "roi_figure",
    "sensitivity_table",
    "sensitivity_curve",
    "sensitivity_figure",
)


def main(snakemake):
    """Map the rule's files onto :func:`pharmasl.report.page.write`."""
    params = snakemake.params
    # A study without arms has no such record, nor has a blinded one before its first freeze.
    path = Path(snakemake.output.page).parent / params.allocation_log
    record = [path] if path.is_file() and not params.blinded else []
    page.write(
        snakemake.output.page,
        {name: getattr(snakemake.input, name) for name in INPUTS} | {"allocation_log": record},
        title=params.title,
        analyses_names=params.analyses,
        conjunctions_names=params.conjunctions,
        config=params.config,
        versions=params.versions,
        state=params.state,
    )


if __name__ == "__main__":
    job(main, snakemake)
