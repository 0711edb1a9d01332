"""Tabulate the repeatability of global and regional CBF between baseline and follow-up."""

from pharmasl.regions import repeated_values
from pharmasl.regions.repeated_people import RepeatedContrast, RepeatedPeople
from pharmasl.study import settings
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    params = snakemake.params
    repeated_values.write(
        rule_files(repeated_values.RepeatedFiles, snakemake.input),
        snakemake.output.table,
        settings.build(RepeatedPeople, params.people),
        [settings.build(RepeatedContrast, row) for row in params.contrasts],
    )


if __name__ == "__main__":
    job(main, snakemake)
