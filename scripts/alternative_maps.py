"""Make the maps of a visit's scans under every image alternative of the sensitivity analysis."""

from pharmasl.job import job
from pharmasl.sensitivity import maps

LISTS = ("cbf", "coverage", "grey", "gm_cbf", "gm", "coregistration", "forward")


def main(snakemake):
    given = {name: list(getattr(snakemake.input, name)) for name in LISTS}
    given["template_mask"] = snakemake.input.template_mask
    maps.write(given, list(snakemake.output.maps), snakemake.params.alternatives)


if __name__ == "__main__":
    job(main, snakemake)
