"""What a configuration asks of maps that another program made, and they cannot answer."""

from collections.abc import Iterator

from pharmasl.errors import InputError
from pharmasl.space import itk_files
from pharmasl.study import derivative_anatomies, map_terms
from pharmasl.study.derivatives import AnatomySource, CbfMaps
from pharmasl.study.imported_files import FIELD
from pharmasl.study.settings import Settings

_FILE = "config"
# Terms of models that are read in what only the workflow's own perfusion and anatomy make.
_TERMS = {
    "gm": "grey matter of the participant's anatomy",
    "att": "the arterial transit time of the workflow's own fit",
}


def check(study: Settings) -> Iterator[InputError]:
    """What does not go together with ``derivatives``.

    Parameters
    ----------
    study : Settings

    Yields
    ------
    InputError
    """
    if study.derivatives.anatomy is not None:
        yield from _anatomy(study, study.derivatives.anatomy)
    if study.derivatives.cbf is not None:
        yield from _keys(study.derivatives.cbf)
        yield from _space(study, study.derivatives.cbf)
        yield from _without_perfusion(study)
        yield from _without_scan(study)


def _anatomy(study: Settings, source: AnatomySource) -> Iterator[InputError]:
    """The template of imported anatomies, and the transform from it to the study's."""
    field, own = derivative_anatomies.FIELD, study.template.space
    other = source.space is not None and source.space != own
    fitted = derivative_anatomies.REGISTRATION in source.own
    if source.transform is not None and (fitted or not other):
        why = f"{field}.own fits the images here" if fitted else f"{field}.space is not another than the study's {own}"
        yield InputError(_FILE, f"{field}.transform", source.transform, f"nothing: {why}", "Remove it.")
    elif source.transform is not None:
        try:
            itk_files.check_kind(source.transform, f"{field}.transform")
        except InputError as error:
            yield error
    elif other and not fitted:
        yield InputError(
            _FILE,
            f"{field}.space",
            source.space,
            f"{own}, the study's template, or a transform from the one to the other",
            f"Give {field}.transform, from-{source.space}_to-{own}, or set {field}.own: [{derivative_anatomies.REGISTRATION}].",
        )


def _keys(maps: CbfMaps) -> Iterator[InputError]:
    """Settings of the maps that exclude or need one another."""
    if maps.files is not None and maps.desc is not None:
        yield InputError(
            _FILE,
            f"{FIELD}.desc",
            maps.desc,
            f"nothing beside {FIELD}.files, which names the maps whole",
            "Remove one of the two.",
        )
    if maps.files is not None and maps.on_scan:
        yield InputError(
            _FILE,
            f"{FIELD}.grid",
            maps.grid,
            f"template beside {FIELD}.files: the transforms of each scan are known by their BIDS names alone",
            "Bring the maps onto the template first, or process the raw images, CBF of the scanner among them.",
        )
    if maps.mask is not None and (maps.files is None or maps.has_table):
        where = "the desc-brain_mask beside each map" if maps.files is None else "the table's column mask"
        yield InputError(_FILE, f"{FIELD}.mask", maps.mask, f"nothing: {where} is taken", "Remove it.")


def _space(study: Settings, maps: CbfMaps) -> Iterator[InputError]:
    if maps.transform is not None:
        if maps.template == study.template.space:
            yield InputError(
                _FILE, f"{FIELD}.transform", maps.transform, "nothing: the maps are in that space", "Remove it."
            )
        else:
            try:
                itk_files.check_kind(maps.transform, f"{FIELD}.transform")
            except InputError as error:
                yield error
    elif maps.template != study.template.space:
        yield InputError(
            _FILE,
            f"{FIELD}.space",
            maps.template,
            f"{study.template.space}, the study's template",
            f"Give the files of {maps.template} by template (space, t1w, mask, gm, wm), and an atlas and regions on it: the "
            f"variants of MNI152 differ by up to a centimetre, and are not mixed. Or give {FIELD}.transform, which leads from "
            "the one to the other.",
        )


def _without_perfusion(study: Settings) -> Iterator[InputError]:
    """What is asked of the workflow's own perfusion."""
    what = "nothing: the maps are taken as they are"
    if study.perfusion.override:
        yield InputError(_FILE, "perfusion.override", study.perfusion.override, what, "Remove it.")
    if study.perfusion.partial_volume.use:
        advice = f"Set it to false, and take corrected maps by {FIELD}.desc or {FIELD}.files."
        yield InputError(_FILE, "perfusion.partial_volume.use", True, what, advice)
    if study.sensitivity and True in study.sensitivity.partial_volume:
        yield InputError(_FILE, "sensitivity.partial_volume", True, what, "Remove it.")


def _without_scan(study: Settings) -> Iterator[InputError]:
    """What is read on a scan's own grid, or in its anatomy."""
    if study.derivatives.anatomy is not None:
        yield InputError(
            _FILE,
            "derivatives.anatomy",
            study.derivatives.anatomy.dir,
            f"nothing beside {FIELD}, whose maps lie on the template: no anatomy is read",
            "Remove it.",
        )
    for region in study.rois.values():
        if region.space == "native":
            yield InputError(
                _FILE,
                f"rois.{region.name}.space",
                "native",
                "template: the maps lie on the template",
                "Set it to template, or leave it out.",
            )
    for analysis in study.analyses.values():
        terms = map_terms.terms(analysis.formula, analysis.contrast) if analysis.formula else ()
        for term in terms:
            if term.kind in _TERMS:
                yield InputError(
                    _FILE,
                    f"analyses.{analysis.name}.model",
                    term.text,
                    f"no term that needs {_TERMS[term.kind]}: {FIELD} has none",
                    "Take it out of the model.",
                )
