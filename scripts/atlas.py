"""Copy the configured atlas, from its package or the user's files, into the results."""

from pharmasl.space import atlas
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    source, out = settings.build(settings.Atlas, snakemake.params.atlas), snakemake.output
    atlas.write_atlas(source.image, source.labels, source.package, image_path=out.image, labels_path=out.labels)


if __name__ == "__main__":
    job(main, snakemake)
