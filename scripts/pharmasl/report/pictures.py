"""Pictures inside the page: ``data:`` addresses, so that the page needs no other file."""

import base64
from pathlib import Path

from markupsafe import Markup

from pharmasl.errors import FilePath


def png(path: FilePath) -> str:
    """A PNG file as it is."""
    return "data:image/png;base64," + base64.b64encode(Path(path).read_bytes()).decode("ascii")


def fragment(path: FilePath) -> Markup:
    """A piece of HTML that the room ``figures`` wrote, in which all text is escaped."""
    return Markup(Path(path).read_text(encoding="utf-8"))
