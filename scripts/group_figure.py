"""Draw the statistical map and the design of a whole-brain analysis."""

from pharmasl.figures import design_plot, statmap
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    """Map the rule's files onto the two figures."""
    source, name = snakemake.input, snakemake.params.analysis
    design_plot.draw(snakemake.output.design, name, source.design, source.inference)
    statmap.draw(snakemake.output.figure, name, rule_files(statmap.StatmapFiles, source))


if __name__ == "__main__":
    job(main, snakemake)
