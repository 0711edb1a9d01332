"""Draw the flow of participants through the trial."""

from pharmasl.figures import flow_diagram
from pharmasl.study import settings
from pharmasl.study.labels import Labels
from pharmasl.workflow.job import job


def main(snakemake):
    arms = settings.build(settings.Arms, snakemake.params.arms)
    labels = settings.build(Labels, snakemake.params.labels)
    flow_diagram.draw(snakemake.output.figure, snakemake.input.flow, arms, labels)


if __name__ == "__main__":
    job(main, snakemake)
