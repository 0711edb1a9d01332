"""Gather the quality of all scans into one table and one figure, and list those excluded."""

from pharmasl.figures import quality
from pharmasl.job import job
from pharmasl.quality import flags, study


def main(snakemake):
    """Write the tables, then draw the first."""
    rows = study.gather(snakemake.input.tables, snakemake.output.table, snakemake.output.exclusions)
    quality.draw(rows, flags.resolve(snakemake.params.bands), snakemake.output.figure)


if __name__ == "__main__":
    job(main, snakemake)
