"""Test an effect on change at every voxel: maps, permutation p, clusters and the definitions behind them."""

from pharmasl.group import analysis
from pharmasl.job import job


def main(snakemake):
    given, params = snakemake.input, snakemake.params
    seed = [given.seed] if isinstance(given.seed, str) else list(given.seed)
    analysis.run(
        list(given.baseline),
        list(given.followup),
        given.participants,
        given.template_mask,
        seed[0] if seed else None,
        snakemake.output,
        analysis=params.analysis,
        inference=params.inference,
        arms=params.arms,
        participants=list(params.participants),
        sessions=params.sessions,
        threads=snakemake.threads,
    )


if __name__ == "__main__":
    job(main, snakemake)
