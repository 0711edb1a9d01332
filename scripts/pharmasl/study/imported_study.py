"""A study of ready-made contrast maps: its participants' table, its maps, and nothing that comes before them."""

from dataclasses import dataclass
from typing import Any

from pharmasl.errors import InputError
from pharmasl.study import analyses, imported_contrasts, own_template
from pharmasl.study import participants as participants_table
from pharmasl.study.derivatives import ImportedContrasts
from pharmasl.study.settings import Settings
from pharmasl.study.trial import Study


@dataclass(frozen=True, kw_only=True)
class ImportedStudy:
    """A study of ready-made contrast maps, with what is wrong with it: for every target, and for the trial's answers alone."""

    study: Study
    errors: tuple[InputError, ...]
    trial_errors: tuple[InputError, ...]


def read(config: dict[str, Any], study_settings: Settings, wanted: ImportedContrasts) -> ImportedStudy:
    """Read a study of ready-made contrast maps.

    Parameters
    ----------
    config : dict
        Complete.
    study_settings : Settings
        The same, typed.
    wanted : ImportedContrasts
        Of the settings.

    Returns
    -------
    ImportedStudy
    """
    taken = imported_contrasts.read(wanted)
    listed = taken.listing(study_settings.bids_dir)
    errors = [*taken.errors, *own_template.check(study_settings.template)]
    if not errors:
        errors += imported_contrasts.sessions_problems(taken.maps, study_settings.sessions)
    subjects = participants_table.asked_for(listed, study_settings.participants, errors)
    exclusions: list[dict[str, str | None]] = []
    participants, randomised, problems = participants_table.read(
        listed, study_settings, subjects, exclusions, "no contrast map"
    )
    trial_errors = list(problems.trial_errors)
    errors += problems.errors
    labels = study_settings.sessions.labels if study_settings.sessions else (None,)
    maps = {(own.visit, own.contrast): own for own in taken.maps if own.subject in participants}
    reason = f"the session is none of {', '.join(map(str, labels))}"
    exclusions += [
        {"participant_id": f"sub-{own.subject}", "session_id": own.session, "condition": own.contrast, "reason": reason}
        for own in maps.values()
        if own.session not in labels
    ]
    kept = {key: own for key, own in maps.items() if own.session in labels}
    study = Study(
        config=config,
        participants=participants,
        randomised=randomised.arms,
        scans={},
        t1w={},
        anatomies={},
        exclusions=exclusions,
        table=randomised.selected,
        contrast_maps=kept,
        contrast_source=taken.dataset,
    )
    if not errors and not trial_errors:
        trial_errors += analyses.check(study)
    return ImportedStudy(study=study, errors=tuple(errors), trial_errors=tuple(trial_errors))
