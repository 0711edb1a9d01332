"""Give the answers of the sensitivity analysis under one specification."""

from pharmasl.sensitivity import specification_answers
from pharmasl.workflow.job import job

LISTS = ("maps", "quality", "masks", "sidecars", "gm", "scores")


def main(snakemake):
    given = {name: list(getattr(snakemake.input, name)) for name in LISTS}
    given |= {name: getattr(snakemake.input, name) for name in ("participants", "template_mask")}
    specification_answers.write(given, snakemake.output.answers, snakemake.params.plan, threads=snakemake.threads)


if __name__ == "__main__":
    job(main, snakemake)
