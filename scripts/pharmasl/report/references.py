"""The one home of the references that methods cite: found in a text by how they are cited, listed, and written as BibTeX.

A text cites by the first author and the year, "Alsop et al. 2015"; only what a study's own text cites is listed.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A reference.

    Attributes
    ----------
    key : str
        Of BibTeX, and of the anchor on the page.
    cited : str
        How a text cites it.
    authors : str
        Family names, "and others" last where the list is cut.
    year : int
    title, journal : str
    doi : str
    """

    key: str
    cited: str
    authors: str
    year: int
    title: str
    journal: str
    doi: str

    @property
    def url(self) -> str:
        """Where the DOI leads."""
        return f"https://doi.org/{quote(self.doi, safe='/:;.()-_<>')}"

    @property
    def text(self) -> str:
        """The entry of a list, without the DOI."""
        people = self.authors.replace(" and others", " et al.").replace(" and ", ", ")
        return f"{people} ({self.year}). {self.title}. {self.journal}."

    @property
    def bibtex(self) -> str:
        """The entry of BibTeX."""
        lines = [
            ("author", self.authors),
            ("title", f"{{{self.title}}}"),
            ("journal", self.journal),
            ("year", str(self.year)),
            ("doi", self.doi),
        ]
        return f"@article{{{self.key},\n" + "".join(f"  {name} = {{{value}}},\n" for name, value in lines) + "}\n"


def _reference(key: str, cited: str, authors: str, title: str, journal: str, doi: str) -> Reference:
    year = int(re.findall(r"\d{4}", cited)[-1])
    return Reference(key=key, cited=cited, authors=authors, year=year, title=title, journal=journal, doi=doi)
