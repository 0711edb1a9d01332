"""Read template regions in the CBF of one scan, in its own space."""

from dataclasses import fields

from pharmasl.regions import native_values
from pharmasl.workflow.job import job


def main(snakemake):
    files = {field.name: getattr(snakemake.input, field.name) for field in fields(native_values.ScanFiles)}
    native_values.write_scan_values(
        snakemake.output.table,
        native_values.ScanFiles(**files),
        masks=snakemake.input.masks,
        statistics=snakemake.params.regions,
    )


if __name__ == "__main__":
    job(main, snakemake)
