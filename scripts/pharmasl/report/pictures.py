"""Pictures inside the page, so that it needs no other file."""

from pathlib import Path

from markupsafe import Markup

from pharmasl.errors import FilePath
from pharmasl.figures import parts


def fragment(path: FilePath) -> Markup:
    """A piece of HTML that the room ``figures`` wrote, in which all text is escaped."""
    return Markup(Path(path).read_text(encoding="utf-8"))


def drawing(content: Markup, words: str) -> Markup:
    """A figure within a page, laid out by the page's width; ``words`` stand for it where it cannot be seen."""
    own = parts.split(content)
    shown = Markup("\n".join(own.panels) or own.wide + own.narrow)
    notes = Markup("").join(Markup('<p class="note">{}</p>').format(Markup(note)) for note in own.notes)
    kind = "panels" if own.panels else "drawing"
    return Markup('<div class="{}" role="img" aria-label="{}">{}</div>{}').format(kind, words, shown, notes)
