"""Count the participants at every stage of the trial: randomised, scanned, usable, analysed; lost, and why."""

from pharmasl.conduct import flow
from pharmasl.workflow.job import job


def main(snakemake):
    """Map the rule's files onto :func:`pharmasl.conduct.flow.write_flow`."""
    params = snakemake.params
    flow.write_flow(
        snakemake.output.table,
        flow.Files(**{name: getattr(snakemake.input, name) for name in flow.Files._fields}),
        arms=params.arms,
        sessions=params.sessions,
        contrasts=params.contrasts,
        analyses=params.analyses,
    )


if __name__ == "__main__":
    job(main, snakemake)
