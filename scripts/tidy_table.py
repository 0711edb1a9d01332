"""Write one table of the study for statistics programs, long and wide, and its codebook."""

from pharmasl.export import tidy_table
from pharmasl.export.tidy_sources import Names, TidyFiles
from pharmasl.files import bids
from pharmasl.study import settings
from pharmasl.study.labels import Labels
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    """Map the rule's files and names onto :func:`pharmasl.export.tidy_table.write`."""
    params = snakemake.params
    sessions = settings.build(settings.Sessions, params.sessions).labels if params.sessions else ()
    names = Names(
        sessions=[bids.bare_label(label, "ses") for label in sessions],
        arm_column=settings.build(settings.Arms, params.arms).column if params.arms else None,
        conditions=params.conditions,
        analyses=params.analyses,
        regions=params.regions,
        endpoints=params.endpoints,
        measure=params.measure,
        labels=settings.build(Labels, params.labels),
    )
    outputs = rule_files(tidy_table.TidyOutputs, snakemake.output)
    tidy_table.write(outputs, rule_files(TidyFiles, snakemake.input), names)


if __name__ == "__main__":
    job(main, snakemake)
