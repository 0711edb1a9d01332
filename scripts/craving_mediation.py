"""Ask, exploratorily, whether treatment acts on craving by way of regional CBF."""

from pharmasl.endpoints import mediation
from pharmasl.workflow.job import job


def main(snakemake):
    mediation.write_mediation(
        snakemake.input.scores,
        snakemake.input["values"],
        snakemake.input.sidecars,
        snakemake.output.table,
        snakemake.params.craving,
        snakemake.params.arms,
        snakemake.params.sessions,
    )


if __name__ == "__main__":
    job(main, snakemake)
