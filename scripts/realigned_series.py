"""Write the realigned series of one scan, on its own grid."""

from pharmasl.perfusion import realigned_series
from pharmasl.study import distortion, scan_acquisition
from pharmasl.workflow.job import job


def main(snakemake):
    realigned_series.write(
        snakemake.output.series,
        snakemake.input.asl,
        snakemake.input.motion,
        later_echoes=list(snakemake.input.later_echoes),
        acquisition=scan_acquisition.build(snakemake.params.acquisition),
        interpolation=snakemake.params.interpolation,
        field=list(snakemake.input.field),
        distorted=distortion.build(snakemake.params.distorted),
    )


if __name__ == "__main__":
    job(main, snakemake)
