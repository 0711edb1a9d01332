"""Estimate the slopes of regions' changes on the seeds' changes, within each arm and between the arms."""

from pharmasl.regions import seed_slopes
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    inputs, params = snakemake.input, snakemake.params
    seed_slopes.write(
        inputs.participants,
        inputs["values"],
        inputs.sidecars,
        snakemake.output.table,
        analyses=[
            seed_slopes.SeededAnalysis(
                analysis=settings.build(settings.Analysis, {"name": name, **asked["settings"]}),
                members=asked["members"],
                sessions=asked["sessions"],
            )
            for name, asked in params.analyses.items()
        ],
        rois=params.rois,
        arms=settings.build(settings.Arms, params.arms),
    )


if __name__ == "__main__":
    job(main, snakemake)
