"""Draw an analysis in the declared regions and in the parcels of the atlas."""

from pharmasl.figures import region_plot
from pharmasl.study import settings
from pharmasl.study.labels import Labels
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    """Map the rule's files onto the figure."""
    files = rule_files(region_plot.RegionFigureFiles, snakemake.input)
    labels = settings.build(Labels, snakemake.params.labels)
    region_plot.draw(snakemake.output.figure, snakemake.params.analysis, files, labels)


if __name__ == "__main__":
    job(main, snakemake)
