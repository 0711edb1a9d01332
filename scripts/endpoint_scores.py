"""Check a clinical measure and write its scores, one row per participant and session."""

from pharmasl.endpoints import measure_scores
from pharmasl.files import tables
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    params = snakemake.params
    scoring = params.scoring
    measure_scores.write(
        measure_scores.ScoreFiles(table=snakemake.input.table, scores=snakemake.output.table),
        settings.build(settings.MeasureTable, scoring["measure"]),
        measure_scores.Trial(
            people=tables.read_table(snakemake.input.participants, of_arms=True),
            file=snakemake.input.participants,
            arms=settings.build(settings.Arms, params.arms),
            sessions=settings.build(settings.Sessions, params.sessions),
            passed_over=scoring["passed_over"],
        ),
        {name: settings.build(settings.Population, own) for name, own in scoring["populations"].items()},
        scoring["chosen"],
        field=f"endpoints.{params.endpoint}",
    )


if __name__ == "__main__":
    job(main, snakemake)
