"""Ask, exploratorily, whether treatment acts on craving by way of regional CBF."""

from pharmasl.endpoints import mediation
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    params = snakemake.params
    mediation.write_mediation(
        scores_path=snakemake.input.scores,
        values_paths=snakemake.input["values"],
        sidecar_paths=snakemake.input.sidecars,
        table_path=snakemake.output.table,
        asked=settings.build(settings.MediationAnalysis, params.craving),
        arms=settings.build(settings.Arms, params.arms),
        sessions=settings.build(settings.Sessions, params.sessions),
    )


if __name__ == "__main__":
    job(main, snakemake)
