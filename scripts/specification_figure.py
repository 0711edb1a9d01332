"""Draw the specification curves."""

from pharmasl.figures import specification_plot
from pharmasl.study import settings
from pharmasl.study.labels import Labels
from pharmasl.workflow.job import job


def main(snakemake):
    labels = settings.build(Labels, snakemake.params.labels)
    specification_plot.draw(snakemake.output.figure, snakemake.input.table, snakemake.input.curve, labels)


if __name__ == "__main__":
    job(main, snakemake)
