"""Maps of what is known of label in tissue: which file is whose, and whether it can be that, by its header."""

import os
from collections.abc import Iterator, Sequence

from pharmasl.errors import InputError, InputErrors
from pharmasl.space import header, template_boxes
from pharmasl.study import file_patterns
from pharmasl.study.settings import TissueValue
from pharmasl.study.trial import Scan, Study

T1W = "T1w"
_NAMES = ("participant", "session")


def check_setting(field: str, value: TissueValue, template: str) -> Iterator[InputError]:
    """What is wrong with how a quantity is stated.

    Parameters
    ----------
    field : str
        The setting that holds it.
    value : pharmasl.study.settings.TissueValue
    template : str
        Name of the study's template.

    Yields
    ------
    InputError
    """
    parts = {name: getattr(value, name) for name in ("gm", "wm", "image", "space", "unit")}
    stated = [name for name, part in parts.items() if part is not None]
    of_map = [name for name in stated if name not in ("gm", "wm")]
    if of_map and len(of_map) < len(stated):
        fix = "Remove one of the two."
        yield InputError("config", field, ", ".join(stated), "gm and wm, or image, space and unit", fix)
        return
    needed = ("image", "space", "unit") if of_map else ("gm", "wm")
    for name in needed:
        if name not in stated:
            yield InputError(
                "config", f"{field}.{name}", "nothing", f"{', '.join(needed)}: all of them", f"Add {name}."
            )
    if value.image is None or value.space is None:
        return
    if value.space not in (T1W, template):
        yield InputError(
            "config",
            f"{field}.space",
            value.space,
            f"{T1W}, or {template}, the study's template",
            f"Bring the map onto {template} first, or take its space for template.space.",
        )
        return
    try:
        file_patterns.check(value.image, f"{field}.image", _NAMES, ("participant",) if value.space == T1W else ())
    except InputError as error:
        yield error


def path(value: TissueValue, scan: Scan) -> str | None:
    """The map of a scan; None where there is none."""
    labels = {"participant": scan.subject, **({"session": scan.session} if scan.session else {})}
    return next(filter(os.path.isfile, file_patterns.filled(str(value.image), labels)), None)


def check(field: str, value: TissueValue, study: Study, scans: Sequence[Scan]) -> Iterator[InputError]:
    """What is wrong with the maps of some scans.

    Parameters
    ----------
    field : str
        The setting that holds their pattern.
    value : pharmasl.study.settings.TissueValue
    study : pharmasl.study.trial.Study
    scans : sequence of pharmasl.study.trial.Scan
        Those that take it.

    Yields
    ------
    InputError
        One for all files that are missing, one for all scans without a T1w on which their map could lie, and those of headers.
    """
    visits = dict.fromkeys(scan.visit for scan in scans)
    first = {visit: next(scan for scan in scans if scan.visit == visit) for visit in visits}
    paths = {visit: path(value, scan) for visit, scan in first.items()}
    if missing := [visit for visit, file in paths.items() if file is None]:
        yield InputError(
            "config",
            f"{field}.image",
            f"{value.image}, of which {len(missing)} of {len(paths)} visits have no file, such as {_named(missing[0])}",
            "a map of every visit with a scan that takes it",
            "Add the maps, correct the pattern, or leave the scans out by participants or conditions.",
        )
    if value.space == T1W:
        without = [visit for visit in visits if not study.t1w[study.anatomy(visit)]]
        if without:
            yield InputError(
                "config",
                f"{field}.space",
                f"{T1W}, and {_named(without[0])} has none",
                "a T1w of everyone whose map lies on it",
                "Give a map on the template, or leave these people out.",
            )
    for file in sorted({file for file in paths.values() if file is not None}):
        try:
            known = header.read(file)
            header.check_place(known)
        except InputErrors as several:
            yield from several.errors
            continue
        except InputError as error:
            yield error
            continue
        if known.volumes > 1:
            yield InputError(file, "dim", f"{known.volumes} volumes", "one", "Give a single map.")
        other = template_boxes.another(known, str(value.space)) if value.space != T1W else None
        if other:
            yield InputError(
                file,
                f"{field}.space",
                f"{value.space}, and the map lies on the box of {other}",
                f"a map on {value.space}",
                "Find out which of the two it is: they differ by up to a centimetre.",
            )


def _named(visit: tuple[str, str | None]) -> str:
    subject, session = visit
    return f"sub-{subject}" + (f" ses-{session}" if session else "")
