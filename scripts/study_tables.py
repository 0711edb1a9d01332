"""Write the study's tables: scans, participants, everyone randomised, exclusions."""

from pharmasl.study import sheets
from pharmasl.workflow.job import job


def main(snakemake):
    sheets.write_sheets(snakemake.params.content, **dict(snakemake.output.items()))


if __name__ == "__main__":
    job(main, snakemake)
