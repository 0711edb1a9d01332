"""The effect that chose a region, tested in regions that each participant did not help to choose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.figures.numerals import MISSING, p_value
from pharmasl.report.words import Table, count, fixed, p_words, plain
from pharmasl.study.labels import NAMES, Labels

SUFFIX = "_leftout_test.json"
# Region to the content of its ``_leftout_test.json``.
Tests = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class LeftOutSection:
    """Sentences and table of these tests."""

    sentences: Sequence[str]
    table: Table


def sentences(tests: Tests, chosen_by: Mapping[str, str], labels: Labels = NAMES) -> list[str]:
    """For each region: for how many participants it was found again, r there, and which p is valid.

    Parameters
    ----------
    tests : Mapping
    chosen_by : Mapping
        Region to the analysis that found it.
    labels : Labels, optional

    Returns
    -------
    list of str
    """
    return [_sentence(labels.region(name), labels.analysis(chosen_by[name]), test) for name, test in tests.items()]


def _sentence(region: str, analysis: str, test: Mapping[str, Any]) -> str:
    start = f"{region} is a cluster of the analysis {analysis}"
    if test["status"] != "run":
        return f"{start}; its own effect was not tested with each participant left out: {test['status']}."
    start += f"; with each participant left out in turn, it was found again for {test['n']} of {test['participants']}"
    if test["r"] is None:
        return f"{start}, too few to test its effect."
    return (
        f"{start}. The change in CBF measured there correlates with {plain(test['tested_term'])}, the variable that chose it: "
        f"r = {fixed(test['r'])}, {p_words(test['p'])} (one-sided; map, choice of the cluster and test all repeated in "
        f"{count(test['permutations'], 'permutation')}). The textbook p for the same r ({p_words(test['p_naive'])}) "
        "is too small, since participants share most of the data that chose their clusters; "
        f"r = {fixed(test['r_same_region'])} in the single cluster from all participants is circular."
    )


def table(tests: Tests, chosen_by: Mapping[str, str], labels: Labels = NAMES) -> Table:
    """The same results as a table, the circular ones beside the valid one."""
    cells = []
    for name, test in tests.items():
        start = [labels.region(name), labels.analysis(chosen_by[name])]
        if test["status"] != "run":
            cells.append([*start, *[MISSING] * 6])
            continue
        cells.append(
            [
                *start,
                f"{test['n']} of {test['participants']}",
                fixed(test["r"]),
                p_value(test["p"]),
                p_value(test["p_naive"]),
                fixed(test["r_same_region"]),
                p_value(test["p_same_region"]),
            ]
        )
    heads = [
        "Region",
        "Analysis",
        "Found without the participant",
        "r, left out",
        "p, whole procedure (one-sided)",
        "p, textbook (too small)",
        "r, same region (circular)",
        "p, same region (circular)",
    ]
    return Table("The effect that chose a region, in regions found without each participant", heads, cells, {0, 1})


def section(tests: Tests, chosen_by: Mapping[str, str], labels: Labels = NAMES) -> LeftOutSection | None:
    """Sentences and table; None where there are no tests. Parameters as of :func:`sentences`."""
    return LeftOutSection(sentences(tests, chosen_by, labels), table(tests, chosen_by, labels)) if tests else None
