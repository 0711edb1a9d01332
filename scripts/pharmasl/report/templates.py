"""The templates of pages, and the styles and scripts that stand in them: a page is one file and asks for no other."""

from pathlib import Path

import jinja2
from markupsafe import Markup

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


def environment() -> jinja2.Environment:
    """Templates of this room: every value is escaped, a missing one is an error, and :func:`inlined` is at hand."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOM),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"inlined": inlined, "POLICY": POLICY}
    return made
