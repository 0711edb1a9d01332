"""Draw an endpoint: its scores, its adjusted means and its tipping point."""

from pharmasl.figures import endpoint_plot
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    source, params = snakemake.input, snakemake.params
    endpoint_plot.draw(
        snakemake.output.figure,
        endpoint_plot.EndpointFiles(scores=source.scores, model=source.model, sensitivity=source.sensitivity),
        arms=settings.build(settings.Arms, params.arms),
        label=params.label,
    )


if __name__ == "__main__":
    job(main, snakemake)
