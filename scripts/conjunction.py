"""Find where several analyses all show an effect of one sign."""

from pharmasl.group import conjunction
from pharmasl.workflow.job import job


def main(snakemake):
    given, params = snakemake.input, snakemake.params
    conjunction.write(
        list(given.z),
        list(given.pfwe),
        list(given.inference),
        snakemake.output,
        name=params.name,
        analyses=params.analyses,
    )


if __name__ == "__main__":
    job(main, snakemake)
