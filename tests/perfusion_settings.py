"""``perfusion`` of a configuration, as the quantification takes it."""

from pharmasl.study import configuration


def perfusion(**changes):
    """The settings with changes; a dict changes a group key by key."""
    config = {"bids_dir": "x", "output_dir": "y", "conditions": {"rest": {}}, "perfusion": {}}
    found = configuration.resolve(config)["perfusion"]
    for key, value in changes.items():
        found[key] = {**found[key], **value} if isinstance(value, dict) else value
    return found
