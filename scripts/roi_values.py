"""Average every contrast map over one region of interest."""

from pharmasl import rois
from pharmasl.job import job


def main(snakemake):
    rois.write_values(
        snakemake.input.mask,
        snakemake.input.maps,
        snakemake.params.rows,
        snakemake.params.roi,
        snakemake.output.table,
        minimum_coverage=snakemake.params.minimum_coverage,
    )


if __name__ == "__main__":
    job(main, snakemake)
