"""Draw the simulated trial: who gets what, the tables of the dataset, and what is planted where."""

from pharmasl.simulate import dataset
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.workflow.job import job


def main(snakemake):
    out, params = snakemake.output, snakemake.params
    names = ("description", "readme", "ignore", "participants", "craving", "plan", "scans", "effects")
    dataset.write_trial(params.settings, params.arms, params.sessions, {name: getattr(out, name) for name in names})
    dataset.write_truth_maps({name: getattr(out, name) for name in REGIONS})


if __name__ == "__main__":
    job(main, snakemake)
