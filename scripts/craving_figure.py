"""Draw cue-elicited craving and its relation to regional perfusion."""

from pharmasl.figures import craving_plot, relations_plot
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    """Draw the scores, the model's residuals and influence and, where regions are related to craving, the relations."""
    source, params = snakemake.input, snakemake.params
    arms = settings.build(settings.Arms, params.arms)
    sessions = settings.build(settings.Sessions, params.sessions)
    craving_plot.scores(snakemake.output.craving, source.scores, arms, sessions)
    craving_plot.diagnostics(snakemake.output.diagnostics, source.influence, arms)
    for path in snakemake.output.roi:
        relations = relations_plot.Relations(
            rois=params.craving["rois"],
            contrast=params.craving["contrast"],
            test=settings.build(settings.DeclaredCorrelation, params.craving["test"]),
        )
        files = relations_plot.RelationFiles(
            scores=source.scores, values=source["values"], correlations=source.roi_craving[0]
        )
        relations_plot.draw(path, files, relations, arms, sessions)


if __name__ == "__main__":
    job(main, snakemake)
