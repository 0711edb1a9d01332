"""Mask the brain of raw T1-weighted images, correct their bias fields and average them."""

from pharmasl.anatomy import preparation
from pharmasl.workflow.job import job


def main(snakemake):
    out = snakemake.output
    preparation.prepare(
        snakemake.input.t1w,
        out.preproc,
        out.mask,
        out.sidecar,
        out.poses,
        bias=snakemake.params.bias,
        threads=snakemake.threads,
    )


if __name__ == "__main__":
    job(main, snakemake)
