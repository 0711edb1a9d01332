"""Reading a study: its files, sheets and sidecars, with all that is wrong with them at once."""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pharmasl.errors import InputError, InputErrors, did_you_mean, similar
from pharmasl.files import bids
from pharmasl.study import (
    acquisition,
    analyses,
    anatomies,
    blocks,
    blood_columns,
    conditions,
    configuration,
    copies,
    derivative_anatomies,
    echoes,
    headers,
    imported_cbf,
    imported_study,
    inventory,
    known_tissue,
    own_template,
    pilot,
    scan_ratings,
    settings,
    sidecar,
    summed_echoes,
    time_encoding,
    written,
)
from pharmasl.study import participants as participants_table
from pharmasl.study.derivative_anatomies import ImportedAnatomies
from pharmasl.study.settings import Encoding, QualityAlternative, QualityRules, Sessions, Settings
from pharmasl.study.trial import Scan, Study, Visit

Exclusions = list[dict[str, str | None]]
# A perfusion run and the condition that takes it.
Run = tuple[str, bids.File]


class FromConfiguration(NamedTuple):
    """What the configuration says of scans, in place of their sidecars or beside them."""

    overrides: Sequence[sidecar.Override]
    encodings: Sequence[Encoding]


@dataclass(frozen=True)
class Reading:
    """A study as it was read, with what is wrong with it.

    Attributes
    ----------
    study : Study
    errors : tuple of InputError
        Of what every target needs: scans, anatomies, the participants asked for.
    trial_errors : tuple of InputError
        Of what the trial's answers need beside: arms, covariates, members of the analyses.
    note : str
        What a pilot of a few people leaves out; empty for a whole study.
    """

    study: Study
    errors: tuple[InputError, ...]
    trial_errors: tuple[InputError, ...]
    note: str = ""


def collect(config: Mapping[str, Any], people: Collection[str] | None = None) -> Reading:
    """Read a study with all its problems.

    Parameters
    ----------
    config : Mapping
        The user's configuration.
    people : collection of str, optional
        Labels of the only participants of whom anything is read: what is known of them, their scans and anatomies is the
        same as in the whole study, which was checked before. What is wrong with the study beside them is not looked for.
        Of ready-made contrast maps, all are read.

    Returns
    -------
    Reading

    Raises
    ------
    InputErrors
        With every problem of the configuration itself.
    """
    whole = configuration.whole(config)
    config = pilot.without_trial(whole) if pilot.is_pilot(whole) else whole
    study_settings = settings.read(config)
    if study_settings.derivatives.contrasts is not None:
        made = imported_study.read(config, study_settings, study_settings.derivatives.contrasts)
        return Reading(made.study, made.errors, made.trial_errors, pilot.note(whole))
    maps = imported_cbf.listing(study_settings)
    listed = maps.dataset if maps else bids.read_dataset(study_settings.bids_dir, people=people)
    errors = list(_unlike_the_dataset(listed, study_settings)) if people is None else []
    subjects = participants_table.asked_for(listed, study_settings.participants, errors)
    if people is not None:
        subjects = [subject for subject in subjects if subject in people]
    stock = inventory.take(
        listed,
        subjects,
        [condition.part for condition in study_settings.conditions.values()],
        field_maps=study_settings.perfusion.distortion != "off",
    )
    dataset, exclusions = stock.dataset, list(stock.exclusions)
    errors += stock.errors
    if people is None:
        participants, randomised, problems = participants_table.read(dataset, study_settings, subjects, exclusions)
    else:
        participants, randomised, problems = participants_table.of_some(dataset, study_settings, subjects)
    errors += problems.errors
    trial_errors = list(problems.trial_errors)
    runs, unused = _runs(dataset, study_settings, participants, errors)
    exclusions += [*unused, *blocks.unread(dataset, study_settings, subjects)]
    if maps:
        errors += imported_cbf.missing(maps, runs, participants, exclusions)
        own = imported_cbf.scans(maps, runs, errors)
    else:
        asked = sidecar.overrides(config["perfusion"]["override"])
        if people is None:
            names = [asl.entities for asl in dataset.images("asl")]
            errors += sidecar.check_overrides(asked, names)
            errors += time_encoding.check_where(study_settings.perfusion.encodings, names)
        changes = FromConfiguration(sidecar.usable(asked), study_settings.perfusion.encodings)
        own = _scans(dataset, runs, config["perfusion"], study_settings, participants, changes, errors)
    scans = _in_order(own, study_settings.sessions)
    # Of runs with errors too: what their anatomies lack is reported at the same time.
    visits = set() if maps else {(asl.entities["sub"], asl.entities.get("ses")) for _, asl in runs}
    imported, t1w, places = _anatomies(dataset, study_settings, subjects, visits, errors)
    errors += _repetitions([*scans, *t1w])
    scanned = {scan.subject for scan in scans.values()}
    exclusions += [
        {"participant_id": f"sub-{subject}", "reason": "no perfusion run of any condition"}
        for subject in participants
        if subject not in scanned
    ]
    ratings = _ratings(listed, study_settings, scans, people)
    errors += ratings.errors
    study = Study(
        config,
        participants,
        randomised.arms,
        scans,
        t1w,
        places,
        exclusions,
        randomised.selected,
        ratings.poor,
        imported,
    )
    if not study.scans and not errors:
        errors.append(_nothing_to_do(dataset, study))
    if not errors and people is None:
        errors += [*_unknown_exclusions(dataset, study), *known_tissue.check_scans(study)]
        errors += [*blood_columns.check(study), *summed_echoes.check(study)]
    if not errors and not trial_errors and people is None:
        trial_errors += analyses.check(study)
    return Reading(study, tuple(_once(errors, dataset)), tuple(trial_errors), pilot.note(whole))


