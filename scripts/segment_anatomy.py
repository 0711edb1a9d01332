"""Divide the brain of a T1-weighted image into grey matter, white matter and CSF; carry it to the template."""

from pharmasl.anatomy import segmentation
from pharmasl.workflow.job import job

GIVEN = ("preproc", "mask", "forward", "inverse", "priors_gm", "priors_wm", "priors_csf", "reference")
MADE = ("gm", "wm", "csf", "template_t1w", "template_gm")


def main(snakemake):
    segmentation.segment(
        {name: getattr(snakemake.input, name) for name in GIVEN},
        {name: getattr(snakemake.output, name) for name in MADE},
        **snakemake.params.segmentation,
    )


if __name__ == "__main__":
    job(main, snakemake)
