"""Check the craving ratings and write cue-elicited craving, one row per participant and session."""

from pharmasl.endpoints import scores
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    params = snakemake.params
    scores.write_scores(
        table=snakemake.input.table,
        participants=snakemake.input.participants,
        scores_path=snakemake.output.table,
        asked=settings.build(settings.Ratings, params.craving),
        sessions=settings.build(settings.Sessions, params.sessions),
        arms=settings.build(settings.Arms, params.arms),
    )


if __name__ == "__main__":
    job(main, snakemake)
