"""Table the clusters of an analysis: size, place, anatomical name, effect and p."""

from pharmasl.group import table
from pharmasl.job import job


def main(snakemake):
    given = snakemake.input
    table.write(
        given.effect,
        given.t,
        given.z,
        given.voxel_pfwe,
        given.cluster_pfwe,
        given.clusters,
        list(given.atlas),
        snakemake.output.table,
    )


if __name__ == "__main__":
    job(main, snakemake)
