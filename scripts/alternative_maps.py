"""Make the maps of a visit's scans under every image alternative of the sensitivity analysis."""

from dataclasses import fields

from pharmasl.sensitivity import alternative_maps
from pharmasl.sensitivity.specification import ImageAlternative
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    names = [field.name for field in fields(alternative_maps.VisitFiles)]
    alternative_maps.write(
        snakemake.output.maps,
        alternative_maps.VisitFiles(**{name: getattr(snakemake.input, name) for name in names}),
        [settings.build(ImageAlternative, image) for image in snakemake.params.alternatives],
    )


if __name__ == "__main__":
    job(main, snakemake)
