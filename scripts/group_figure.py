"""Draw the statistical map, the design and the participants' values of a whole-brain analysis."""

from pharmasl.figures import called_figure, changes_plot, design_plot, statmap, viewer
from pharmasl.figures.called_figure import CalledFigureFiles
from pharmasl.figures.changes_data import ChangesFiles
from pharmasl.study import settings
from pharmasl.study.labels import Labels
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    """Map the rule's files onto the figures."""
    source, name = snakemake.input, snakemake.params.analysis
    labels = settings.build(Labels, snakemake.params.labels)
    design_plot.draw(snakemake.output.design, name, source.design, source.inference, labels)
    changes_plot.write(snakemake.output.changes, rule_files(ChangesFiles, source), labels)
    maps = rule_files(statmap.StatmapFiles, source)
    statmap.write(snakemake.output.figure, maps, labels)
    called_figure.write(snakemake.output.called, rule_files(CalledFigureFiles, source))
    viewer.write(snakemake.output.viewer, maps)


if __name__ == "__main__":
    job(main, snakemake)
