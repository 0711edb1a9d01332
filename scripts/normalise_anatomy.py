"""Fit a T1-weighted image to the template; write the deformation."""

from pharmasl.anatomy import normalisation
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    source, out = snakemake.input, snakemake.output
    normalisation.normalise(
        source.preproc,
        source.mask,
        source.template,
        forward=out.forward,
        sidecar=out.sidecar,
        registration=settings.build(settings.Registration, snakemake.params.registration),
    )


if __name__ == "__main__":
    job(main, snakemake)
