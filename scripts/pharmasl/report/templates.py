"""The templates of pages, and the styles and scripts that stand in them: a page is one file and asks for no other."""

import functools
import os
from pathlib import Path, PurePath
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from pharmasl.errors import FilePath
from pharmasl.report import literature, pictures

ROOM = Path(__file__).parent
ASSETS = ROOM / "assets"

# What a page may load: its own styles and scripts, and pictures that stand in it. Nothing is fetched and nothing sent.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "connect-src 'none'; base-uri 'none'; form-action 'none'"
)


def inlined(*names: str) -> Markup:
    """Files of ``assets`` as they are, for a page's ``style`` or ``script`` element.

    Parameters
    ----------
    *names : str
        Such as ``base.css``; joined in this order.

    Returns
    -------
    Markup
        Not escaped by a template.
    """
    return Markup("\n".join((ASSETS / name).read_text(encoding="utf-8").rstrip() for name in names))


def beside(path: FilePath, folder: FilePath) -> str:
    """The address of a file as a link of a page in a folder: relative, so that the results may be moved together.

    Parameters
    ----------
    path, folder : path-like

    Returns
    -------
    str
        Quoted, with slashes on every system.
    """
    return quote(PurePath(os.path.relpath(path, folder)).as_posix())


def environment(folder: FilePath = ".") -> jinja2.Environment:
    """Templates of this room: every value is escaped, a missing one is an error, and :func:`inlined` is at hand.

    Parameters
    ----------
    folder : path-like
        Where the page will be: the filter ``beside`` links to files from there, ``name`` is a file's own name.
    """
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOM),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["beside"] = functools.partial(beside, folder=folder)
    made.filters["name"] = lambda path: PurePath(path).name
    made.globals |= {"linked": literature.linked, "inlined": inlined, "drawing": pictures.drawing, "POLICY": POLICY}
    return made
