"""Record what is frozen with a blinded report: code and configuration."""

from pharmasl.conduct import allocation_log
from pharmasl.workflow.job import job


def main(snakemake):
    allocation_log.record(snakemake.output.log, snakemake.params.state, snakemake.input.report)


if __name__ == "__main__":
    job(main, snakemake)
