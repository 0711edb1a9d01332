"""Find where several analyses all show an effect of one sign."""

from pharmasl.group import conjunction
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    files = rule_files(conjunction.ConjunctionFiles, snakemake.input)
    conjunction.write(files, snakemake.output, name=snakemake.params.name, analyses=snakemake.params.analyses)


if __name__ == "__main__":
    job(main, snakemake)
