"""Quantify the cerebral blood flow of one scan, on its own grid and on the template's."""

from pharmasl.job import job
from pharmasl.perfusion import quantification

GIVEN = "asl m0 motion m0_motion coregistration forward gm wm csf mask reference template_mask"
MADE = "cbf sidecar preproc timeseries brain_mask gm wm csf template_cbf smooth coverage error"


def main(snakemake):
    quantification.quantify(
        {name: getattr(snakemake.input, name) for name in GIVEN.split()},
        {name: getattr(snakemake.output, name) for name in MADE.split()},
        acquisition=snakemake.params.acquisition,
        m0=snakemake.params.m0,
        smoothing_fwhm=snakemake.params.smoothing_fwhm,
    )


if __name__ == "__main__":
    job(main, snakemake)
