"""Correlate regional CBF with the scores of an endpoint."""

from pharmasl.endpoints import correlations, measure_relations
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    source, params = snakemake.input, snakemake.params
    measure_relations.write(
        source.scores,
        correlations.RelationFiles(
            values=source["values"], sidecars=source.sidecars, left_out=[], table=snakemake.output.table
        ),
        settings.build(settings.RegionCorrelations, params.relations),
        name=params.endpoint,
        unit=params.unit,
        sessions=settings.build(settings.Sessions, params.sessions),
        arms=settings.build(settings.Arms, params.arms),
    )


if __name__ == "__main__":
    job(main, snakemake)
