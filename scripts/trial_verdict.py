"""Correct the answers on which the trial rests together."""

from pharmasl.conduct import trial_verdict
from pharmasl.workflow.job import job


def main(snakemake):
    given, params = snakemake.input, snakemake.params
    trial_verdict.write(
        {name: list(getattr(given, name)) for name in ("inferences", "nulls", "craving_model", "roi_craving")},
        snakemake.output.table,
        analyses=params.analyses,
        asked=params.primary,
        craving=params.craving,
        arms=params.arms,
    )


if __name__ == "__main__":
    job(main, snakemake)
