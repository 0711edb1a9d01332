"""An item of the reporting checklist."""

from dataclasses import dataclass

UNKNOWN = "not known to the workflow: state it"

CONSORT = "CONSORT 2025"
ASL = "OSIPI ASL lexicon (Suzuki et al. 2024)"
CONSENSUS = "ASL consensus (Alsop et al. 2015)"


@dataclass(frozen=True)
class Item:
    """What a guideline asks a report for, and the study's answer.

    Attributes
    ----------
    topic : str
    source : str
        The guideline, with the item's number where it has one and its part otherwise.
    answer : str
        From the study's own settings and results; empty where they do not hold it.
    missing : str
        What the authors must add, where the answer is a part of what is asked for.
    """

    topic: str
    source: str
    answer: str = ""
    missing: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the study answers it, wholly or in part."""
        return bool(self.answer)

    @property
    def words(self) -> str:
        """The answer, and what is left to be stated."""
        if not self.answer:
            return UNKNOWN
        return self.answer + (f" State also: {self.missing}." if self.missing else "")


def consort(number: str) -> str:
    """An item of the CONSORT 2025 statement (Hopewell et al. 2025, BMJ 389:e081123, table 1)."""
    return f"{CONSORT}, item {number}"


def acri(category: str) -> str:
    """A category of the ENIGMA-ACRI checklist (Ekhtiari et al. 2022, Nat Protoc 17:567-595)."""
    return f"ENIGMA-ACRI (Ekhtiari et al. 2022), {category}"


def cobidas(area: str) -> str:
    """An area of the COBIDAS report (Nichols et al. 2017, Nat Neurosci 20:299-303)."""
    return f"COBIDAS (Nichols et al. 2017), {area}"
