"""Write the page of a scan of whose CBF another program made the map."""

from pharmasl.report.scans import imported_page
from pharmasl.report.scans.scan_files import ImportedScanFiles
from pharmasl.study import settings
from pharmasl.study.labels import Labels
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    """Map the rule's files onto :func:`pharmasl.report.scans.imported_page.write`."""
    params = snakemake.params
    imported_page.write(
        snakemake.output.page,
        rule_files(ImportedScanFiles, snakemake.input),
        file=params.file,
        measures=list(params.measures),
        bands=params.bands,
        labels=settings.build(Labels, params.labels),
    )


if __name__ == "__main__":
    job(main, snakemake)
