"""The methods text for a manuscript: numbered references in Markdown, HTML and LaTeX."""

import re
import shutil
import subprocess

import pytest
from pharmasl.report import literature, manuscript
from pharmasl.report.literature import REFERENCES

METHODS = [
    "CBF \u00b1 10\u00a0% (Tustison et al. 2010; Alsop et al. 2015) of arm_a & <b>arm</b> {b}, p \u2264 0.05, \u0394M \u2212 1 ~ x^2 #3 $4 \\.",
    "Again Alsop et al. 2015, then Benjamini and Hochberg (1995), of M\u00f6lder et al. 2021 and \u8133.",
]


def test_references_are_numbered_in_the_order_in_which_the_text_cites_them():
    references = literature.cited_in(METHODS)
    assert [reference.key for reference in references] == ["tustison2010", "alsop2015", "benjamini1995", "molder2021"]
    text = manuscript.markdown("A trial", METHODS, references)
    assert text.startswith("# Methods: A trial\n\nCBF")
    assert "(Tustison et al. 2010 [1]; Alsop et al. 2015 [2])" in text
    assert "Again Alsop et al. 2015 [2], then Benjamini and Hochberg (1995) [3], of M\u00f6lder et al. 2021 [4]" in text
    assert "\n\n## References\n\n1. Tustison, N. J." in text
    assert text.endswith("<https://doi.org/10.12688/f1000research.29032.2>\n")
    assert len(re.findall(r"^\d+\. ", text, re.MULTILINE)) == 4


def test_no_citation_is_a_part_of_another():
    """So that one place in the text has one number."""
    cited = [reference.cited for reference in REFERENCES]
    assert [(one, other) for one in cited for other in cited if one != other and one.endswith(other)] == []


def test_as_html_text_is_escaped_and_references_are_links():
    page = manuscript.html("A <trial>", METHODS, literature.cited_in(METHODS))
    assert "<title>Methods: A &lt;trial&gt;</title>" in page
    assert "&lt;b&gt;arm&lt;/b&gt; {b}" in page
    assert "Alsop et al. 2015 [2]" in page
    assert page.count("<li>") == page.count('<a href="https://doi.org/') == 4


def test_as_latex_signs_are_spelt_and_citations_are_commands():
    text = manuscript.latex("100% & more", METHODS, literature.cited_in(METHODS))
    assert r"\section*{Methods: 100\% \& more}" in text
    assert r"Tustison et al. 2010~\cite{tustison2010}; Alsop et al. 2015~\cite{alsop2015}" in text
    assert r"arm\_a \& \textless{}b\textgreater{}arm" in text
    assert (
        r"p \ensuremath{\leq} 0.05, \ensuremath{\Delta}M \ensuremath{-} 1 \textasciitilde{} x\textasciicircum{}2 \#3 \$4 \textbackslash{}."
        in text
    )
    assert "[cjk unified ideograph-8133]" in text
    assert max(map(ord, text)) < 0x180
    assert "\x02" not in text


def test_four_files_are_written(tmp_path):
    manuscript.write(tmp_path, "BLINDED: A trial", METHODS)
    assert {path.name for path in tmp_path.iterdir()} == {f"CITATION.{end}" for end in ("md", "html", "tex", "bib")}
    assert all("BLINDED" in (tmp_path / f"CITATION.{end}").read_text() for end in ("md", "html", "tex"))
    keys = re.findall(r"@article\{(\w+),", (tmp_path / "CITATION.bib").read_text())
    assert set(re.findall(r"\\cite\{(\w+)\}", (tmp_path / "CITATION.tex").read_text())) == set(keys)


# Everything that a methods text may hold: each sign of European scripts, those that LaTeX spells, and every reference.
EVERYTHING = [
    "".join(map(chr, range(0x250))) + "".join(manuscript._LATEX) + " \u8133 \u0436 \U0001f9e0",
    "; ".join(reference.cited for reference in REFERENCES),
]


@pytest.mark.skipif(not (shutil.which("pdflatex") and shutil.which("bibtex")), reason="no LaTeX on this machine")
@pytest.mark.parametrize("methods", [METHODS, EVERYTHING], ids=["a text", "every sign and reference"])
def test_latex_and_bibtex_take_it(methods, tmp_path):
    manuscript.write(tmp_path, "100 % & <more>", methods)
    latex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "CITATION.tex"]
    # Three runs, as authors make them: what is cited, the list's numbers, the text with its numbers.
    for command in (latex, ["bibtex", "CITATION"], latex, latex):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True)
        said = done.stdout.decode("utf-8", errors="replace")
        assert done.returncode == 0, said[-2000:]
    assert "undefined" not in said
    assert "Missing character" not in said
    listed = (tmp_path / "CITATION.bbl").read_text(encoding="utf-8")
    assert listed.count("\\bibitem") == len(literature.cited_in(methods))
