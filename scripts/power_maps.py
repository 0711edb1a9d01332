"""Count how often the tests of all drawn studies are significant."""

from pharmasl.export import map_power_table
from pharmasl.power import counts, ground
from pharmasl.study import settings
from pharmasl.study.map_assumptions import Shares
from pharmasl.study.planned_maps import PlannedMaps
from pharmasl.workflow.job import job


def main(snakemake):
    params = snakemake.params
    rows, waiting = [], list(snakemake.input.tables)
    outcomes = [settings.build(PlannedMaps, values) for values in params.planned]
    shares = settings.build(Shares, params.shares)
    for planned, path in zip(outcomes, snakemake.input.grounds):
        own, waiting = waiting[: shares.jobs], waiting[shares.jobs :]
        rows += counts.rows(planned, ground.read(path), own)
    map_power_table.write(snakemake.output.table, rows)
    map_power_table.write_assumptions(snakemake.output.assumptions, outcomes, shares.studies)


if __name__ == "__main__":
    job(main, snakemake)
