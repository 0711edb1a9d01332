"""The methods text and its references for a manuscript: ``CITATION.md``, ``.html`` and ``.tex``, and ``.bib`` for the last.

References are numbered in the order in which the text cites them; LaTeX numbers them itself, from the BibTeX file.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from markupsafe import Markup, escape

from pharmasl.errors import FilePath
from pharmasl.report import literature
from pharmasl.report.literature import Reference

# Signs that LaTeX takes for commands, and those of the methods that its fonts lack.
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\u00a0": "~",
    "\u2011": "-",
    "\u2013": "--",
    "\u2014": "---",
    "\u2019": "'",
    "\u2212": r"\ensuremath{-}",
    "\u00d7": r"\ensuremath{\times}",
    "\u00b1": r"\ensuremath{\pm}",
    "\u2264": r"\ensuremath{\leq}",
    "\u2265": r"\ensuremath{\geq}",
    "\u0394": r"\ensuremath{\Delta}",
    "\u03b1": r"\ensuremath{\alpha}",
    "\u03bb": r"\ensuremath{\lambda}",
    "\u2080": r"\ensuremath{_0}",
    "\u2081": r"\ensuremath{_1}",
}


def in_order(texts: Iterable[str]) -> list[Reference]:
    """The references that texts cite, in the order in which they are first cited.

    Parameters
    ----------
    texts : iterable of str

    Returns
    -------
    list of Reference
    """
    whole = "\n".join(texts)
    places = {}
    for reference in literature.REFERENCES:
        if place := literature.citation(reference).search(whole):
            places[reference] = place.start()
    return sorted(places, key=lambda reference: places[reference])


def _marked(text: str, references: Sequence[Reference], mark: Callable[[int, Reference], str]) -> str:
    """A text with a mark behind each of its citations; all are found before any is marked."""
    ends = {
        place.end(): mark(number, reference)
        for number, reference in enumerate(references, start=1)
        for place in literature.citation(reference).finditer(text)
    }
    for end in sorted(ends, reverse=True):
        text = text[:end] + ends[end] + text[end:]
    return text


def numbered(text: str, references: Sequence[Reference]) -> str:
    """A text whose citations have their number in the list: "Alsop et al. 2015 [3]"."""
    return _marked(text, references, lambda number, reference: f" [{number}]")


def markdown(title: str, methods: Sequence[str], references: Sequence[Reference]) -> str:
    """The text in Markdown.

    Parameters
    ----------
    title : str
    methods : sequence of str
        Paragraphs.
    references : sequence of Reference
        In their order.

    Returns
    -------
    str
    """
    listing = "\n".join(
        f"{number}. {reference.text} <{reference.url}>" for number, reference in enumerate(references, start=1)
    )
    text = "\n\n".join(numbered(paragraph, references) for paragraph in methods)
    return f"# Methods: {title}\n\n{text}\n\n## References\n\n{listing}\n"


def html(title: str, methods: Sequence[str], references: Sequence[Reference]) -> str:
    """The text as a page of HTML without style, to be pasted into a word processor; parameters as of :func:`markdown`."""
    paragraphs = Markup("\n").join(Markup("<p>{}</p>").format(numbered(text, references)) for text in methods)
    entries = Markup("\n").join(
        Markup('<li>{} <a href="{}">doi:{}</a></li>').format(reference.text, reference.url, reference.doi)
        for reference in references
    )
    heading = escape(f"Methods: {title}")
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{heading}</title></head>\n<body>\n'
        f"<h1>{heading}</h1>\n{paragraphs}\n<h2>References</h2>\n<ol>\n{entries}\n</ol>\n</body>\n</html>\n"
    )


def latex(title: str, methods: Sequence[str], references: Sequence[Reference]) -> str:
    """The text as a document of LaTeX whose references are those of ``CITATION.bib``; parameters as of :func:`markdown`."""
    paragraphs = "\n\n".join(_cited(text, references) for text in methods)
    return (
        "\\documentclass{article}\n\\usepackage[T1]{fontenc}\n\\usepackage[utf8]{inputenc}\n\\begin{document}\n"
        f"\\section*{{Methods: {in_latex(title)}}}\n\n{paragraphs}\n\n"
        "\\bibliographystyle{unsrt}\n\\bibliography{CITATION}\n\\end{document}\n"
    )


def _cited(text: str, references: Sequence[Reference]) -> str:
    """A paragraph in LaTeX, its citations as commands; a control character stands in for them while signs are escaped."""
    keys = [reference.key for reference in references]
    marked = _marked(text, references, lambda number, reference: f"\x02{number}\x03")
    return re.sub("\x02(\\d+)\x03", lambda place: f"~\\cite{{{keys[int(place[1]) - 1]}}}", in_latex(marked))


def in_latex(text: str) -> str:
    """A text with every sign that LaTeX would take for a command, or does not have, spelt in its way.

    Letters of other scripts are named by their Unicode names, so that a document always compiles.
    """
    return "".join(_LATEX.get(sign) or (sign if ord(sign) < 0x250 else _named(sign)) for sign in text)


def _named(sign: str) -> str:
    return f"[{unicodedata.name(sign, 'sign').lower()}]"


def write(folder: FilePath, title: str, methods: Sequence[str]) -> None:
    """Write the four files into a folder.

    Parameters
    ----------
    folder : path-like
    title : str
        Of the study.
    methods : sequence of str
        Paragraphs.
    """
    references = in_order(methods)
    texts = {
        "md": markdown(title, methods, references),
        "html": html(title, methods, references),
        "tex": latex(title, methods, references),
        "bib": literature.bibliography(references),
    }
    for extension, text in texts.items():
        Path(folder, f"CITATION.{extension}").write_text(text, encoding="utf-8")
