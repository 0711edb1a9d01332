"""Put the specifications' answers in a table, and test those of each question together."""

from pharmasl.sensitivity import curve_table
from pharmasl.workflow.job import job


def main(snakemake):
    curve_table.write(
        snakemake.input.answers,
        table_path=snakemake.output.table,
        curve_path=snakemake.output.curve,
        permutations=snakemake.params.permutations,
        seed=snakemake.params.seed,
    )


if __name__ == "__main__":
    job(main, snakemake)
