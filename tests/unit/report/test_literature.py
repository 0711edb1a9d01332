"""References: found as they are cited, listed, linked, and written as BibTeX."""

import re

import pytest
from pharmasl.perfusion import kinetics
from pharmasl.report import cbf_equations, literature


def test_each_reference_has_a_key_a_year_and_a_doi_of_its_own():
    for field in ("key", "cited", "doi"):
        values = [getattr(reference, field) for reference in literature.REFERENCES]
        assert len(set(values)) == len(values)
    for reference in literature.REFERENCES:
        assert re.fullmatch(r"(19|20)\d\d", reference.year)
        assert re.fullmatch(r"10\.\d{4,5}/\S+", reference.doi)
    keys = [reference.key for reference in literature.REFERENCES]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    "text", ["(Freedman & Lane 1983)", "Freedman and Lane 1983; x", "the method of Freedman and Lane (1983)"]
)
def test_only_what_a_text_cites_is_listed_however_it_is_cited(text):
    references = literature.cited_in([text])
    assert [reference.key for reference in references] == ["freedman1983"]
    assert literature.linked(text, references).count('href="#ref-freedman1983"') == 1


def test_a_text_is_escaped_and_its_citations_are_numbered_links():
    references = literature.cited_in(["Tustison et al. 2010", "Alsop et al. 2015, Tustison et al. 2010"])
    html = literature.linked("<b>Alsop et al. 2015</b>", references)
    assert html == '&lt;b&gt;<a href="#ref-alsop2015">Alsop et al. 2015 [2]</a>&lt;/b&gt;'


def test_an_entry_of_bibtex_has_volume_and_pages_where_they_are_known():
    entry = literature.bibliography(literature.cited_in(["Asllani et al. 2008"]))
    assert entry.startswith("@article{asllani2008,\n  author = {Asllani, I. and Borogovac, A. and Brown, T. R.},\n")
    assert "  journal = {Magnetic Resonance in Medicine},\n  volume = {60},\n  pages = {1362--1371},\n" in entry
    assert "volume" not in literature.bibliography(literature.cited_in(["Dolui et al. 2024"]))
    assert "Statistics" in (statistics := literature.bibliography(literature.cited_in(["Freedman and Lane 1983"])))
    assert "Business \\& Economic" in statistics


def test_the_equations_of_single_delays_are_typeset_and_others_are_named():
    for equation in (kinetics.CONTINUOUS, kinetics.PULSED, kinetics.KNOWN_CONTINUOUS, kinetics.KNOWN_PULSED):
        formula = cbf_equations.of_equation(equation)
        assert formula.mathml.count("<math") == formula.mathml.count("</math>") == 1
        assert "6000" in formula.spoken
    assert not cbf_equations.of_equation("CBF as the scanner computed it").mathml
