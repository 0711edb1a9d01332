"""Compute one contrast of the states' CBF maps at one visit."""

from pharmasl.contrasts import contrast_maps, scaling
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    """Map the rule's files and the contrast's scaling onto :func:`pharmasl.contrasts.contrast_maps.write_contrast`."""
    files, outputs, params = snakemake.input, snakemake.output, snakemake.params
    relative = None
    if params.scaling:
        wanted = settings.build(settings.Scaling, params.scaling)
        relative = scaling.RelativeCbf(
            wanted=wanted,
            reference=scaling.Reference.read(wanted.reference, files.template),
            minimum_coverage=params.minimum_coverage,
        )
    contrast_maps.write_contrast(
        contrast_maps.ScanFiles(
            maps=files.maps,
            errors=files.errors,
            coverages=files.coverages,
            quality=files.quality,
            covariances=files.covariances,
        ),
        params.weights,
        relative,
        effect_path=outputs.effect,
        error_path=outputs.error,
        sidecar_path=outputs.sidecar,
        states=[settings.build(contrast_maps.State, state) for state in params.states],
        joint=[settings.build(contrast_maps.Joint, pair) for pair in params.joint],
    )


if __name__ == "__main__":
    job(main, snakemake)
