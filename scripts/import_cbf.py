"""Bring a CBF map that another program made onto the template's grid."""

from pharmasl.perfusion import imported_map
from pharmasl.workflow.job import job


def main(snakemake):
    read, write, params = snakemake.input, snakemake.output, snakemake.params
    imported_map.bring(
        imported_map.Inputs(
            cbf=read.cbf,
            mask=read.mask,
            transforms=read.transforms,
            template_mask=read.template_mask,
            template_gm=read.template_gm,
        ),
        imported_map.Outputs(
            sidecar=write.sidecar,
            template_cbf=write.template_cbf,
            smooth=write.smooth,
            coverage=write.coverage,
            error=write.error,
        ),
        source=imported_map.Source(**params.source),
        fwhm=params.fwhm,
    )


if __name__ == "__main__":
    job(main, snakemake)
