"""Add the present state of code and configuration to the record of the allocation."""

from pharmasl.job import job
from pharmasl.study import allocation_log


def main(snakemake):
    report = snakemake.input.report
    allocation_log.record(snakemake.output.log, snakemake.params.state, report[0] if report else None)


if __name__ == "__main__":
    job(main, snakemake)
