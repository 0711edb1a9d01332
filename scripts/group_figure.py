"""Draw the statistical map of a whole-brain analysis."""

from pharmasl.figures import statmap
from pharmasl.job import job


def main(snakemake):
    """Map the rule's files onto :func:`pharmasl.figures.statmap.draw`."""
    source = snakemake.input
    statmap.draw(
        snakemake.output.figure,
        name=snakemake.params.analysis,
        reference=source.reference,
        t=source.t,
        clusters=source.clusters,
        table=source.table,
        inference=source.inference,
    )


if __name__ == "__main__":
    job(main, snakemake)
