"""Tell the slopes of regions' changes on the seeds' changes, within each arm and between the arms."""

from pharmasl.regions import seed_slopes
from pharmasl.workflow.job import job


def main(snakemake):
    given, params = snakemake.input, snakemake.params
    seed_slopes.write(
        {"participants": given.participants, "values": given["values"], "sidecars": given.sidecars},
        snakemake.output.table,
        analyses=params.analyses,
        rois=params.rois,
        arms=params.arms,
    )


if __name__ == "__main__":
    job(main, snakemake)
