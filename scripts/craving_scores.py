"""Check the craving ratings and write cue-elicited craving, one row a participant and session."""

from pharmasl.endpoints import scores
from pharmasl.workflow.job import job


def main(snakemake):
    scores.write_scores(
        snakemake.input.table,
        snakemake.input.participants,
        snakemake.output.table,
        snakemake.params.craving,
        snakemake.params.sessions,
        snakemake.params.arms,
    )


if __name__ == "__main__":
    job(main, snakemake)
