"""Write the mean CBF of every scan and contrast over the brain and over grey matter."""

from pharmasl.contrasts import contrast_maps, global_values
from pharmasl.study import settings
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    """Map the rule's files and rows onto :func:`pharmasl.contrasts.global_values.write`."""
    outputs, params = snakemake.output, snakemake.params
    global_values.write(
        outputs.scans,
        outputs.contrasts,
        rule_files(global_values.GlobalFiles, snakemake.input),
        [settings.build(global_values.ContrastScans, row) for row in params.rows],
        params.minimum_coverage,
        [settings.build(contrast_maps.State, state) for state in params.states],
    )


if __name__ == "__main__":
    job(main, snakemake)
