"""The study's answers, a sentence each with the one p that decides."""

from types import SimpleNamespace

import pytest
from pharmasl.figures.findings import Findings
from pharmasl.files import tables
from pharmasl.group.table import COLUMNS as CLUSTERS
from pharmasl.perfusion import kinetics
from pharmasl.report import analyses_section, answers_section, global_section
from pharmasl.report.answers_section import Answer, Declared
from pharmasl.study.labels import Labels
from pharmasl.study.settings import Arms

LABELS = Labels(
    sessions={}, arms={"drug": "baclofen"}, conditions={}, contrasts={}, analyses={}, regions={}, answers={}
)
ARMS = Arms(column="arm", treatment="drug", control="sham", others=())
VERDICT = {"role": "primary", "correction": "holm", "significant": "yes", "p": "0.002", "p_corrected": "0.004"}
PAIR = [{**VERDICT, "answer": "one"}, {**VERDICT, "answer": "two", "significant": "no", "p_corrected": "0.3"}]
BLOCK = {
    "status": "run",
    "alpha": 0.05,
    "arms": {"treatment": "drug", "control": "sham"},
    "effect": {"name": "group_by_time", "unit": "mL/100 g/min"},
    "verdict": {
        "statistic": "extent",
        "error_rate": "family-wise",
        "can_reach_alpha": True,
        "voxels_outside_clusters": 0,
    },
}
CLUSTER = {
    "cluster": 1,
    "peak": 1,
    "x": 4,
    "y": 8,
    "z": 0,
    "sign": "+",
    "size_voxels": 27,
    "volume_mm3": 1728.0,
    "effect_mean": 7.0,
    "effect_low": 3.0,
    "effect_high": 11.0,
    "p_verdict": 0.002,
    "significant": "yes",
    "region": "Insula_L",
    "regions": "Insula_L 90 %",
}


@pytest.fixture
def findings(tmp_path):
    def make(*rows, **changes):
        tables.write_table(tmp_path / "clusters.tsv", rows, CLUSTERS)
        tables.write_json(tmp_path / "inference.json", {**BLOCK, **changes})
        return Findings(tmp_path / "clusters.tsv", tmp_path / "inference.json")

    return make


def words(text):
    return text.replace("\u00a0", " ")


def value(who, arm, session, number):
    return {"participant_id": who, "arm": arm, "session_id": session, "cluster": "1", "value": number}


VALUES = [
    value("sub-1", "drug", "T1", "50"),
    value("sub-1", "drug", "T2", "56"),
    value("sub-2", "drug", "T1", "40"),
    value("sub-2", "drug", "T2", "44"),
    value("sub-3", "sham", "T1", "50"),
    value("sub-3", "sham", "T2", "48"),
    value("sub-4", "sham", "T1", "50"),  # not scanned again: in no mean change
]


def test_an_analysis_says_what_each_arm_did_the_difference_its_interval_and_one_p(findings):
    text = words(answers_section.analysis("one", findings(CLUSTER), VALUES, Declared([])))
    assert text.startswith(
        "In a cluster of 1.7 mL (left insula), the mean change in CBF was 7.0 mL/100 g/min higher on"
    )
    assert "(drug +5.0 and sham \u22122.0), 95 % CI 3.0 to 11.0; family-wise p = 0.002 by cluster extent." in text
    assert text.count("p = ") == 1


def test_of_several_primary_answers_the_p_is_the_corrected_one(findings):
    text = words(answers_section.analysis("one", findings(CLUSTER), [], Declared(PAIR)))
    assert "p = 0.004 (Holm, over 2 primary answers)" in text
    assert "0.002" not in text
    assert words(Declared(PAIR[:1]).p("one", "own")) == "own"  # a single one is not corrected
    assert [Declared(PAIR).shown(name) for name in ("one", "two", "other")] == [True, False, None]


def test_what_could_not_be_significant_or_was_not_run_says_so(findings):
    unreachable = {**BLOCK["verdict"], "can_reach_alpha": False, "smallest_attainable_p": 0.1}
    few = findings(CLUSTER, verdict=unreachable, permutation={"number": 10})
    assert "could not have been significant" in answers_section.analysis("one", few, VALUES, Declared([]))
    absent = findings(status="not run: no scans")
    assert answers_section.analysis("one", absent, [], Declared([])) == "This analysis was not run: no scans."
    nothing = findings({**CLUSTER, "significant": "no", "p_verdict": 0.3})
    assert answers_section.analysis("one", nothing, [], Declared([])).startswith("No cluster was significant")


def test_craving_has_each_arms_change_and_one_p():
    row = {"term": "arm:session", "estimate": "-26.8", "ci_low": "-39.8", "ci_high": "-13.9", "p": "0.0013", "n": "12"}
    row |= {"analysis": "difference_of_changes", "arm": None, "session_id": None}
    own = [
        {**row, "analysis": "paired_t", "term": "change", "arm": arm, "estimate": estimate}
        for arm, estimate in (("drug", "-26.8"), ("sham", "0.01"))
    ]
    text = words(answers_section.craving([*own, row], ARMS, LABELS, Declared([])))
    assert text == (
        "It changed by \u221226.8 points on baclofen and 0.0 points on sham: a difference of \u221226.8 points "
        "(95 % CI \u221239.8 to \u221213.9; n = 12); p = 0.0013."
    )
    assert "could not be compared" in answers_section.craving(own, ARMS, LABELS, Declared([]))


