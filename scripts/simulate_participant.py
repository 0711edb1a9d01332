"""Simulate the images of one participant."""

from dataclasses import fields

from pharmasl.files import tables
from pharmasl.simulate import dataset, effect_places, participant_anatomy
from pharmasl.simulate.simulation_settings import ParticipantSettings
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    name = f"sub-{snakemake.params.subject}"
    participant = next(row for row in tables.read_table(snakemake.input.plan) if row["participant_id"] == name)
    own = [row for row in tables.read_table(snakemake.input.scans) if row["participant_id"] == name]
    scans = [row for row in own if row.get("present") != "no"]
    visits: dict = {}
    for row in own:
        visits.setdefault(row["session_id"], {})[row["condition"]] = row
    asked = settings.build(ParticipantSettings, snakemake.params.settings)
    names = [field.name for field in fields(dataset.ParticipantFiles)]
    dataset.write_participant(
        asked,
        int(participant["index"]),
        scans,
        visits,
        participant_anatomy.read_template(),
        effect_places.places(asked.planted, settings.build(settings.Atlas, snakemake.params.atlas)),
        dataset.ParticipantFiles(**{key: getattr(snakemake.output, key) for key in names}),
    )


if __name__ == "__main__":
    job(main, snakemake)
