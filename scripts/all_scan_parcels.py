"""Gather the parcels of all scans in one table."""

from pharmasl.regions import parcel_values
from pharmasl.workflow.job import job


def main(snakemake):
    parcel_values.gather_scans(snakemake.output.table, snakemake.input.visits)


if __name__ == "__main__":
    job(main, snakemake)
