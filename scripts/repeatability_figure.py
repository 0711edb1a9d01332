"""Draw the maps of a contrast's repeatability in slices."""

from pharmasl.figures import repeatability_figure
from pharmasl.figures.repeatability_figure import RepeatabilityFigureFiles
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    repeatability_figure.write(snakemake.output.figure, rule_files(RepeatabilityFigureFiles, snakemake.input))


if __name__ == "__main__":
    job(main, snakemake)
