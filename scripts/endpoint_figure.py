"""Draw an endpoint: its scores, its adjusted means and its tipping point."""

from pharmasl.figures import endpoint_plot
from pharmasl.study import settings
from pharmasl.study.labels import Labels
from pharmasl.workflow.job import job


def main(snakemake):
    source, params = snakemake.input, snakemake.params
    endpoint_plot.draw(
        snakemake.output.figure,
        endpoint_plot.EndpointFiles(scores=source.scores, model=source.model, sensitivity=source.sensitivity),
        arms=settings.build(settings.Arms, params.arms),
        label=params.label,
        labels=settings.build(Labels, params.labels),
    )


if __name__ == "__main__":
    job(main, snakemake)
