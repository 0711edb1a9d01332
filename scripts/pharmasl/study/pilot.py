"""A pilot: a few people of a study, chosen to look at their scans before the others are processed.

Four people can be divided between two arms in six ways, and their signs turned in sixteen: no test on relabellings comes below
the usual 0.05. What a study says of its trial is therefore left out where :data:`MOST` people or fewer are chosen; their scans,
contrasts and regions are made exactly as in the whole study, which takes them over. No arm is looked at, so that the allocation
stays as unused as it was.
"""

from collections.abc import Mapping
from typing import Any

# More people than this make a trial.
MOST = 4
_SECTIONS = ("arms", "primary", "craving", "sensitivity")
_NAMED = ("analyses", "conjunctions", "endpoints", "populations")


def is_pilot(config: Mapping[str, Any]) -> bool:
    """Whether a configuration chooses so few participants that nothing can be tested."""
    chosen = config.get("participants")
    return isinstance(chosen, list) and 0 < len(chosen) <= MOST


def without_trial(config: Mapping[str, Any]) -> dict[str, Any]:
    """A complete configuration without what a study says of its trial, and with a title that says so.

    Parameters
    ----------
    config : Mapping
        Complete. It is not changed.

    Returns
    -------
    dict
    """
    reduced = {name: section for name, section in config.items() if name not in _SECTIONS}
    reduced |= {name: {} for name in _NAMED if name in config}
    # Regions that are clusters of an analysis are unknown without it.
    reduced["rois"] = {name: region for name, region in config["rois"].items() if "analysis" not in region}
    number = len(config["participants"])
    people = "one participant" if number == 1 else f"{number} participants"
    reduced["title"] = f"{config['title']} (pilot: {people}, no group analyses)"
    return reduced


def note(config: Mapping[str, Any]) -> str:
    """What a pilot leaves out, as a sentence for the user; empty where the configuration is none.

    Parameters
    ----------
    config : Mapping
        As the user wrote it, participants as a list.
    """
    if not is_pilot(config):
        return ""
    parts = [
        *config.get("analyses", ()),
        *(name for name in _SECTIONS[1:] if config.get(name)),
        *config.get("endpoints", ()),
    ]
    if not parts:
        return ""
    people = "one participant" if len(config["participants"]) == 1 else f"{len(config['participants'])} participants"
    return (
        f"A pilot of {people}: their scans, contrasts and regions, without {', '.join(parts)}, which {MOST} people or fewer "
        "cannot answer. The whole study takes over what is made now."
    )
