"""Test the effect of treatment on cue-elicited craving."""

from pharmasl.endpoints import models
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    params = snakemake.params
    models.write_models(
        scores_path=snakemake.input.scores,
        table_path=snakemake.output.table,
        influence_path=snakemake.output.influence,
        arms=settings.build(settings.Arms, params.arms),
        sessions=settings.build(settings.Sessions, params.sessions),
    )


if __name__ == "__main__":
    job(main, snakemake)