def _unlike_the_dataset(dataset: bids.Dataset, study: Settings) -> Iterator[InputError]:
    """What the configuration says of the dataset and the template, and they are not."""
    yield from conditions.unmatched(study.conditions, dataset.images("asl"))
    yield from _unknown_sessions(dataset, study.sessions)
    yield from own_template.check(study.template)
    yield from summed_echoes.contradictory(study)


def _ratings(
    dataset: bids.Dataset, study: Settings, scans: Mapping[str, Scan], people: Collection[str] | None
) -> scan_ratings.Ratings:
    """What people who looked at the scans found."""
    if study.quality.ratings is None:
        return scan_ratings.Ratings(poor={}, errors=())
    read = study.participants if people is None else people
    left_out = set() if read is None else set(dataset.subjects) - set(read)
    return scan_ratings.read(study.quality.ratings, [scan.name for scan in scans.values()], left_out)


def _repetitions(stems: Iterable[str]) -> Iterator[InputError]:
    """Names of files at which Snakemake would stop."""
    for stem in stems:
        if piece := written.repetition(stem):
            yield InputError(
                stem,
                "(file name)",
                f"{piece} twenty times or more",
                "labels without such a repetition",
                "Shorten the last label: Snakemake stops at it.",
            )


def _nothing_to_do(dataset: bids.Dataset, study: Study) -> InputError:
    """The error of a study without a scan."""
    reasons = "; ".join(sorted({str(row["reason"]) for row in study.exclusions}))[:500]
    return InputError(
        dataset.root,
        "perf/*_asl.nii.gz",
        "no run that a condition matches",
        "at least one",
        f"Check conditions and sessions. {reasons}",
    )


# How many files that were not fetched are named one by one.
_MOST_ABSENT = 5


def _once(errors: Sequence[InputError], dataset: bids.Dataset) -> list[InputError]:
    """The errors without repetitions: a shared sidecar or a field of the configuration is wrong once, for however many scans."""
    errors = list({(error.file, error.field, str(error.found)): error for error in reversed(errors)}.values())[::-1]
    absent = [error for error in errors if str(error.found).startswith("a link to")]
    if len(absent) <= _MOST_ABSENT:
        return errors
    rest = {id(error) for error in absent[_MOST_ABSENT:]}
    summary = InputError(
        dataset.root,
        "(whole files)",
        f"{len(rest)} more links to files that are not there",
        "the files themselves",
        f"Fetch them all: datalad get -d {dataset.root} {dataset.root}",
    )
    return [*(error for error in errors if id(error) not in rest), summary]


