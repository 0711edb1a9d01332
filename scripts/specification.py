"""Give the answers of the sensitivity analysis under one specification."""

from pharmasl.sensitivity import specification_answers
from pharmasl.sensitivity.specification import Specification
from pharmasl.sensitivity.specification_data import SpecificationFiles
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    files = snakemake.input
    specification_answers.write(
        snakemake.output.answers,
        settings.build(Specification, snakemake.params.specification),
        SpecificationFiles(
            maps=files.maps,
            quality=files.quality,
            participants=files.participants,
            template_mask=files.template_mask,
            masks=files.masks,
            sidecars=files.sidecars,
            gm=next(iter(files.gm), None),
            scores=next(iter(files.scores), None),
        ),
        threads=snakemake.threads,
    )


if __name__ == "__main__":
    job(main, snakemake)
