"""Read one region of interest in every contrast map: mean, median or mean weighted by grey matter."""

from pharmasl.regions import rois
from pharmasl.workflow.job import job


def main(snakemake):
    rois.write_values(
        snakemake.input.mask,
        snakemake.input.maps,
        snakemake.params.rows,
        snakemake.params.roi,
        snakemake.output.table,
        minimum_coverage=snakemake.params.minimum_coverage,
        statistic=snakemake.params.statistic,
        gm=next(iter(snakemake.input.gm), None),
    )


if __name__ == "__main__":
    job(main, snakemake)
