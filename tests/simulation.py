"""Settings of the simulator, complete as the schema makes them, and those of them that each rule takes."""

from pharmasl.simulate import planned_trial, simulation_settings
from pharmasl.study import schemas, settings

TRIAL, PARTICIPANT = planned_trial.TRIAL, planned_trial.PARTICIPANT
ATLAS = {"package": "pharmasl_no_package", "image": "atlas.nii.gz", "labels": "atlas.txt"}
ARMS = {"column": "arm", "treatment": "baclofen", "control": "placebo", "others": []}
SESSIONS = {"baseline": "T1", "followup": "T2", "others": []}


def section(**changes):
    """The section ``simulate`` of a configuration."""
    values = {"truth_dir": "truth", **changes}
    assert not schemas.check(values, "simulate", "config", fill=True)
    return values


def params(names, **changes):
    """The settings that a rule takes."""
    return {name: value for name, value in section(**changes).items() if name in names}


def trial(**changes):
    return settings.build(simulation_settings.TrialSettings, params(TRIAL, **changes))


def participant(**changes):
    return settings.build(simulation_settings.ParticipantSettings, params(PARTICIPANT, **changes))


def arms():
    return settings.build(settings.Arms, ARMS)


def sessions():
    return settings.build(settings.Sessions, SESSIONS)
