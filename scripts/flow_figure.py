"""Draw the flow of participants through the trial."""

from pharmasl.figures import flow_diagram
from pharmasl.workflow.job import job


def main(snakemake):
    flow_diagram.draw(snakemake.output.figure, snakemake.input.flow, snakemake.params.arms)


if __name__ == "__main__":
    job(main, snakemake)
