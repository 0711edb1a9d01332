"""Draw studies of a planned trial, and test them as the trial will be."""

from pharmasl.export import map_power_table
from pharmasl.power import draws, ground, study_tests
from pharmasl.power.spread import Spread
from pharmasl.study import settings
from pharmasl.study.planned_maps import PlannedMaps
from pharmasl.workflow.job import job
from threadpoolctl import threadpool_limits


def main(snakemake):
    params = snakemake.params
    planned = settings.build(PlannedMaps, params.planned)
    own = ground.read(snakemake.input.ground)
    spread = Spread.assumed(planned, own)
    rows = (
        {"study": number, **row}
        for number in range(params.first, params.first + params.studies)
        for row in study_tests.rows(planned, own, draws.draw(planned, own, spread, number))
    )
    # One BLAS thread: its sums do not depend on the machine's cores.
    with threadpool_limits(1, user_api="blas"):
        map_power_table.write_studies(snakemake.output.table, list(rows), study_tests.columns(planned))


if __name__ == "__main__":
    job(main, snakemake)
