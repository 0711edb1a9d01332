"""Test an effect on change at every voxel: maps, permutation p, clusters and the definitions behind them."""

from pharmasl.group import analysis
from pharmasl.workflow.job import job


def main(snakemake):
    given, params = snakemake.input, snakemake.params

    def several(paths):
        return [paths] if isinstance(paths, str) else list(paths)

    analysis.run(
        {
            **{name: several(getattr(given, name)) for name in ("baseline", "followup", "seed", "within")},
            "participants": given.participants,
            "template_mask": given.template_mask,
        },
        snakemake.output,
        analysis=params.analysis,
        inference=params.inference,
        arms=params.arms,
        participants=params.participants,
        sessions=params.sessions,
        is_cbf=params.is_cbf,
        shared=params.shared,
        threads=snakemake.threads,
    )


if __name__ == "__main__":
    job(main, snakemake)