def test_an_endpoint_that_could_not_be_tested_says_why():
    row = {"population": "all", "analysis": "test", "term": "drug - sham", "p": None, "method": "two scores"}
    asked = SimpleNamespace(populations=("all",), name="smoking")
    assert answers_section.endpoint([row], asked, LABELS, Declared([])) == (
        "Baclofen - sham could not be tested (two scores)."
    )


def test_primary_answers_come_first_and_are_counted():
    given = [
        Answer(anchor=name, heading=name, sentence="", role=role)
        for name, role in (("a", "exploratory"), ("b", "secondary"), ("c", "primary"), ("d", "secondary"))
    ]
    assert [answer.anchor for answer in answers_section.in_order(given)] == ["c", "b", "d", "a"]
    assert answers_section.lead(PAIR) == "Of 2 primary answers, 1 was significant after correction."
    assert answers_section.lead(PAIR[1:]) == "The primary answer was not significant."
    assert "exploratory" in answers_section.lead([])


def test_a_seed_that_the_same_data_chose_and_that_was_not_significant_is_said_to_be_weak(findings):
    seed = SimpleNamespace(analysis="rest", cluster=1, space="template")
    regions = {"spot": seed}
    source = findings({**CLUSTER, "significant": "no", "p_verdict": 0.38})
    own = findings(CLUSTER, seed={"roi": "spot"})
    chosen = analyses_section.chosen_seed(own, regions, {"rest": source, "link": own})
    assert words(chosen.sentence) == (
        "The seed is cluster 1 of the analysis rest, chosen by these data though it is not significant there "
        "(family-wise p = 0.38): what is said of it is exploratory."
    )
    strong = analyses_section.chosen_seed(own, regions, {"rest": findings(CLUSTER), "link": own})
    assert strong.weakness == ""
    assert strong.sentence == "The seed is cluster 1 of the analysis rest, chosen by these data."
    planned = {"spot": SimpleNamespace(analysis=None, cluster=None, space="template")}
    assert analyses_section.chosen_seed(own, planned, {}) is None


def global_table(path, p_grey, effect=-5.25):
    row = {
        "contrast": "rest",
        "effect": "arm",
        "se": 1.0,
        "ci_low": -8.0,
        "ci_high": -2.5,
        "statistic": "t",
        "df": 36.0,
        "note": None,
    }
    rows = [
        {**row, "reference": "brain", "estimate": -3.0, "value": -1.0, "p": 0.2},
        {**row, "reference": "grey_matter", "estimate": effect, "value": -2.0, "p": p_grey},
    ]
    tables.write_table(path, rows, dict.fromkeys([*rows[0], "df_effect"], "x"))
    return path


def test_that_the_whole_brain_differs_too_is_said_with_a_cluster_of_absolute_cbf(findings, tmp_path):
    said = words(global_section.caution(global_table(tmp_path / "a.tsv", 0.003), findings(CLUSTER).block))
    assert said == (
        "Global CBF differs by the same model too (over the grey matter \u22125.25 mL/100 g/min (95 % CI \u22128.00 to \u22122.50), p = 0.003): "
        "maps of absolute CBF do not tell an effect in these places from one on the whole brain, which scaled CBF leaves out."
    )
    table = global_table(tmp_path / "a.tsv", 0.003)
    (told,) = answers_section._cautions(findings(CLUSTER), table, None)
    assert words(told) == said
    assert list(answers_section._cautions(findings({**CLUSTER, "significant": "no"}), table, None)) == []
    relative = findings(CLUSTER, scaling={"meaning": "x"}).block
    assert global_section.caution(table, relative) == ""
    assert global_section.caution(global_table(tmp_path / "b.tsv", 0.06), findings(CLUSTER).block) == ""
    assert global_section.caution(global_table(tmp_path / "c.tsv", None), findings(CLUSTER).block) == ""


def test_what_a_single_delay_cannot_tell_is_said():
    single, several, scanner = (
        {"Equation": equation}
        for equation in (kinetics.CONTINUOUS, "deltaM / M0 of all delays fitted by a model (CBF)", kinetics.COMPUTED)
    )
    (every,) = answers_section.transit_cautions([single, single])
    assert every == (
        "CBF was measured at a single delay: blood that arrives later looks like less flow there, and only several delays tell the one "
        "from the other."
    )
    (some,) = answers_section.transit_cautions([single, several])
    assert "at a single delay in 1 of 2 scans:" in some
    assert answers_section.transit_cautions([several, scanner]) == []
    assert answers_section.transit_cautions([]) == []
