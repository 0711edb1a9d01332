"""Write the page of one scan."""

from pharmasl.report.scans import scan_page
from pharmasl.report.scans.scan_files import ScanFiles
from pharmasl.study import distortion, settings
from pharmasl.study.labels import Labels
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    """Map the rule's files onto :func:`pharmasl.report.scans.scan_page.write`."""
    params = snakemake.params
    files = rule_files(ScanFiles, snakemake.input)
    scan_page.write(
        snakemake.output.page,
        files,
        acquisition=params.acquisition,
        distorted=distortion.build(params.distorted),
        interpolation=params.interpolation,
        bands=params.bands,
        assumed=params.assumed,
        labels=settings.build(Labels, params.labels),
    )


if __name__ == "__main__":
    job(main, snakemake)
