"""Draw the specification curves."""

from pharmasl.figures import specification_plot
from pharmasl.workflow.job import job


def main(snakemake):
    specification_plot.draw(snakemake.output.figure, snakemake.input.table, snakemake.input.curve)


if __name__ == "__main__":
    job(main, snakemake)
