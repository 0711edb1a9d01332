"""The methods text of the anatomies, the workflow's own or another program's."""

from collections.abc import Sequence
from dataclasses import dataclass

from pharmasl.files.tables import Row
from pharmasl.report.words import listed, short
from pharmasl.study import derivative_anatomies
from pharmasl.study.settings import Anatomy, Registration, Settings, Template
from pharmasl.study.sheets import NO_ANATOMY, TEMPLATE_ANATOMY

# How programs whose anatomies can be imported are cited.
PROGRAMS = {
    "fMRIPrep": "Esteban et al. 2019",
    "sMRIPrep": "Esteban et al. 2019",
    "ASLPrep": "Adebimpe et al. 2022",
}


def anatomy(settings: Settings, scans: Sequence[Row]) -> str:
    """How T1-weighted images were processed, and by which program if not by the workflow.

    Parameters
    ----------
    settings : Settings
    scans : sequence of Row
        Of ``scans.tsv``.
    """
    shared = (
        "All scans of a participant share one anatomy."
        if settings.anatomy.per == "participant"
        else "Each session that has a T1-weighted image has its own anatomy."
    )
    imported = imported_anatomy(settings, scans)
    own = (derivative_anatomies.REGISTRATION, derivative_anatomies.SEGMENTATION) if imported is None else imported.own
    steps = [_prepared(settings.anatomy) if imported is None else _imported(imported, settings.template)]
    if derivative_anatomies.REGISTRATION in own:
        steps.append(_registered(settings.anatomy.registration, settings.template))
    if derivative_anatomies.SEGMENTATION in own:
        steps.append(
            "Fractions of grey matter, white matter and cerebrospinal fluid in each voxel were estimated by a Gaussian "
            "mixture model with the template's tissue maps as priors and a Markov random field."
        )
    return " ".join([*steps, shared])


@dataclass(frozen=True, kw_only=True)
class ImportedAnatomy:
    """Anatomies of another program: its name with version, its template if another, and the steps that are the workflow's own."""

    program: str
    space: str | None
    own: tuple[str, ...]


def imported_anatomy(settings: Settings, scans: Sequence[Row]) -> ImportedAnatomy | None:
    """Which program made the anatomies, by the study's scans; None where the workflow did."""
    programs = {row.get("anatomy_program") for row in scans} - {None}
    source = settings.derivatives.anatomy
    if not programs or source is None:
        return None
    return ImportedAnatomy(
        program=str(programs.pop()), space=source.space if source.transform else None, own=source.own
    )


def has_anatomy(scans: Sequence[Row]) -> bool:
    """Whether anybody's own anatomy was used, and not the template or none; ready-made contrast maps know of none."""
    return any(row.get("anatomy", NO_ANATOMY) not in (TEMPLATE_ANATOMY, NO_ANATOMY) for row in scans)


def by_greedy(settings: Settings, scans: Sequence[Row]) -> bool:
    """Whether greedy fitted any anatomy to the template."""
    imported = imported_anatomy(settings, scans)
    fitted = imported is None or derivative_anatomies.REGISTRATION in imported.own
    return fitted and has_anatomy(scans) and settings.anatomy.registration.backend == "greedy"


def _prepared(settings: Anatomy) -> str:
    several = (
        "Repeated T1-weighted images of an anatomy were rigidly aligned to their midpoint and averaged."
        if settings.t1w == "average"
        else "Where an anatomy had several T1-weighted images, the first was used."
    )
    return (
        "The brain was extracted from each T1-weighted image with deepbet (Fisch et al. 2024). Intensity non-uniformity was "
        f"corrected within the brain with N4 (Tustison et al. 2010; shrink factor {settings.bias.shrink}, at most "
        f"{listed(settings.bias.iterations)} iterations). {several}"
    )


def _imported(imported: ImportedAnatomy, template: Template) -> str:
    name = imported.program.partition(" ")[0]
    cited = f" ({PROGRAMS[name]})" if name in PROGRAMS else ""
    taken = []
    if derivative_anatomies.SEGMENTATION not in imported.own:
        taken.append("its fractions of grey matter, white matter and cerebrospinal fluid, held to the brain mask")
    if derivative_anatomies.REGISTRATION not in imported.own:
        onward = f" followed by a given transform from there to {template.space}," if imported.space else ""
        taken.append(
            f"its transforms to the {imported.space or template.space} template,{onward} each sampled as one displacement field"
        )
    also = f" So were {' and '.join(taken)}." if taken else ""
    return (
        f"T1-weighted images that {imported.program}{cited} had preprocessed, and its brain masks, were used as they are, "
        f"without bias correction or brain extraction of our own.{also}"
    )


def _registered(registration: Registration, template: Template) -> str:
    origin = (
        ""
        if template.t1w
        else " (ICBM 2009a symmetric; Fonov et al. 2011; distributed with nilearn, Abraham et al. 2014)"
    )
    return (
        f"The brain was registered to the {template.space} template{origin} with {registered_by(registration)}; template "
        f"resolution {short(registration.resolution)} mm)."
    )


def registered_by(registration: Registration) -> str:
    """The program that fitted the anatomy to the template, and how; the parenthesis is left open."""
    if registration.backend == "ants":
        return f"ANTs (Avants et al. 2008; {registration.ants_transform}"
    return (
        f"greedy (Yushkevich et al. 2016; local correlation; affine with {iterations(registration.affine_iterations)} "
        f"iterations, then diffeomorphic with {iterations(registration.warp_iterations)}"
    )


def iterations(text: str) -> str:
    """Iterations from the coarsest level on: "100x50x0" gives "100, 50 and 0"."""
    return listed(text.split("x"))
