"""What no schema can say of the section ``simulate``, before anything is drawn."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pharmasl.errors import InputError
from pharmasl.simulate import reliabilities
from pharmasl.simulate.alternating_cues import CueBlocks
from pharmasl.simulate.scanner_model import Scanner
from pharmasl.simulate.simulation_settings import TrialSettings, Variability
from pharmasl.study import block_codes

# Of blood_flow, what an exact trial alone has; and what it does not have.
_EXACT_ONLY = ("grey_spread", "pattern", "regional", "between_sessions", "between_runs")
_RANDOM_ONLY = ("missing", "variability", "planted", "transit")
_RANDOM_PEOPLE = ("age", "female", "age_slope", "sex_difference", "sites", "site_spread")


def problems(written: Mapping[str, Any], settings: TrialSettings) -> Iterator[InputError]:
    """What contradicts itself in the section.

    Parameters
    ----------
    written : mapping
        The section as it was written, without defaults.
    settings : simulation_settings.TrialSettings
        The same, complete.

    Yields
    ------
    InputError
    """
    if settings.exact:
        yield from _exact(written, settings)
        return
    for name in _EXACT_ONLY:
        if name in (written.get("blood_flow") or {}):
            yield _problem(
                f"blood_flow.{name}",
                written["blood_flow"][name],
                "no such setting where exact is false",
                "Ask for the variation in simulate.variability, or set exact: true for a demo.",
            )
    first, last = settings.people.age
    if first > last:
        yield _problem("people.age", [first, last], "the youngest first", "Turn them round.")
    if settings.people.sites > settings.people.number:
        yield _problem("people.sites", settings.people.sites, "no more sites than people", "Take fewer sites.")
    if settings.transit.drug and not settings.transit.simulated:
        yield _problem(
            "transit.drug",
            settings.transit.drug,
            "transit times to be simulated where the drug changes them",
            "Set simulate.transit.simulated: true.",
        )
    if settings.transit.vessels and not settings.transit.simulated:
        yield _problem(
            "transit.vessels",
            settings.transit.vessels,
            "transit times to be simulated where label is seen in the arteries",
            "Set simulate.transit.simulated: true.",
        )
    for field, parts in (("grey", reliabilities.grey), ("cue", reliabilities.cue)):
        yield from _possible(field, parts, settings.variability, settings.blood_flow.grey)


def coding(scanner: Scanner, blocks: CueBlocks) -> Iterator[InputError]:
    """What is wrong with the code of time-encoded runs.

    Yields
    ------
    InputError
    """
    if scanner.encoding is None:
        return
    yield from block_codes.check(scanner.encoding, "simulate.perfusion.encoding")
    if blocks.planted:
        yield _problem(
            "blocks.duration",
            blocks.duration,
            "0 with perfusion.encoding: states that alternate within time-encoded runs are not simulated",
            "Remove one of the two.",
        )


def timing(scanner: Scanner) -> Iterator[InputError]:
    """A repetition time that cannot hold the label, the delay and the readout of the last slice.

    Yields
    ------
    InputError
    """
    last = scanner.preparation + scanner.slice_timing[-1]
    if last > scanner.repetition_time:
        label = (
            "perfusion.encoding's durations, its delay"
            if scanner.encoding
            else "labeling_duration, post_labeling_delay"
        )
        yield _problem(
            "perfusion.repetition_time",
            scanner.repetition_time,
            f"at least {last:g} s: {label} and the readout of {scanner.matrix[2]} slices",
            "Give a longer repetition_time, or less of these.",
        )


def _possible(
    field: str, parts: Callable[[Variability, float], Any], asked: Variability, mean: float
) -> Iterator[InputError]:
    try:
        parts(asked, mean)
    except ValueError as error:
        yield _problem(
            f"variability.{field}",
            str(error),
            "a variation that can be",
            "Give a larger sd, or less variation within people.",
        )


def _exact(written: Mapping[str, Any], settings: TrialSettings) -> Iterator[InputError]:
    people = settings.people
    if people.treatment != people.control:
        yield _problem(
            "people",
            f"{people.treatment} and {people.control}",
            "arms of one size where exact is true",
            "Make the arms equal, or set exact: false.",
        )
    random = [name for name in _RANDOM_ONLY if written.get(name)]
    random += [f"people.{name}" for name in _RANDOM_PEOPLE if name in (written.get("people") or {})]
    for name in random:
        yield _problem(name, "there", "no such setting where exact is true", "Remove it, or set exact: false.")


def _problem(field: str, value: Any, expected: str, fix: str) -> InputError:
    return InputError(file="config", field=f"simulate.{field}", found=value, expected=expected, fix=fix)
