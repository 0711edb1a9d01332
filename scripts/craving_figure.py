"""Draw cue-elicited craving and its relation to regional perfusion."""

from pharmasl.figures import craving_plot
from pharmasl.workflow.job import job


def main(snakemake):
    """Draw the scores, the model's residuals and influence and, where regions are related to craving, the relations."""
    source, params = snakemake.input, snakemake.params
    craving_plot.scores(snakemake.output.craving, source.scores, params.arms, params.sessions)
    craving_plot.diagnostics(snakemake.output.diagnostics, source.influence, params.arms)
    for path in snakemake.output.roi:
        craving_plot.relations(
            path,
            source.scores,
            source["values"],
            source.roi_craving[0],
            params.craving,
            params.arms,
            params.sessions,
        )


if __name__ == "__main__":
    job(main, snakemake)
