"""Realign the volumes of a perfusion series and register it to the participant's T1-weighted image."""

from pharmasl.perfusion import alignment
from pharmasl.workflow.job import job

MADE = ("motion", "coregistration", "registration", "m0_motion", "aslref", "confounds")


def main(snakemake):
    given, made = snakemake.input, snakemake.output
    alignment.align(
        given.asl,
        given.m0,
        given.gm,
        given.wm,
        given.csf,
        {name: getattr(made, name) for name in MADE},
        acquisition=snakemake.params.acquisition,
        affine=snakemake.params.affine,
        **snakemake.params.motion,
    )


if __name__ == "__main__":
    job(main, snakemake)
