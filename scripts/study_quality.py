"""Gather the quality of all scans into one table and one figure, and list those excluded."""

from pharmasl.figures import quality_plot
from pharmasl.quality import flags, study_table
from pharmasl.study import settings
from pharmasl.study.labels import Labels
from pharmasl.workflow.job import job


def main(snakemake):
    rows = study_table.gather(snakemake.input.tables, snakemake.output.table, snakemake.output.exclusions)
    labels = settings.build(Labels, snakemake.params.labels)
    quality_plot.draw(rows, flags.resolve(snakemake.params.bands), snakemake.output.figure, labels)


if __name__ == "__main__":
    job(main, snakemake)
