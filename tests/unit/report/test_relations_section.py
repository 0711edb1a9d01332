"""What the report says of correlations with craving: the declared test, and what only describes."""

import pytest
from pharmasl.report import relations_section
from pharmasl.study import settings

ARMS = {"column": "arm", "treatment": "baclofen", "control": "placebo", "others": []}
ROW = {
    "roi": "insula",
    "contrast": "cue",
    "timing": "change",
    "group": "all",
    "method": "pearson",
    "region_of": "all",
    "estimate": "-0.5",
    "ci_low": "-0.7",
    "ci_high": "-0.2",
    "n": "43",
    "p": "0.001",
    "p_holm": "0.002",
    "p_fdr": "0.002",
    "p_max": "0.002",
    "family_size": "2",
    "role": "tested",
    "roi_defined_by_same_data": "false",
    "note": None,
    "without_one_low": None,
    "without_one_high": None,
}
DESCRIBED = dict.fromkeys(("p_holm", "p_fdr", "p_max", "family_size")) | {"role": "described"}


def asked(**test):
    declared = {"timing": "change", "group": "all", "method": "pearson", **test}
    primary = {"answers": ["craving.insula"], "secondary": [], "correction": "holm", "alpha": 0.05}
    return relations_section.RelationTest(
        declared=settings.build(settings.DeclaredCorrelation, declared),
        family="test",
        arms=settings.build(settings.Arms, ARMS),
        primary=settings.build(settings.Primary, primary),
    )


def rows():
    return [
        ROW,
        {**ROW, "group": "baclofen", **DESCRIBED},
        {**ROW, "timing": "baseline", "method": "spearman", **DESCRIBED},
        {**ROW, "roi": "dlpfc", "roi_defined_by_same_data": "true", **DESCRIBED},
        {**ROW, "roi": "dlpfc", "roi_defined_by_same_data": "true", "region_of": "others", "p_holm": "0.04"},
    ]


def plain(text):
    return text.replace("\u00a0", " ").replace("\u2212", "-")


def test_the_declared_test_is_told_with_its_correction_and_a_description_without_p():
    told = [plain(text) for text in relations_section.sentences(rows(), asked())]
    assert told == [
        "insula (cue, primary): r = -0.50 (95 % CI -0.70 to -0.20, n = 43), p = 0.001, corrected for 2 tests p = 0.002.",
        "dlpfc (cue, exploratory), a cluster in the same data: r = -0.50 (95 % CI -0.70 to -0.20, n = 43); descriptive only.",
        "dlpfc (cue, exploratory), region defined without the participant: r = -0.50 (95 % CI -0.70 to -0.20, n = 43), p = 0.001, "
        "corrected for 2 tests p = 0.04.",
    ]
    topic = relations_section.introduction(rows(), asked())
    assert "over both arms and adjusted for arm (Pearson): the declared test, corrected over 2 regions." in topic
    assert "All other correlations are descriptive" in topic


def test_another_declared_test_is_the_one_that_is_told():
    other = asked(timing="baseline", method="spearman")
    table = [
        {**row, **({"role": "tested", "family_size": "1"} if row["method"] == "spearman" else DESCRIBED)}
        for row in rows()
    ]
    (told,) = relations_section.sentences(table, other)
    assert told.startswith("insula (cue, primary): Spearman = ")
    assert relations_section.introduction(table, other).startswith(
        "CBF and cue-elicited craving, both at baseline, over both arms"
    )
    compared = asked(method="slope_interaction")
    assert "compared between the arms" in relations_section.introduction(table, compared)
    # The tests stand in the table that is open, whatever their timing.
    shown = relations_section.table(table, False, other)
    assert {row[2] for row in shown.rows} == {"change", "baseline"}


@pytest.mark.parametrize("everything", [True, False])
def test_tests_are_bold_and_a_description_has_no_corrected_p(everything):
    table = relations_section.table(rows(), everything, asked())
    place = table.heads.index("p Holm")
    bold = [k for k, row in enumerate(table.rows) if row[place] != relations_section.NONE]
    assert set(bold) == table.marked
    assert len(bold) == 2
    assert "tests in bold" in table.caption
    roles = [row[table.heads.index("Role")] for row in table.rows]
    assert roles == ["primary", *["exploratory"] * (len(roles) - 1)]
