"""Draw the flow of participants through the trial."""

from pharmasl.figures import flow
from pharmasl.job import job


def main(snakemake):
    flow.draw(snakemake.output.figure, snakemake.input.flow, snakemake.params.arms)


if __name__ == "__main__":
    job(main, snakemake)
