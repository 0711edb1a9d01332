"""Write the mask of one region of interest on the template's analysis grid."""

from pharmasl.regions import roi_masks
from pharmasl.workflow.job import job


def main(snakemake):
    roi_masks.write_mask(
        snakemake.input.reference,
        snakemake.params.roi,
        snakemake.output.mask,
        snakemake.output.sidecar,
        brain=snakemake.input.template_mask,
        minimum_coverage=snakemake.params.minimum_coverage,
        atlas=snakemake.input.atlas,
        clusters=snakemake.input.clusters,
        image=snakemake.input.image,
    )


if __name__ == "__main__":
    job(main, snakemake)
