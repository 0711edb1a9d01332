"""Write the mask of one region of interest on the template's analysis grid."""

from pharmasl import rois
from pharmasl.job import job


def main(snakemake):
    rois.write_mask(
        snakemake.input.reference,
        snakemake.params.roi,
        snakemake.output.mask,
        snakemake.output.sidecar,
        atlas=snakemake.input.atlas,
        clusters=snakemake.input.clusters,
        image=snakemake.input.image,
    )


if __name__ == "__main__":
    job(main, snakemake)
