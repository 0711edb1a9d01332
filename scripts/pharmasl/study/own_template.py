"""A template of the user's own: whether its files are there and lie on one grid, from their headers alone."""

import os
from collections.abc import Iterator

import numpy as np

from pharmasl.errors import InputError, InputErrors
from pharmasl.space import header, images, template_boxes
from pharmasl.study.settings import Template

FILES = ("t1w", "mask", "gm", "wm", "csf")
NEEDED = ("gm", "wm")  # beside t1w

_GRID_TOLERANCE = 1e-3  # mm


def files(template: Template) -> dict[str, str]:
    """The paths of the user's own template by kind, those that are given; empty where nilearn's is used."""
    paths = {kind: getattr(template, kind) for kind in FILES}
    return {kind: path for kind, path in paths.items() if path is not None}


def names(template: Template, named: bool, *, needs_tissues: bool = True) -> Iterator[InputError]:
    """What a configuration's own template lacks or has too much of.

    Parameters
    ----------
    template : Template
    named : bool
        Whether the user gave the space a name.
    needs_tissues : bool
        Whether anything reads the template's tissues: of ready-made contrast maps, a brain mask or a T1w without skull is enough.

    Yields
    ------
    InputError
    """
    own = files(template)
    if not own:
        if template.space != "MNI152NLin2009aSym":
            yield InputError(
                "config",
                "template.space",
                template.space,
                "MNI152NLin2009aSym, the template at hand",
                "Give the files of another template by template.t1w, gm and wm, or leave template.space out.",
            )
        return
    if not needs_tissues and not {"t1w", "mask"} & set(own):
        yield InputError(
            "config",
            "template.mask",
            "nothing",
            f"a file beside template.{next(iter(own))}",
            "Give template.mask or template.t1w, which say where the brain is.",
        )
    for kind in ("t1w", *NEEDED) if needs_tissues else ():
        if kind not in own:
            yield InputError(
                "config",
                f"template.{kind}",
                "nothing",
                f"a file beside template.{next(iter(own))}",
                "A template of your own needs t1w, gm and wm at least; give all three or none.",
            )
    if not named:
        yield InputError(
            "config",
            "template.space",
            "nothing",
            "the name of the template, letters and digits",
            "Name it: the name stands in the names of all files in that space.",
        )


def check(template: Template) -> Iterator[InputError]:
    """What is wrong with the files of a user's own template.

    Parameters
    ----------
    template : Template

    Yields
    ------
    InputError
        For every file that is missing, is no three-dimensional image, or lies on another grid than ``t1w``; for a ``t1w`` on
        the grid of another known template than ``template.space`` names.
    """
    first = None
    for kind, path in files(template).items():
        if not os.path.isfile(path):
            yield InputError(
                "config",
                f"template.{kind}",
                path,
                "an existing file",
                "Correct the path: it is relative to the folder you run in.",
            )
            continue
        try:
            image = header.read(path)
            header.check_place(image)
        except InputErrors as several:
            yield from (
                InputError(path, f"template.{kind}", f"{error.field} {error.found}", error.expected, error.fix)
                for error in several.errors
            )
            continue
        if image.volumes > 1:
            shape = (*image.shape, image.volumes)
            yield InputError(path, f"template.{kind}", f"shape {shape}", "three dimensions", "Give one volume.")
            continue
        turned = images.canonical_grid(images.Grid(image.shape, image.affine)).affine[:3, :3]
        if np.abs(turned - np.diag(np.diag(turned))).max() > _GRID_TOLERANCE:
            yield InputError(
                path,
                f"template.{kind}",
                "axes at an angle to right, anterior and superior",
                "axes along them",
                "Resample the template's files to a straight grid.",
            )
            continue
        if first is None:
            first = kind, image
            if other := template_boxes.another(image, template.space):
                yield InputError(
                    path,
                    f"template.{kind}",
                    f"the grid of {other}",
                    f"that of {template.space}, as template.space has it",
                    "Find out which of the two it is: they differ by up to a centimetre. Then give its name, or the other files.",
                )
        elif image.shape != first[1].shape or not np.allclose(
            image.affine, first[1].affine, rtol=0, atol=_GRID_TOLERANCE
        ):
            yield InputError(
                path,
                f"template.{kind}",
                f"shape {image.shape}, or another affine",
                f"the grid of {first[0]}: {first[1].shape}",
                "Resample the template's files to one grid.",
            )
