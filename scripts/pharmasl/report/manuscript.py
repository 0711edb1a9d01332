"""The methods text and its references for a manuscript: ``CITATION.md``, ``.html`` and ``.tex``, and ``.bib`` for the last.

References are numbered in the order in which the text cites them; LaTeX numbers them itself, from the BibTeX file.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
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
# Letters below U+0180 that T1 fonts lack, and those above that they have: s and t with a comma, of Romanian.
_LACKING = "\u0126\u0127\u0138\u013f\u0140\u0149\u0166\u0167\u017f"
_BEYOND = "\u0218\u0219\u021a\u021b"


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
    """A paragraph in LaTeX, its citations as commands; control characters mark their places while signs are escaped."""
    marked = _marked(text.translate({2: None, 3: None}), references, lambda _, reference: f"\x02{reference.key}\x03")
    words, *rest = re.split("[\x02\x03]", marked)
    cited = zip(rest[::2], rest[1::2], strict=True)
    return in_latex(words) + "".join(f"~\\cite{{{key}}}{in_latex(others)}" for key, others in cited)


def in_latex(text: str) -> str:
    """A text with every sign that LaTeX would take for a command, or does not have, spelt in its way.

    Letters that its standard fonts lack are named by their Unicode names, so that a document always compiles.
    """
    return "".join(_LATEX.get(sign) or (sign if _has(sign) else _named(sign)) for sign in text)


def _has(sign: str) -> bool:
    """Whether LaTeX sets a sign with inputenc, fontenc T1 and nothing else."""
    if ord(sign) < 0xA1:
        return sign in "\n\t" or " " <= sign < "\x7f"
    return (ord(sign) < 0x180 and sign not in _LACKING) or sign in _BEYOND


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
    references = literature.cited_in(methods)
    texts = {
        "md": markdown(title, methods, references),
        "html": html(title, methods, references),
        "tex": latex(title, methods, references),
        "bib": literature.bibliography(references),
    }
    for extension, text in texts.items():
        Path(folder, f"CITATION.{extension}").write_text(text, encoding="utf-8")
