"""Compute one contrast of the states' CBF maps at one visit."""

from pharmasl import contrasts
from pharmasl.job import job


def main(snakemake):
    given, out = snakemake.input, snakemake.output
    contrasts.write_contrast(
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
