"""Read every parcel of the atlas in every contrast map."""

from pharmasl.regions import parcel_values
from pharmasl.regions.region_values import VisitContrast
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    parcel_values.write(
        snakemake.output.table,
        parcel_values.AtlasFiles(image=files.atlas, labels=files.labels),
        reference=files.reference,
        maps=files.maps,
        contrasts=[settings.build(VisitContrast, {**row, "arm": None}) for row in params.rows],
        minimum_coverage=params.minimum_coverage,
    )


if __name__ == "__main__":
    job(main, snakemake)
