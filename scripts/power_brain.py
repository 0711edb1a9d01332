"""Write the template's brain in the voxels of a planned trial's drawn maps."""

from pharmasl.space import template
from pharmasl.workflow.job import job


def main(snakemake):
    own = dict(snakemake.input.items())
    template.write_brain(snakemake.output.mask, snakemake.params.voxel_size, own)


if __name__ == "__main__":
    job(main, snakemake)
