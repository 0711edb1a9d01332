"""Draw the simulated trial: the participants, the tables of the dataset, and the planted effects."""

from dataclasses import fields

from pharmasl.simulate import dataset, effect_places
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.simulate.simulation_settings import TrialSettings
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    out, params = snakemake.output, snakemake.params
    asked = settings.build(TrialSettings, params.settings)
    dataset.write_trial(
        asked,
        settings.build(settings.Arms, params.arms),
        settings.build(settings.Sessions, params.sessions),
        dataset.TrialFiles(**{field.name: getattr(out, field.name) for field in fields(dataset.TrialFiles)}),
    )
    own = effect_places.places(asked.planted, settings.build(settings.Atlas, params.atlas))
    paths = {name: getattr(out, name) for name in REGIONS} | dict(zip(own, out.planted))
    dataset.write_truth_maps(paths, {**REGIONS, **own})


if __name__ == "__main__":
    job(main, snakemake)
