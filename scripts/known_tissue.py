"""Write what is taken to be known of label in one scan's tissue: its arterial transit time and T1, on the scan's own grid."""

from pharmasl.perfusion import known_maps
from pharmasl.study import settings
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    known_maps.write(
        rule_files(known_maps.Inputs, snakemake.input),
        dict(snakemake.output.items()),
        settings.build(settings.Tissue, snakemake.params.tissue),
        snakemake.params.limits,
    )


if __name__ == "__main__":
    job(main, snakemake)
