"""Fit a T1-weighted image to the template; write the deformation in both directions."""

from pharmasl.anatomy import normalisation
from pharmasl.workflow.job import job


def main(snakemake):
    given, out = snakemake.input, snakemake.output
    normalisation.normalise(
        given.preproc,
        given.mask,
        given.template,
        out.forward,
        out.inverse,
        out.sidecar,
        **snakemake.params.registration,
    )


if __name__ == "__main__":
    job(main, snakemake)
