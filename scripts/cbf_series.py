"""Write the CBF of each repeat of one scan, on its own grid."""

from pharmasl.perfusion import cbf_series, scan
from pharmasl.study import distortion, scan_acquisition, settings
from pharmasl.workflow.job import job


def main(snakemake):
    files = snakemake.input
    cbf_series.write(
        snakemake.output.series,
        scan.RawFiles(
            files.asl,
            files.m0,
            files.motion,
            files.m0_motion,
            list(files.field),
            list(files.transit_time),
            list(files.t1),
            list(files.later_echoes),
        ),
        files.brain_mask,
        acquisition=scan_acquisition.build(snakemake.params.acquisition),
        distorted=distortion.build(snakemake.params.distorted),
        quantification=settings.build(settings.Quantification, snakemake.params.settings),
    )


if __name__ == "__main__":
    job(main, snakemake)
