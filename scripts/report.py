"""Write the report: one self-contained page that answers the study's questions in order."""

from pathlib import Path

from pharmasl.report import page
from pharmasl.report.report_files import ReportFiles
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    """Map the rule's files onto :func:`pharmasl.report.page.write`."""
    params = snakemake.params
    # A study without arms has no such record, nor has a blinded one before its first freeze.
    log = Path(snakemake.output.page).parent / params.allocation_log
    provenance = page.Provenance(
        versions=params.versions,
        state=params.state,
        allocation_log=log if log.is_file() and not params.blinded else None,
    )
    page.write(snakemake.output.page, rule_files(ReportFiles, snakemake.input), params.config, provenance)


if __name__ == "__main__":
    job(main, snakemake)
