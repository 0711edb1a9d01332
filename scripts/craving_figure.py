"""Draw cue-elicited craving and its relation to regional perfusion."""

from pharmasl.figures import craving_plot, relations_plot
from pharmasl.study import settings
from pharmasl.study.labels import Labels
from pharmasl.workflow.job import job


def main(snakemake):
    """Draw the scores, the model's residuals and influence and, where regions are related to craving, the relations."""
    source, params = snakemake.input, snakemake.params
    arms = settings.build(settings.Arms, params.arms)
    sessions = settings.build(settings.Sessions, params.sessions)
    labels = settings.build(Labels, params.labels)
    craving_plot.scores(snakemake.output.craving, source.scores, arms, sessions, labels)
    craving_plot.diagnostics(snakemake.output.diagnostics, source.influence, arms, labels)
    for path in snakemake.output.roi:
        relations = relations_plot.Relations(
            rois=params.craving["rois"],
            contrast=params.craving["contrast"],
            test=settings.build(settings.DeclaredCorrelation, params.craving["test"]),
        )
        files = relations_plot.RelationFiles(
            scores=source.scores, values=source["values"], correlations=source.roi_craving[0]
        )
        relations_plot.draw(path, files, relations, arms, sessions, labels)


if __name__ == "__main__":
    job(main, snakemake)
