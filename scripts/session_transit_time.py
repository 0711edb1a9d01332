"""Compute the arterial transit time of one contrast at one visit, for models that take it as a term."""

from pharmasl.contrasts import term_maps
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    outputs, params = snakemake.output, snakemake.params
    files = rule_files(term_maps.TransitFiles, snakemake.input)
    term_maps.write_transit_time(outputs.image, outputs.sidecar, files, params.weights, params.fwhm)


if __name__ == "__main__":
    job(main, snakemake)
