"""Test the effect of treatment on cue-elicited craving."""

from pharmasl.endpoints import models
from pharmasl.workflow.job import job


def main(snakemake):
    models.write_models(
        snakemake.input.scores,
        snakemake.output.table,
        snakemake.output.influence,
        snakemake.params.arms,
        snakemake.params.sessions,
    )


if __name__ == "__main__":
    job(main, snakemake)
