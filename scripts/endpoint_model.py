"""Answer an endpoint by its model: tested effect, adjusted means, equivalence."""

from pharmasl.endpoints import measure_models
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    params = snakemake.params
    measure_models.write(
        snakemake.input.scores,
        snakemake.output.table,
        settings.build(settings.MeasureModel, params.question),
        sessions=settings.build(settings.Sessions, params.sessions),
        arms=settings.build(settings.Arms, params.arms),
    )


if __name__ == "__main__":
    job(main, snakemake)
