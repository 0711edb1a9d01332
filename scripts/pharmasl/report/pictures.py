"""Pictures inside the page, so that it needs no other file."""

from pathlib import Path

from markupsafe import Markup

from pharmasl.errors import FilePath


def fragment(path: FilePath) -> Markup:
    """A piece of HTML that the room ``figures`` wrote, in which all text is escaped."""
    return Markup(Path(path).read_text(encoding="utf-8"))


def drawing(content: Markup, words: str) -> Markup:
    """An SVG within a page, scrolled where it would be too small to read; ``words`` stand for it where it cannot be seen."""
    start, rest = content.split("<svg ", 1)
    return Markup(
        '<div class="drawing" role="img" tabindex="0" aria-label="{}">{}<svg aria-hidden="true" {}</div>'
    ).format(words, Markup(start), Markup(rest))
