"""Bring the field map of one scan to its grid, in Hz, with the displacement that follows."""

from pharmasl.perfusion import scan_field
from pharmasl.study import distortion, scan_acquisition
from pharmasl.workflow.job import job


def main(snakemake):
    params, input_, output = snakemake.params, snakemake.input, snakemake.output
    scan_field.write(
        {name: getattr(output, name) for name in ("field", "sidecar", "displacement")},
        distortion.build_map(params.field_map, list(input_.images)),
        input_.asl,
        [*input_.gm, *input_.wm, *input_.csf],
        acquisition=scan_acquisition.build(params.acquisition),
        distorted=distortion.build(params.distorted),
        later_echoes=list(input_.later_echoes),
        tesla=params.field_map["tesla"],
    )


if __name__ == "__main__":
    job(main, snakemake)
