"""Map the repeatability of a contrast between baseline and follow-up."""

from pharmasl.regions import repeated_maps
from pharmasl.regions.repeated_people import RepeatedContrast, RepeatedPeople
from pharmasl.study import settings
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    params = snakemake.params
    repeated_maps.write(
        rule_files(repeated_maps.RepeatedMapFiles, snakemake.input),
        snakemake.output,
        settings.build(RepeatedPeople, params.people),
        settings.build(RepeatedContrast, params.contrast),
    )


if __name__ == "__main__":
    job(main, snakemake)
