"""Realign the volumes of a perfusion series and register it to the participant's T1-weighted image."""

import dataclasses

from pharmasl.perfusion import alignment
from pharmasl.study import distortion, scan_acquisition
from pharmasl.workflow.job import job


def main(snakemake):
    read, write = (
        {field.name: getattr(files, field.name) for field in dataclasses.fields(paths)}
        for paths, files in ((alignment.Inputs, snakemake.input), (alignment.Outputs, snakemake.output))
    )
    alignment.align(
        alignment.Inputs(**read),
        alignment.Outputs(**write),
        acquisition=scan_acquisition.build(snakemake.params.acquisition),
        distorted=distortion.build(snakemake.params.distorted),
        stretch=snakemake.params.affine,
        correct=snakemake.params.correct,
    )


if __name__ == "__main__":
    job(main, snakemake)
