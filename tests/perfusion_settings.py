"""Settings of the quantification, complete as a study's are: what a test does not name is the schema's default."""

import dataclasses

from pharmasl.study import configuration, settings


def perfusion(**changes):
    """The plain values of a job's params, with changes; a dict changes a group key by key."""
    config = {"bids_dir": "x", "output_dir": "y", "conditions": {"rest": {}}, "perfusion": {}}
    complete = configuration.resolve(config)["perfusion"]
    values = {field.name: complete[field.name] for field in dataclasses.fields(settings.Quantification)}
    for key, value in changes.items():
        values[key] = {**values[key], **value} if isinstance(value, dict) else value
    return values


def quantification(**changes):
    """The settings with changes."""
    return settings.build(settings.Quantification, perfusion(**changes))
