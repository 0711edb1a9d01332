"""Write the report: one self-contained page that answers the study's questions in order."""

from pharmasl.job import job
from pharmasl.report import page

INPUTS = (
    "scans",
    "participants",
    "allocation_log",
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
    "roi_figure",
    "sensitivity_table",
    "sensitivity_curve",
    "sensitivity_figure",
)


def main(snakemake):
    """Map the rule's files onto :func:`pharmasl.report.page.write`."""
    params = snakemake.params
    page.write(
        snakemake.output.page,
        {name: getattr(snakemake.input, name) for name in INPUTS},
        title=params.title,
        analyses_names=params.analyses,
        conjunctions_names=params.conjunctions,
        config=params.config,
        versions=params.versions,
    )


if __name__ == "__main__":
    job(main, snakemake)
