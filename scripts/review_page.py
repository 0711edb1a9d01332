"""Write the page on which all scans are looked through and rated."""

from pharmasl.report.scans import review_page
from pharmasl.study import settings
from pharmasl.study.labels import Labels
from pharmasl.workflow.job import job


def main(snakemake):
    review_page.write(snakemake.output.page, snakemake.input.quality, settings.build(Labels, snakemake.params.labels))


if __name__ == "__main__":
    job(main, snakemake)
