"""The echoes of one series and of its M0 that are to be summed: whether they are of one scan, and their echo times."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.errors import InputError, InputErrors
from pharmasl.files import bids
from pharmasl.space import header
from pharmasl.study import context, echoes, headers, phase_encoding, schemas, sidecar
from pharmasl.study.settings import Settings
from pharmasl.study.trial import Study

# Seconds by which the echo time of M0 may differ from that of the series: sidecars round.
_ROUNDING = 1e-4
# Share by which other numbers of the echoes' sidecars may differ.
_ALIKE = 1e-3
# Corners of two images that lie further apart, mm, are those of two grids.
_APART = 0.1
# What each echo, or each M0 image, has of its own.
_OWN = frozenset({"EchoTime", "IntendedFor"})
_FIRST = f"or set {echoes.FIELD} to {echoes.FIRST}, which takes the first echo"


@dataclass(frozen=True, kw_only=True)
class Echo:
    """One echo of a series or of an M0 image.

    Attributes
    ----------
    file : bids.File
    fields : Mapping
        Of its sidecar, those whose values are possible.
    sidecar : str
        The sidecar's path, named in errors.
    origin : Mapping of str to str
        Where each field comes from.
    header : pharmasl.space.header.Header or None
        None where it cannot be read.
    types : tuple of str
        Types of its volumes; empty where they are not known.
    """

    file: bids.File
    fields: Mapping[str, Any]
    sidecar: str
    origin: Mapping[str, str]
    header: header.Header | None
    types: tuple[str, ...] = ()

    @property
    def time(self) -> float | None:
        """Its echo time, seconds; None without one, or with several."""
        value = self.fields.get("EchoTime")
        values = set(value) if isinstance(value, list) else {value}
        only = values.pop() if len(values) == 1 else None
        return None if only is None else float(only)


def read(
    dataset: bids.Dataset, file: bids.File, overrides: Sequence[sidecar.Override], encoded: bool
) -> tuple[Echo, list[InputError]]:
    """A later echo of a series or of an M0 image, and what is wrong with its files.

    Parameters
    ----------
    dataset : bids.Dataset
    file : bids.File
    overrides : sequence of pharmasl.study.sidecar.Override
        None of them is for an M0 image.
    encoded : bool
        Whether the series is time-encoded.
    """
    metadata = sidecar.overridden(sidecar.read(dataset, file, file.suffix), overrides, file.entities)
    errors = list(metadata.errors)
    impossible = {error.field: error for error in sidecar.impossible(metadata.fields)}
    errors += [
        InputError(metadata.origin[name], name, error.found, error.expected, error.fix)
        for name, error in impossible.items()
    ]
    known, types = None, []
    try:
        known = headers.read(file.path)
        if file.suffix == "asl":
            tables = dataset.metadata(file, "aslcontext", ".tsv")
            if not tables:
                raise context.missing(file)
            types = context.read(tables[-1].path, file.path, known.volumes, encoded)
    except InputErrors as several:
        errors += several.errors
    except InputError as error:
        errors.append(error)
    fields = {name: value for name, value in metadata.fields.items() if name not in impossible}
    return Echo(
        file=file, fields=fields, sidecar=metadata.path, origin=metadata.origin, header=known, types=tuple(types)
    ), errors


def times(own: Sequence[Echo]) -> tuple[tuple[float, ...], list[InputError]]:
    """The echo times of the files of one series, seconds, and why they are not echoes of one scan.

    Parameters
    ----------
    own : sequence of Echo
        In their order; two at least.
    """
    errors = [*_gaps(own)]
    for echo in own[1:]:
        errors += _unlike(own[0], echo)
    stated = [echo.time for echo in own]
    if None in stated:
        errors += [_untimed(echo) for echo in own if echo.time is None]
        return (), errors
    known = tuple(time for time in stated if time is not None)
    for number, (earlier, later) in enumerate(itertools.pairwise(known), start=1):
        if later <= earlier:
            echo = own[number]
            errors.append(
                InputError(
                    echo.origin["EchoTime"],
                    "EchoTime",
                    f"{later:g} s of {echo.file.name}",
                    f"more than the {earlier:g} s of {own[number - 1].file.name}: later echoes have later times",
                    f"Correct the echo times, which are in seconds, {_FIRST}.",
                )
            )
            break
    return known, errors


def volumes(types: Sequence[str], at: Sequence[float], path: str) -> tuple[tuple[int, ...], ...]:
    """The numbers of each echo's volumes, of a file that holds them all; those of one excitation at one place.

    Parameters
    ----------
    types : sequence of str
        Of all volumes.
    at : sequence of float
        The echo time of each, seconds.
    path : str
        The sidecar, named in the error.

    Raises
    ------
    InputError
        If the echoes have not the same volumes in the same order.
    """
    own = [tuple(number for number, time in enumerate(at) if time == echo) for echo in sorted(set(at))]
    kinds = [[types[number] for number in numbers] for numbers in own]
    for echo, other in zip(sorted(set(at)), kinds):
        if other != kinds[0]:
            raise InputError(
                path,
                "EchoTime",
                f"{', '.join(other)} at {echo:g} s",
                f"the volumes that there are at {min(at):g} s: {', '.join(kinds[0])}",
                f"Correct EchoTime or the aslcontext.tsv, {_FIRST}.",
            )
    return tuple(own)


def of_m0(
    dataset: bids.Dataset, chosen: Echo, wanted: Sequence[float]
) -> tuple[tuple[bids.File, ...], list[InputError]]:
    """The M0 images of a series' echoes, in the order of their times, and what is wrong with them.

    Parameters
    ----------
    dataset : bids.Dataset
    chosen : Echo
        The M0 image that belongs to the series' first echo.
    wanted : sequence of float
        Echo times of the series, seconds.
    """
    known, errors = [chosen], []
    for file in echoes.together(dataset, chosen.file):
        if file.path != chosen.file.path:
            echo, problems = read(dataset, file, (), False)
            known.append(echo)
            errors += problems
    untimed = [echo for echo in known if echo.time is None and "EchoTime" not in {error.field for error in errors}]
    if untimed:
        return (), [*errors, *map(_untimed, untimed)]
    at = [[echo for echo in known if echo.time is not None and abs(echo.time - time) <= _ROUNDING] for time in wanted]
    if not errors and any(len(alike) != 1 for alike in at):
        there = ", ".join(sorted(f"{echo.time:g}" for echo in known if echo.time is not None))
        errors.append(
            InputError(
                chosen.file.path,
                "EchoTime",
                f"M0 at {there} s",
                f"an M0 image at each echo time of the series: {', '.join(f'{time:g}' for time in wanted)} s",
                "Summed echoes decay by T2* in another way than one does, and only an M0 summed alike has the same decay: add "
                f"the M0 images (echo- in their names), correct their EchoTime, {_FIRST}.",
            )
        )
    if errors:
        return (), errors
    own = [alike[0] for alike in at]
    for echo in own[1:]:
        errors += _unlike(own[0], echo)
    return tuple(echo.file for echo in own), errors


def contradictory(study: Settings) -> Iterator[InputError]:
    """Conditions that choose one echo, where all are to be summed (InputError)."""
    for name, condition in study.conditions.items():
        if study.perfusion.echo == echoes.WEIGHTED and condition.echo is not None:
            yield InputError(
                "config",
                f"conditions.{name}.echo",
                condition.echo,
                f"no echo, beside {echoes.FIELD}: {echoes.WEIGHTED}",
                "Remove either: what is summed is all echoes of a run.",
            )


def check(study: Study) -> Iterator[InputError]:
    """What is wrong with the echoes of a whole study, where they are to be summed.

    Yields
    ------
    InputError
        Where no series has several echoes; for each that has fewer than others have.
    """
    if study.settings.perfusion.echo != echoes.WEIGHTED:
        return
    own = {stem: scan.acquisition.echo_times or () for stem, scan in study.scans.items() if scan.imported is None}
    most = max(map(len, own.values()), default=0)
    if own and most == 0:
        yield InputError(
            "config",
            echoes.FIELD,
            echoes.WEIGHTED,
            "series of several echoes: no series of the study has more than one",
            "Remove it, or name the echoes by echo- in their files' names.",
        )
    for stem, times_of_scan in own.items():
        if len(times_of_scan) < most:
            yield InputError(
                study.scans[stem].asl,
                "echo",
                f"{len(times_of_scan) or 1} echo{'es' * (len(times_of_scan) > 1)}",
                f"{most}, as other series of the study have: they would differ in noise and dropout",
                f"Add the echoes that are missing, leave the run out, {_FIRST} of all.",
            )


def _untimed(echo: Echo) -> InputError:
    value = echo.fields.get("EchoTime")
    return InputError(
        echo.sidecar if value is None else echo.origin["EchoTime"],
        "EchoTime",
        "nothing" if value is None else value,
        f"the echo time of {echo.file.name}, one number of seconds",
        f"Write it, {_FIRST}.",
    )


def _gaps(own: Sequence[Echo]) -> Iterator[InputError]:
    """Echoes whose numbers are not 1, 2, 3 ...: a file is missing."""
    there = [echo.file.index.get("echo") for echo in own]
    if there != [str(number) for number in range(1, len(own) + 1)]:
        yield InputError(
            own[0].file.path,
            "echo",
            ", ".join(f"echo-{label}" for label in there),
            "all echoes from 1 on, without a gap",
            f"Add the files that are missing, or number the echoes as they were read, {_FIRST}.",
        )


def _unlike(first: Echo, other: Echo) -> Iterator[InputError]:
    """In what two echoes of one image contradict each other."""
    names = {*schemas.properties("asl"), *phase_encoding.FIELDS} - _OWN
    for name in sorted(names & set(first.fields) & set(other.fields)):
        if not _alike(first.fields[name], other.fields[name]):
            yield InputError(
                other.origin[name],
                name,
                f"{other.fields[name]} of {other.file.name}",
                f"{first.fields[name]}, as {first.file.name} has it: they are echoes of one excitation",
                f"Correct whichever is wrong, {_FIRST}.",
            )
    if first.header is not None and other.header is not None:
        yield from _elsewhere(first, other, first.header, other.header)
    if first.types and other.types and first.types != other.types and len(first.types) == len(other.types):
        number = next(k for k, (one, two) in enumerate(zip(first.types, other.types)) if one != two)
        yield InputError(
            other.file.path,
            "volume_type",
            f"{other.types[number]} at volume {number + 1} of its aslcontext.tsv",
            f"{first.types[number]}, as that of {first.file.name} has it",
            f"Correct whichever is wrong, {_FIRST}.",
        )


def _elsewhere(first: Echo, other: Echo, one: header.Header, two: header.Header) -> Iterator[InputError]:
    """Images of another grid, or of another number of volumes."""
    fix = f"Give all echoes as they were reconstructed, {_FIRST}."
    if one.shape != two.shape:
        there, expected = (" x ".join(map(str, own.shape)) for own in (two, one))
        yield InputError(other.file.path, "dim", there, f"{expected}, as {first.file.name} has", fix)
    elif (moved := header.apart(one, two)) > _APART:
        yield InputError(
            other.file.path,
            "affine",
            f"up to {moved:.3g} mm away",
            f"the place of {first.file.name}, the first echo",
            fix,
        )
    if one.volumes != two.volumes:
        yield InputError(
            other.file.path, "number of volumes", two.volumes, f"{one.volumes}, as {first.file.name} has", fix
        )


def _alike(one: Any, two: Any) -> bool:
    """Whether two values of a field are the same, but for rounding."""
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(_alike, one, two))
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in (one, two)):
        return bool(one == two)
    return abs(one - two) <= max(_ALIKE * max(abs(one), abs(two)), _ROUNDING)
