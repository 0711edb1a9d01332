"""Divide the brain of a T1-weighted image into grey matter, white matter and CSF; carry it to the template."""

from dataclasses import fields

from pharmasl.anatomy import segmentation
from pharmasl.workflow.job import job


def main(snakemake):
    sources, outputs = segmentation.SegmentationInput, segmentation.SegmentationOutput
    segmentation.segment(
        sources(**{field.name: getattr(snakemake.input, field.name) for field in fields(sources)}),
        outputs(**{field.name: getattr(snakemake.output, field.name) for field in fields(outputs)}),
    )


if __name__ == "__main__":
    job(main, snakemake)
