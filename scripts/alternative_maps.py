"""Make the maps of a visit's scans under every image alternative of the sensitivity analysis."""

from pharmasl.sensitivity import alternative_maps
from pharmasl.workflow.job import job

LISTS = ("cbf", "coverage", "grey", "gm_cbf", "gm", "coregistration", "forward")


def main(snakemake):
    given = {name: list(getattr(snakemake.input, name)) for name in LISTS}
    given["template_mask"] = snakemake.input.template_mask
    alternative_maps.write(given, list(snakemake.output.maps), snakemake.params.alternatives)


if __name__ == "__main__":
    job(main, snakemake)
