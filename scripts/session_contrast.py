"""Compute one contrast of the states' CBF maps at one visit."""

from pharmasl.contrasts import contrast_maps
from pharmasl.workflow.job import job


def main(snakemake):
    files, outputs = snakemake.input, snakemake.output
    contrast_maps.write_contrast(
        maps=files.maps,
        errors=files.errors,
        coverages=files.coverages,
        quality=files.quality,
        weights=snakemake.params.weights,
        effect_path=outputs.effect,
        error_path=outputs.error,
        sidecar_path=outputs.sidecar,
    )


if __name__ == "__main__":
    job(main, snakemake)