def _unknown_sessions(dataset: bids.Dataset, sessions: Sessions | None) -> Iterator[InputError]:
    """Sessions that the configuration names and no folder has."""
    if not sessions:
        return
    roles: dict[str, Sequence[str]] = {
        "baseline": [sessions.baseline],
        "followup": [] if sessions.followup is None else [sessions.followup],
        "others": sessions.others,
    }
    for role, labels in roles.items():
        for name in labels:
            if name not in dataset.sessions:
                yield InputError(
                    "config",
                    f"sessions.{role}",
                    name,
                    f"a session of the dataset: {', '.join(dataset.sessions) or 'it has no ses- folders'}",
                    did_you_mean(similar(name, dataset.sessions), "Correct the label, without ses-."),
                )


def _runs(
    dataset: bids.Dataset, study: Settings, participants: Container[str | None], errors: list[InputError]
) -> tuple[list[Run], Exclusions]:
    """The runs of the participants that a condition takes, each with it, and what is left out with the reason."""
    sessions = set(study.sessions.labels) if study.sessions else None
    runs: list[Run] = []
    exclusions: Exclusions = []
    several: dict[tuple[str, ...], list[str]] = {}
    for asl in dataset.images("asl"):
        subject, session = asl.entities.get("sub"), asl.entities.get("ses")
        if subject not in participants:
            continue
        names = conditions.matching(study.conditions, asl.entities)
        if sessions and session not in sessions:
            known = ", ".join(sorted(sessions))
            reason = (
                f"the session is none of {known}" if session else f"{asl.name} lies in none of the sessions ({known})"
            )
        else:
            reason = "" if names else f"{asl.name} matches no condition"
        if reason:
            exclusions.append({"participant_id": f"sub-{subject}", "session_id": session, "reason": reason})
            continue
        state = conditions.of_run(names, study.conditions)
        runs.append((state or names[0], asl))
        if state is None:
            several.setdefault(tuple(names), []).append(asl.path)
    summed: list[bids.File] = []
    if study.perfusion.echo is not None:
        late = echoes.later(file for _, file in runs)
        summed = late if study.perfusion.echo == echoes.WEIGHTED else []
        exclusions += [
            {
                "participant_id": f"sub-{file.entities['sub']}",
                "session_id": file.entities.get("ses"),
                "reason": f"{file.name} is a later echo ({echoes.FIELD}: {echoes.FIRST})",
            }
            for file in late
            if study.perfusion.echo == echoes.FIRST
        ]
        runs = [run for run in runs if run[1] not in late]
    errors += [
        InputError(
            "config",
            "conditions",
            f"{' and '.join(names)} both match {paths[0]}" + ", ..." * (len(paths) > 1),
            "one condition per run",
            "Make the selectors distinct.",
        )
        for names, paths in several.items()
    ]
    ambiguous = list(conditions.ambiguous(runs))
    errors += ambiguous or copies.find(file.path for file in [*(file for _, file in runs), *summed])
    return runs, exclusions


