"""Put the specifications' answers in a table, and test those of each question together."""

from pharmasl.sensitivity import curve_table
from pharmasl.workflow.job import job


def main(snakemake):
    curve_table.write(
        snakemake.input.answers,
        snakemake.output.table,
        snakemake.output.curve,
        snakemake.params.permutations,
        snakemake.params.seed,
    )


if __name__ == "__main__":
    job(main, snakemake)
