"""Fit CBF and arterial transit time of one scan of several delays, on its own grid and on the template's."""

import dataclasses

from pharmasl.perfusion import quantification
from pharmasl.study import distortion, scan_acquisition, settings
from pharmasl.workflow.job import job


def main(snakemake):
    read, write = (
        {field.name: getattr(files, field.name) for field in dataclasses.fields(paths) if hasattr(files, field.name)}
        for paths, files in ((quantification.Inputs, snakemake.input), (quantification.Outputs, snakemake.output))
    )
    quantification.quantify(
        quantification.Inputs(**read),
        quantification.Outputs(**write),
        acquisition=scan_acquisition.build(snakemake.params.acquisition),
        distorted=distortion.build(snakemake.params.distorted),
        quantification=settings.build(settings.Quantification, snakemake.params.settings),
    )


if __name__ == "__main__":
    job(main, snakemake)
