"""Lay the places of a planned effect, and the atlas' parcels, on the brain of the drawn maps."""

from pharmasl.power import ground
from pharmasl.study import settings
from pharmasl.study.planned_maps import PlannedPlaces
from pharmasl.workflow.job import job


def main(snakemake):
    params = snakemake.params
    ground.write(
        snakemake.output.ground,
        settings.build(PlannedPlaces, params.places),
        snakemake.input.brain,
        settings.build(settings.Atlas, params.atlas),
        minimum_coverage=params.minimum_coverage,
    )


if __name__ == "__main__":
    job(main, snakemake)
