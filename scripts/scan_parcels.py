"""Read every parcel of the atlas in the scans of a visit."""

from pharmasl.regions import parcel_values
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    scans = [
        settings.build(parcel_values.ScanMap, {**row, "cbf": cbf, "coverage": coverage})
        for row, cbf, coverage in zip(params.rows, files.cbf, files.coverage, strict=True)
    ]
    parcel_values.write_scans(
        snakemake.output.table,
        parcel_values.AtlasFiles(image=files.atlas, labels=files.labels),
        reference=files.reference,
        scans=scans,
        minimum_coverage=params.minimum_coverage,
    )


if __name__ == "__main__":
    job(main, snakemake)
