"""Gather the quality of all scans into one table and one figure."""

from pharmasl.figures import quality
from pharmasl.job import job
from pharmasl.quality import flags, study


def main(snakemake):
    """Write the table, then draw it."""
    rows = study.gather(snakemake.input.tables, snakemake.output.table)
    quality.draw(rows, flags.resolve(snakemake.params.bands), snakemake.output.figure)


if __name__ == "__main__":
    job(main, snakemake)
