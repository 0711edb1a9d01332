"""Simulate the images of one participant."""

from pharmasl.files import tables
from pharmasl.simulate import dataset, participant_anatomy
from pharmasl.workflow.job import job

LISTS = ("asl", "asl_sidecar", "aslcontext", "motion", "coregistration", "cbf")
FILES = ("t1w", "t1w_sidecar", "mask", "gm", "wm", "field")


def main(snakemake):
    name = f"sub-{snakemake.params.subject}"
    plan = next(row for row in tables.read_table(snakemake.input.plan) if row["participant_id"] == name)
    scans = [row for row in tables.read_table(snakemake.input.scans) if row["participant_id"] == name]
    outputs = {key: getattr(snakemake.output, key) for key in (*FILES, *LISTS)}
    dataset.write_participant(snakemake.params.settings, plan, scans, participant_anatomy.read_template(), outputs)


if __name__ == "__main__":
    job(main, snakemake)
