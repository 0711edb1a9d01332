"""Combine one region's values in the scans, read in their own space, to those of every contrast."""

from pharmasl.regions import native_values
from pharmasl.workflow.job import job


def main(snakemake):
    native_values.write(
        snakemake.input.scans,
        snakemake.input.quality,
        snakemake.params.rows,
        snakemake.params.roi,
        snakemake.output.table,
        statistic=snakemake.params.statistic,
        minimum_coverage=snakemake.params.minimum_coverage,
    )


if __name__ == "__main__":
    job(main, snakemake)
