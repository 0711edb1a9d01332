"""Write the study's tables: scans, participants, everyone randomised, exclusions."""

from pharmasl.job import job
from pharmasl.study import sheets


def main(snakemake):
    out = snakemake.output
    sheets.write_sheets(
        snakemake.params.content, out.description, out.scans, out.participants, out.randomised, out.exclusions
    )


if __name__ == "__main__":
    job(main, snakemake)
