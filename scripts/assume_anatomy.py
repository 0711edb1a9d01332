"""Write the template as the anatomy of a participant who has no T1-weighted image."""

from pharmasl.anatomy import assumed
from pharmasl.workflow.job import job


def main(snakemake):
    template = assumed.TemplateImages(**dict(snakemake.input.items()))
    anatomy = assumed.AnatomyFiles(**dict(snakemake.output.items()))
    assumed.assume(template, anatomy, space=snakemake.params.space)


if __name__ == "__main__":
    job(main, snakemake)
