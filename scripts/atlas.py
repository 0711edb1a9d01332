"""Copy the configured atlas, from its package or the user's files, into the results."""

from pharmasl.space import atlas
from pharmasl.workflow.job import job


def main(snakemake):
    atlas.write_atlas(snakemake.params.atlas, snakemake.output.image, snakemake.output.labels)


if __name__ == "__main__":
    job(main, snakemake)
