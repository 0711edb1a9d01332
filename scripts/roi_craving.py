"""Correlate regional CBF with cue-elicited craving."""

from pharmasl.endpoints import correlations
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    params = snakemake.params
    correlations.write_correlations(
        scores_path=snakemake.input.scores,
        values_paths=snakemake.input["values"],
        sidecar_paths=snakemake.input.sidecars,
        table_path=snakemake.output.table,
        asked=settings.build(settings.RegionCorrelations, params.craving),
        arms=settings.build(settings.Arms, params.arms),
        sessions=settings.build(settings.Sessions, params.sessions),
        left_out=snakemake.input.left_out,
    )


if __name__ == "__main__":
    job(main, snakemake)
