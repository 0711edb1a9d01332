"""Table the clusters of an analysis: size, place, anatomical name, effect and p."""

from pharmasl.group import table
from pharmasl.workflow.job import job


def main(snakemake):
    given = snakemake.input
    table.write(
        {name: getattr(given, name) for name in table.MAPS},
        given.clusters,
        given.inference,
        list(given.atlas),
        snakemake.output.table,
    )


if __name__ == "__main__":
    job(main, snakemake)
