"""Draw the statistical map and the design of a whole-brain analysis."""

from pharmasl.figures import design_plot, statmap
from pharmasl.workflow.job import job


def main(snakemake):
    """Map the rule's files onto the two figures."""
    source = snakemake.input
    design_plot.draw(snakemake.output.design, snakemake.params.analysis, source.design, source.inference)
    statmap.draw(
        snakemake.output.figure,
        name=snakemake.params.analysis,
        reference=source.reference,
        t=source.t,
        deciding=source.verdict,
        table=source.table,
        inference=source.inference,
    )


if __name__ == "__main__":
    job(main, snakemake)
