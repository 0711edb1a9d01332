"""Count the participants at every stage of the trial: randomised, scanned, usable, analysed; lost, and why."""

from pharmasl.conduct import flow
from pharmasl.conduct.flow_stages import FlowSettings
from pharmasl.conduct.losses import FlowFiles
from pharmasl.study import settings
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    """Map the rule's files and settings onto :func:`pharmasl.conduct.flow.write_flow`."""
    params = snakemake.params
    design = FlowSettings(
        arms=settings.build(settings.Arms, params.arms),
        sessions=settings.build(settings.Sessions, params.sessions) if params.sessions else None,
        contrasts={
            name: settings.build(settings.Contrast, {"name": name, **section})
            for name, section in params.contrasts.items()
        },
        analyses={
            name: settings.build(settings.Analysis, {"name": name, **section})
            for name, section in params.analyses.items()
        },
    )
    flow.write_flow(snakemake.output.table, rule_files(FlowFiles, snakemake.input), design)


if __name__ == "__main__":
    job(main, snakemake)
