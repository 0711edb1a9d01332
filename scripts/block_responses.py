"""Model the blocks of one scan in which conditions alternate, and write the CBF of each condition."""

from pharmasl.perfusion import block_responses
from pharmasl.study import distortion, run_blocks, scan_acquisition, settings
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    params = snakemake.params
    block_responses.write(
        rule_files(block_responses.Inputs, snakemake.input),
        rule_files(block_responses.Outputs, snakemake.output),
        run_blocks.build(params.blocks),
        acquisition=scan_acquisition.build(params.acquisition),
        quantification=settings.build(settings.Quantification, params.settings),
        distorted=distortion.build(params.distorted),
    )


if __name__ == "__main__":
    job(main, snakemake)
