"""Mask the brain of raw T1-weighted images, correct their bias fields and average them."""

import os

from pharmasl.anatomy import preparation
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    t1w, out = snakemake.input.t1w, snakemake.output
    preparation.prepare(
        [t1w] if isinstance(t1w, (str, os.PathLike)) else list(t1w),
        preproc=out.preproc,
        mask=out.mask,
        sidecar=out.sidecar,
        poses=out.poses,
        bias=settings.build(settings.Bias, snakemake.params.bias),
        threads=snakemake.threads,
    )


if __name__ == "__main__":
    job(main, snakemake)
