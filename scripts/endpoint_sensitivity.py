"""Ask an endpoint's question again under other assumptions of variance, population and missing scores."""

from pharmasl.endpoints import measure_sensitivity
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    params = snakemake.params
    measure_sensitivity.write(
        snakemake.input.scores,
        snakemake.output.table,
        settings.build(settings.MeasureModel, params.question),
        sessions=settings.build(settings.Sessions, params.sessions),
        arms=settings.build(settings.Arms, params.arms),
    )


if __name__ == "__main__":
    job(main, snakemake)