def _scans(
    dataset: bids.Dataset,
    runs: Sequence[Run],
    perfusion: Mapping[str, Any],
    study: Settings,
    participants: Mapping[str, Mapping[str, str | None]],
    changes: FromConfiguration,
    errors: list[InputError],
) -> dict[str, Scan]:
    """The scans by stem; those with errors of their own are not among them."""
    scans: dict[str, Scan] = {}
    for condition, asl in runs:
        subject, session = asl.entities["sub"], asl.entities.get("ses")
        try:
            run = acquisition.resolve(dataset, asl, perfusion, participants[subject], *changes)
            alternating = set(conditions.of_state(condition)) & set(study.block_conditions)
            own = blocks.resolve(dataset, asl, run.acquisition, study, changes.overrides) if alternating else None
        except InputErrors as problems:
            errors += problems.errors
            continue
        except InputError as error:
            errors.append(error)
            continue
        # What is made of all echoes is named by none.
        named = {key: label for key, label in asl.entities.items() if key != "echo" or not run.later_echoes}
        stem = bids.stem(named, "perf")
        if stem in scans and (run.later_echoes or scans[stem].later_echoes):
            errors.append(
                InputError(
                    scans[stem].asl,
                    "name",
                    f"beside {asl.name}",
                    "one run of this name: the results of a sum of echoes have no echo- in theirs",
                    "Rename or remove one of them.",
                )
            )
            continue
        scans[stem] = Scan(
            subject,
            session,
            condition,
            stem,
            asl.path,
            run.m0scan.path if run.m0scan else None,
            run.acquisition,
            correction=run.correction,
            blocks=own,
            later_echoes=tuple(file.path for file in run.later_echoes),
            later_m0=tuple(file.path for file in run.later_m0),
        )
    return scans


def _in_order(scans: Mapping[str, Scan], sessions: Sessions | None) -> dict[str, Scan]:
    """The scans, those of a participant in the order of the trial's sessions: their names may sort otherwise."""
    rank = {label: k for k, label in enumerate(sessions.labels if sessions else ())}
    people = {scan.subject: k for k, scan in reversed(list(enumerate(scans.values())))}
    order = sorted(scans, key=lambda stem: (people[scans[stem].subject], rank.get(scans[stem].session or "", 0)))
    return {stem: scans[stem] for stem in order}


def _anatomies(
    dataset: bids.Dataset,
    study: Settings,
    subjects: Sequence[str],
    visits: Iterable[Visit],
    errors: list[InputError],
) -> tuple[ImportedAnatomies | None, dict[str, tuple[str, ...]], dict[Visit, str]]:
    """The anatomies of another program, if they come from one; the T1w of each anatomy by stem; the stem of each visit."""
    if study.derivatives.anatomy is None:
        t1w, places = anatomies.raw(dataset, visits, study.anatomy, errors)
        errors += headers.check_t1w(t1w)
        return None, t1w, places
    try:
        imported, places = derivative_anatomies.read(study, subjects, visits, errors)
    except InputError as error:
        errors.append(error)
        return None, {}, {}
    return imported, {stem: (files.t1w,) for stem, files in imported.files.items()}, places


def _unknown_exclusions(dataset: bids.Dataset, study: Study) -> Iterator[InputError]:
    """Scans that the user excludes or accepts by name and that are not there, or that are to be both.

    A misspelt name would exclude nothing, silently.
    """
    names = [scan.name for scan in study.scans.values()]
    # A configuration cut down to some participants may still name the scans of the others.
    chosen = study.settings.participants
    left_out = set() if chosen is None else set(dataset.subjects) - set(chosen)
    rules: dict[str, QualityRules | QualityAlternative] = {"quality": study.settings.quality}
    if study.settings.sensitivity:
        rules |= {f"sensitivity.quality.{name}": part for name, part in study.settings.sensitivity.quality.items()}
    for field, part in rules.items():
        for name in sorted(set(part.exclude_scans or ()) & set(part.accept_scans or ())):
            yield InputError(
                "config",
                f"{field}.accept_scans.{name}",
                "in exclude_scans too",
                "a scan in one of the two",
                "Remove it from either.",
            )
    named = [
        (f"{field}.{key}", name)
        for field, part in rules.items()
        for key in ("exclude_scans", "accept_scans")
        for name in getattr(part, key) or ()
    ]
    for field, name in named:
        subject = bids.bare_label(name.split("_")[0], "sub")
        if name in names or subject in left_out:
            continue
        yield InputError(
            "config",
            f"{field}.{name}",
            name,
            "the name of a scan of the study",
            did_you_mean(similar(name, names, most=5), "The study's scans stand in study/scans.tsv."),
        )
