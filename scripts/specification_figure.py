"""Draw the specification curves."""

from pharmasl.figures import specifications
from pharmasl.job import job


def main(snakemake):
    specifications.draw(snakemake.output.figure, snakemake.input.table, snakemake.input.curve)


if __name__ == "__main__":
    job(main, snakemake)
