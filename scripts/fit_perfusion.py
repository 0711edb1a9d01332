"""Fit CBF and arterial transit time of one scan of several delays, on its own grid and on the template's."""

from pharmasl.perfusion import quantification
from pharmasl.workflow.job import job


def main(snakemake):
    quantification.quantify(
        {name: getattr(snakemake.input, name) for name in quantification.GIVEN},
        {name: getattr(snakemake.output, name) for name in quantification.MADE + quantification.FITTED},
        acquisition=snakemake.params.acquisition,
        settings=snakemake.params.settings,
    )


if __name__ == "__main__":
    job(main, snakemake)
