"""Combine one region's values in the scans, read in their own space, to those of every contrast."""

from pharmasl.contrasts import contrast_maps
from pharmasl.regions import native_contrasts
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    native_contrasts.write_contrast_values(
        snakemake.output.table,
        params.roi,
        native_contrasts.ScanTables(values=files.scans, quality=files.quality, means=next(iter(files.means), None)),
        contrasts=[settings.build(native_contrasts.ScansContrast, row) for row in params.rows],
        statistic=params.statistic,
        minimum_coverage=params.minimum_coverage,
        states=[settings.build(contrast_maps.State, state) for state in params.states],
    )


if __name__ == "__main__":
    job(main, snakemake)
