"""Mask the brain of a raw T1-weighted image and correct its bias field."""

from pharmasl.anatomy import preparation
from pharmasl.job import job


def main(snakemake):
    out = snakemake.output
    preparation.prepare(
        snakemake.input.t1w,
        out.preproc,
        out.mask,
        out.sidecar,
        bias=snakemake.params.bias,
        threads=snakemake.threads,
    )


if __name__ == "__main__":
    job(main, snakemake)
