"""Read template regions in the CBF of one scan, in its own space."""

from pharmasl.regions import native_regions
from pharmasl.workflow.job import job

GIVEN = ("cbf", "brain_mask", "gm", "coregistration", "forward", "inverse", "coverage", "template_gm", "masks")


def main(snakemake):
    native_regions.write(
        {name: getattr(snakemake.input, name) for name in GIVEN}, snakemake.output.table, snakemake.params.regions
    )


if __name__ == "__main__":
    job(main, snakemake)
