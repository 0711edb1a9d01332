"""Write the inverse of an anatomy's deformation: from the template to the T1-weighted image."""

from pharmasl.space import inverse_fields
from pharmasl.workflow.job import job


def main(snakemake):
    inverse_fields.write(snakemake.output.inverse, snakemake.input.forward, snakemake.input.mask)


if __name__ == "__main__":
    job(main, snakemake)
