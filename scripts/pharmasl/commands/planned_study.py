"""A planned study as ``./run power`` reads it: its assumptions, its configuration, and what its drawn maps need."""

import dataclasses

from pharmasl.commands import call
from pharmasl.commands.check import configuration
from pharmasl.errors import InputError, InputErrors
from pharmasl.regions import region_checks
from pharmasl.study import configuration as study_configuration
from pharmasl.study import maps_depth, power_assumptions, settings
from pharmasl.study.planned_maps import PlannedMaps
from pharmasl.study.power_assumptions import Assumptions
from pharmasl.study.settings import Region, Settings

# What is read where nothing is named.
ASSUMPTIONS = "power.yaml"


def read(path: str) -> tuple[Assumptions, Settings]:
    """The assumptions of a file, and the settings of the study that it names.

    Raises
    ------
    InputError, InputErrors
        For assumptions or a configuration that cannot be used.
    """
    assumptions = power_assumptions.read(path)
    call.check_configuration(assumptions.study)
    content, _ = configuration(["--configfile", assumptions.study])
    return assumptions, settings.read(study_configuration.whole(content))


def maps(assumptions: Assumptions, study: Settings) -> list[PlannedMaps]:
    """What the jobs of the maps depth draw and test, checked with the jobs' own functions.

    Raises
    ------
    InputError, InputErrors
        As :func:`pharmasl.study.maps_depth.read`; for a sphere outside the template's brain.
    """
    planned = maps_depth.read(assumptions, study)
    problems = [problem for one in planned for problem in _places(one, assumptions, study)]
    if problems:
        raise InputErrors(problems)
    return planned


def _places(planned: PlannedMaps, assumptions: Assumptions, study: Settings) -> list[InputError]:
    """What is wrong with an outcome's places, as regions on the drawn grid."""
    regions = {
        name: settings.build(Region, {"name": name, "statistic": "mean", "space": "template", **settings.plain(place)})
        for name, place in planned.places.items()
    }
    laid = dataclasses.replace(
        study,
        rois=regions,
        template=dataclasses.replace(study.template, resolution=planned.drawing.voxel_size),
    )
    return [
        InputError(
            assumptions.file,
            problem.field.replace("rois.", f"outcomes.{planned.outcome}.places.", 1),
            problem.found,
            problem.expected,
            problem.fix,
        )
        for problem in region_checks.problems(laid)
    ]
