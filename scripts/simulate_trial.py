"""Draw the simulated trial: the participants, the tables of the dataset, and the planted effects."""

from dataclasses import fields

from pharmasl.simulate import dataset
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.simulate.simulation_settings import TrialSettings
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    out, params = snakemake.output, snakemake.params
    dataset.write_trial(
        settings.build(TrialSettings, params.settings),
        settings.build(settings.Arms, params.arms),
        settings.build(settings.Sessions, params.sessions),
        dataset.TrialFiles(**{field.name: getattr(out, field.name) for field in fields(dataset.TrialFiles)}),
    )
    dataset.write_truth_maps({name: getattr(out, name) for name in REGIONS})


if __name__ == "__main__":
    job(main, snakemake)
