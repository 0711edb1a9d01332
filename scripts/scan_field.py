"""Bring the field map of one scan to its grid, in Hz, with the displacement that follows."""

from pharmasl.perfusion import scan_field
from pharmasl.study import distortion
from pharmasl.workflow.job import job


def main(snakemake):
    params, output = snakemake.params, snakemake.output
    scan_field.write(
        {name: getattr(output, name) for name in ("field", "sidecar", "displacement")},
        distortion.build_map(params.field_map, list(snakemake.input.images)),
        snakemake.input.asl,
        distorted=distortion.build(params.distorted),
        tesla=params.field_map["tesla"],
    )


if __name__ == "__main__":
    job(main, snakemake)
