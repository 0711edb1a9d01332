"""Sum up the map of the smallest estimates that an analysis would have called significant."""

from pharmasl.group import called_summary
from pharmasl.group.called_summary import CalledFiles
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    called_summary.write(snakemake.output.table, rule_files(CalledFiles, snakemake.input))


if __name__ == "__main__":
    job(main, snakemake)
