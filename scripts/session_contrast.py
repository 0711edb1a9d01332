"""Compute one contrast of the states' CBF maps at one visit."""

from pharmasl.contrasts import contrast_maps
from pharmasl.workflow.job import job


def main(snakemake):
    given, out = snakemake.input, snakemake.output
    contrast_maps.write_contrast(
        given.maps,
        given.errors,
        given.coverages,
        snakemake.params.weights,
        given.quality,
        out.effect,
        out.error,
        out.sidecar,
    )


if __name__ == "__main__":
    job(main, snakemake)
