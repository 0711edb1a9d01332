"""Correlate regional CBF with cue-elicited craving."""

from pharmasl.endpoints import correlations
from pharmasl.workflow.job import job


def main(snakemake):
    correlations.write_correlations(
        snakemake.input.scores,
        snakemake.input["values"],
        snakemake.input.sidecars,
        snakemake.output.table,
        snakemake.params.craving,
        snakemake.params.arms,
        snakemake.params.sessions,
        left_out=snakemake.input.left_out,
    )


if __name__ == "__main__":
    job(main, snakemake)
