"""Draw the flow of participants through the trial."""

from pharmasl.figures import flow_diagram
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    arms = settings.build(settings.Arms, snakemake.params.arms)
    flow_diagram.draw(snakemake.output.figure, snakemake.input.flow, arms)


if __name__ == "__main__":
    job(main, snakemake)
