"""Write the study's tables: scans, participants, everyone randomised, exclusions."""

from pharmasl.study import sheets
from pharmasl.workflow.job import job


def main(snakemake):
    out = snakemake.output
    sheets.write_sheets(
        snakemake.params.content, out.description, out.scans, out.participants, out.randomised, out.exclusions
    )


if __name__ == "__main__":
    job(main, snakemake)
