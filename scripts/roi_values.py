"""Read one region of interest in every contrast map: mean, median or mean weighted by grey matter."""

from pharmasl.regions import region_values
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    region_values.write_values(
        snakemake.output.table,
        params.roi,
        mask=files.mask,
        maps=files.maps,
        contrasts=[settings.build(region_values.VisitContrast, row) for row in params.rows],
        statistic=params.statistic,
        minimum_coverage=params.minimum_coverage,
        gm=next(iter(files.gm), None),
    )


if __name__ == "__main__":
    job(main, snakemake)
