"""The methods text of CBF maps that another program made, from their sidecars."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pharmasl.files import bids
from pharmasl.report.methods_perfusion import agreed, with_unit
from pharmasl.report.words import count, listed
from pharmasl.study.cbf_units import CBF_UNIT

# How a text cites the programs, by their names in lower case.
_CITED = {"aslprep": "Adebimpe et al. 2022", "exploreasl": "Mutsaerts et al. 2020"}


def own(sidecars: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The sidecars of the maps that another program made."""
    return [sidecar["Imported"] for sidecar in sidecars if "Imported" in sidecar]


def made_by(sidecars: Sequence[Mapping[str, Any]]) -> str | None:
    """The program that made the maps, with its version; None where this workflow computed CBF."""
    return agreed(map(_program, imported)) if (imported := own(sidecars)) else None


def _program(imported: Mapping[str, Any]) -> str:
    program = imported["GeneratedBy"]
    return f"{program['Name']} {program['Version']}"


def _path(name: str) -> str:
    """What a file of a transform leads from and to, in words; its name where that does not say it."""
    parsed = bids.parse(name)
    ends = parsed.entities if parsed else {}
    return f"the transform from {ends['from']} to {ends['to']}" if {"from", "to"} <= set(ends) else name


def perfusion(sidecars: Sequence[Mapping[str, Any]]) -> str:
    """Where the CBF maps come from and how they came onto the template.

    Parameters
    ----------
    sidecars : sequence of Mapping
        ``_cbf.json`` of every scan.

    Returns
    -------
    str
        Sentences.
    """
    return " ".join([*source(sidecars), smoothing(sidecars)])


def source(sidecars: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Which program computed CBF, in which unit and space, and how the maps were sampled, as sentences."""
    maps = own(sidecars)
    cited = [
        f" ({_CITED[name]})" for name in {m["GeneratedBy"]["Name"].casefold(): None for m in maps} if name in _CITED
    ]
    yield (
        f"Cerebral blood flow was not computed by this workflow: maps of {made_by(sidecars)}{''.join(cited)} were taken "
        f"({count(len(maps), 'scan')}), in {agreed(part['Space'] for part in maps)} space."
    )
    if any(part["Units"]["Factor"] != 1 for part in maps):
        yield f"Their unit, {agreed(part['Units']['Value'] for part in maps)}, was converted to {CBF_UNIT}."
    yield f"CBF was taken to be missing {agreed(part['Missing'] for part in maps)}."
    brought = [listed(map(_path, part["Transforms"])) for part in maps if part["Transforms"]]
    through = f", through {agreed(brought)}" if brought else ""
    yield f"The maps were {agreed(part['Resampling'] for part in maps)}{through}."


def smoothing(sidecars: Sequence[Mapping[str, Any]]) -> str:
    """How the maps were smoothed, as a sentence."""
    fwhm = agreed(with_unit(sidecar["TemplateSmoothingFWHM"]) for sidecar in sidecars)
    return f"They were smoothed within the covered brain with a Gaussian kernel of {fwhm} FWHM."


QUALITY = (
    "The quality of each map was assessed by the quality evaluation index (Dolui et al. 2024), the spatial coefficient of "
    "variation (Mutsaerts et al. 2017), CBF in grey and white matter, the proportions of negative and of implausibly high values in "
    "grey matter, coverage of the template's brain and correlation with its grey matter, with the template's tissues in place of the "
    "participant's; the index and framewise displacement (Power et al. 2012) are the program's own where its table of quality has "
    "them. Scans with a measure outside its acceptance range were flagged."
)
