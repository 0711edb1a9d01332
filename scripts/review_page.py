"""Write the page on which all scans are looked through and rated."""

from pharmasl.report.scans import review_page
from pharmasl.workflow.job import job


def main(snakemake):
    review_page.write(snakemake.output.page, snakemake.input.quality)


if __name__ == "__main__":
    job(main, snakemake)
