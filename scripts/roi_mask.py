"""Write the mask of one region of interest on the template's analysis grid."""

from pharmasl.regions import region_masks
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    files = snakemake.input
    region_masks.write_mask(
        snakemake.output.mask,
        snakemake.output.sidecar,
        settings.build(settings.RegionDefinition, snakemake.params.roi),
        reference=files.reference,
        brain=files.template_mask,
        minimum_coverage=snakemake.params.minimum_coverage,
        atlas=files.atlas,
        clusters=files.clusters,
        image=files.image,
    )


if __name__ == "__main__":
    job(main, snakemake)
