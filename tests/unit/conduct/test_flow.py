"""The flow of participants: of every trial everyone is accounted for, and for the reason that lost them."""

import pytest
import trials
from pharmasl.conduct import flow, flow_stages
from pharmasl.conduct.losses import CAUSES, FlowFiles
from pharmasl.errors import InputError
from pharmasl.files import tables


def names(row):
    return set((row["participants"] or "").split())


def of(rows, stage, of=None, session=None):
    return [row for row in rows if (row["stage"], row["of"], row["session_id"]) == (stage, of, session)]


def everyone(rows):
    return set().union(*map(names, rows)) if rows else set()


@pytest.fixture(
    scope="module", params=[(0, 43, ()), (2, 24, ("half dose",)), (3, 60, ("half dose", "none")), (4, 25, ())]
)
def case(request, tmp_path_factory):
    seed, number, others = request.param
    trial = trials.draw(seed, number, others, lost=0.1 + 0.1 * (seed % 3))
    trial.files = trials.write(trial, tmp_path_factory.mktemp("trial"))
    rows = flow.flow(trial.files, trials.design(trial.arms))
    trial.rows = [{"of": None, "session_id": None, **row} for row in rows]
    return trial


def test_kept_and_lost_are_those_randomised_at_every_stage_and_arm(case):
    sizes = {row["arm"]: row["n"] for row in case.rows if row["stage"] == "randomised"}
    assert sizes == {arm: sum(p.arm == arm for p in case.people.values()) for arm in sizes}
    assert sum(sizes.values()) == len(case.people)
    totals = {}
    for row in case.rows:
        if row["stage"] != "randomised":
            stage = next(kept for kept, lost in flow.LOST.items() if row["stage"] in (kept, lost))
            key = (stage, row["of"], row["session_id"], row["arm"])
            totals[key] = totals.get(key, 0) + row["n"]
    assert len(totals) > 40
    for key, total in totals.items():
        assert total == sizes[key[-1]], key


def test_those_analysed_are_those_of_the_designs_and_arms_not_concerned_are_not_counted(case):
    for name, analysis in trials.ANALYSES.items():
        inside = {who for who, person in case.people.items() if trials.enters(name, person, case.arms)}
        kept = of(case.rows, "analysed", name)
        assert everyone(kept) == inside
        arms = {"drug"} if "arm" in analysis else {"drug", "placebo"}
        arms |= set(case.arms["others"]) if name == "all_arms" else set()
        assert {row["arm"] for row in kept} - {None} == arms


def cause(person, analysis):
    """The earliest obstacle, from what was drawn."""
    own = analysis.get("sessions", trials.SESSIONS)
    baseline_only = analysis["effect"] == "baseline_difference"
    sessions = [own["baseline"]] if baseline_only else [own["baseline"], own["followup"]]
    states = set(trials.CONTRASTS[analysis["contrast"]]) | ({"rest"} if "seed" in analysis else set())
    if not person.runs:
        return "not scanned"
    bad = [session for session in sessions if not trials.usable(person, session, states)]
    if analysis.get("method") != "mixed_model" or len(bad) == len(sessions):
        if any(session not in {at for at, _ in person.runs} for session in bad):
            return "no session"
        if any((session, state) not in person.runs for session in bad for state in states):
            return "no state"
        if bad:
            return "scan excluded"
    columns = [*analysis["covariates"], *([analysis["predictor"]] if "predictor" in analysis else [])]
    return "no covariate" if person.arm is None or (columns and person.age is None) else "other"


def test_each_is_lost_once_by_the_earliest_cause(case):
    met = set()
    for name, analysis in trials.ANALYSES.items():
        for row in of(case.rows, "left out", name):
            for who in names(row):
                assert row["cause"] == cause(case.people[who], analysis), (name, who, row["reason"])
                met.add(row["cause"])
    assert {"not scanned", "no session"} <= met
    if len(case.people) >= 43:
        assert met == set(CAUSES) - {"not rated", "not selected"}


def test_sessions_and_contrasts_count_what_was_scanned_and_usable(case):
    for label in ("T1", "T2", "T3"):
        there = {who for who, p in case.people.items() if any(session == label for session, _ in p.runs)}
        assert everyone(of(case.rows, "scanned", None, label)) == there
    for contrast, label in (("rest", "T1"), ("rest", "T2"), ("rest", "T3"), ("cue", "T1"), ("cue", "T2")):
        good = {who for who, p in case.people.items() if trials.usable(p, label, trials.CONTRASTS[contrast])}
        assert everyone(of(case.rows, "usable", contrast, label)) == good
    assert of(case.rows, "usable", "cue", "T3") == []  # no analysis takes it


def test_craving_counts_ratings_and_who_enters_its_models(case):
    rated = {who: set(p.scores) for who, p in case.people.items() if p.folder}
    for label in ("T1", "T2"):
        there = {who for who, at in rated.items() if label in at}
        assert everyone(of(case.rows, "rated", "craving", label)) == there
    both = {who for who, at in rated.items() if len(at) == 2}
    assert everyone(of(case.rows, "rated", "craving", "T1 and T2")) == both
    pair = {who for who, p in case.people.items() if p.arm in ("drug", "placebo")}
    assert everyone(of(case.rows, "analysed", flow_stages.CRAVING_CHANGE)) == both & pair
    assert everyone(of(case.rows, "analysed", flow_stages.CRAVING_MODEL)) == {who for who in pair if rated.get(who)}


def one(**analysis):
    """A single analysis in two arms at two sessions."""
    analyses = {"cue": {"contrast": "cue", "effect": "group_by_time", "covariates": [], **analysis}}
    sections = {
        "arms": {"column": "arm", "treatment": "drug", "control": "placebo"},
        "sessions": {"baseline": "T1", "followup": "T2"},
        "contrasts": {"cue": {"smoking": 1, "neutral": -1}},
        "rois": {},
    }
    return trials.design(analyses=analyses, **sections)


def small(tmp_path, **changes):
    """Two participants, the second not analysed; tables that a test replaces."""
    given = {
        "randomised": [
            {"participant_id": "sub-1", "arm": "drug", "selected": True, "scanned": True},
            {"participant_id": "sub-2", "arm": "placebo", "selected": True, "scanned": True},
        ],
        "participants": [{"participant_id": "sub-1", "arm": "drug"}, {"participant_id": "sub-2", "arm": "placebo"}],
        "scans": [
            {"participant_id": who, "session_id": at, "condition": state, "scan": f"{who}_{at}_{state}"}
            for who in ("sub-1", "sub-2")
            for at in ("T1", "T2")
            for state in ("smoking", "neutral")
        ],
        "exclusions": [],
        "quality_exclusions": [{"scan": "sub-2_T2_smoking", "reason": "spatial CoV high"}],
        "design": [{"participant_id": "sub-1"}],
    } | changes
    inference = given.pop("inference", {"status": "run", "excluded": []})
    for name, rows in given.items():
        columns = dict.fromkeys(["participant_id", "reason", *(key for row in rows for key in row)], "c")
        tables.write_table(tmp_path / f"{name}.tsv", rows, columns)
    tables.write_json(tmp_path / "inference.json", inference)
    paths = {name: tmp_path / f"{name}.tsv" for name in given}
    design = paths.pop("design")
    empty = {"craving_scores": None, "craving_model": None}
    return FlowFiles(**paths, **empty, designs=[design], inferences=[tmp_path / "inference.json"])


def reason(files):
    (row,) = (row for row in flow.flow(files, one()) if row["stage"] == "left out")
    return row["cause"], row["reason"]


def test_reasons_in_words(tmp_path):
    assert reason(small(tmp_path)) == ("scan excluded", "smoking scan at T2 excluded: spatial CoV high")
    lost = [
        {
            "scan": f"sub-2_{at}_smoking",
            "reason": f"{n} of 30 repeats usable, fewer than 10; registration not accepted: {n} mm",
        }
        for at, n in (("T1", 3), ("T2", 4))
    ]
    told = "smoking scan at T1 and T2 excluded: fewer than 10 repeats usable; registration not accepted"
    assert reason(small(tmp_path, quality_exclusions=lost)) == ("scan excluded", told)


def test_an_earlier_obstacle_outranks_a_later_one_at_the_other_session(tmp_path):
    def scans(*left_out):
        return [
            {"participant_id": who, "session_id": at, "condition": state, "scan": f"{who}_{at}_{state}"}
            for who in ("sub-1", "sub-2")
            for at in ("T1", "T2")
            for state in ("smoking", "neutral")
            if (who, at, state) not in left_out
        ]

    gone = [("sub-2", "T1", "smoking"), ("sub-2", "T1", "neutral")]
    assert reason(small(tmp_path, scans=scans(*gone))) == ("no session", "no scan at T1")
    assert reason(small(tmp_path, scans=scans(gone[0]))) == ("no state", "no smoking scan at T1")


def test_an_analysis_that_was_not_run_leaves_out_all_who_could_have_been_in_it(tmp_path):
    files = small(tmp_path, quality_exclusions=[], design=[], inference={"status": "not run: no seed", "excluded": []})
    rows = [row for row in flow.flow(files, one()) if row["stage"] == "left out"]
    assert [(row["n"], row["cause"], row["reason"]) for row in rows] == [(1, "other", "analysis not run: no seed")] * 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"quality_exclusions": []}, "no sub-2"),
        ({"design": [{"participant_id": "sub-1"}, {"participant_id": "sub-2"}]}, "sub-2, of whom the tables say"),
        ({"design": [{"participant_id": "sub-9"}]}, "sub-9"),
        ({"randomised": [{"participant_id": "sub-1", "arm": "drug", "selected": True, "scanned": True}]}, "sub-2"),
        (
            {
                "randomised": [
                    {"participant_id": "sub-1", "arm": "drug", "selected": True, "scanned": True},
                    {"participant_id": "sub-2", "arm": "placebo", "selected": True, "scanned": False},
                ]
            },
            "not as in the table of scans: sub-2",
        ),
    ],
)
def test_tables_that_contradict_one_another_are_refused(tmp_path, changes, told):
    with pytest.raises(InputError, match=told):
        flow.flow(small(tmp_path, **changes), one())


def test_an_arm_that_the_configuration_does_not_know_is_counted_and_in_no_analysis(tmp_path):
    rows = [
        {"participant_id": "sub-1", "arm": "drug", "selected": True, "scanned": True},
        {"participant_id": "sub-2", "arm": "placebo", "selected": True, "scanned": True},
        {"participant_id": "sub-3", "arm": "screening only", "selected": True, "scanned": False},
    ]
    found = flow.flow(small(tmp_path, randomised=rows), one())
    own = [row for row in found if row["arm"] == "screening only"]
    assert [row["n"] for row in own if row["stage"] == "randomised"] == [1]
    assert {row["stage"] for row in own} == {"randomised", "scanned", "not scanned", "usable", "not usable"}


def test_whom_the_configuration_does_not_name_is_randomised_all_the_same(tmp_path):
    rows = [
        {"participant_id": "sub-1", "arm": "drug", "selected": True, "scanned": True},
        {"participant_id": "sub-2", "arm": "placebo", "selected": True, "scanned": True},
        {"participant_id": "sub-3", "arm": "placebo", "selected": False, "scanned": False},
    ]
    found = flow.flow(small(tmp_path, randomised=rows), one())
    assert [(row["arm"], row["n"]) for row in found if row["stage"] == "randomised"] == [("drug", 1), ("placebo", 2)]
    own = [row for row in found if row["participants"] == "sub-3"]
    # Of both sessions, of usable scans at both, of the analysis and of all before them: once each, by the one cause.
    assert [row["stage"] for row in own] == ["not selected", *["not scanned"] * 3, *["not usable"] * 2, "left out"]
    assert {row["cause"] for row in own} == {"not selected"}


def test_an_analysed_participant_of_another_arm_is_refused(tmp_path):
    with pytest.raises(InputError, match="sub-1 of arm drug"):
        flow.flow(small(tmp_path), one(effect="within_arm", arm="placebo"))


def test_a_craving_model_of_other_scores_is_refused(tmp_path):
    trial = trials.draw(0, 20)
    files = trials.write(trial, tmp_path)
    rows = tables.read_table(tmp_path / "model.tsv")
    for row in rows:
        if row["analysis"] == "mixed_model":
            row["n"] = int(row["n"]) + 1
    tables.write_table(tmp_path / "model.tsv", rows, dict.fromkeys(rows[0], "c"))
    with pytest.raises(InputError, match="n of craving, mixed model"):
        flow.flow(files, trials.design(trial.arms))
    for row in rows:
        row["n"] = int(row["n"]) + {"mixed_model": -1, "difference_of_changes": 1}.get(row["analysis"], 0)
    tables.write_table(tmp_path / "model.tsv", rows, dict.fromkeys(rows[0], "c"))
    with pytest.raises(InputError, match="n of difference_of_changes"):
        flow.flow(files, trials.design(trial.arms))


def test_someone_lost_from_the_table_or_counted_twice_is_noticed(tmp_path):
    rows = flow.flow(small(tmp_path), one())
    rows = [{"of": None, "session_id": None, **row} for row in rows]
    flow.verify(rows)
    with pytest.raises(ValueError, match="accounted for once: sub-2"):
        flow.verify([row for row in rows if row["stage"] != "left out"])
    (kept,) = (row for row in rows if row["stage"] == "analysed" and row["arm"] == "drug")
    with pytest.raises(ValueError, match="accounted for once: sub-1"):
        flow.verify([*rows, kept])
    with pytest.raises(ValueError, match="2 participants, 1 named"):
        flow.verify([{**row, "n": 2} if row is kept else row for row in rows])


def test_the_table_is_read_as_it_was_written(tmp_path):
    trial = trials.draw(7, 43)
    files = trials.write(trial, tmp_path)
    flow.write_flow(tmp_path / "flow.tsv", files, trials.design(trial.arms))
    rows = flow.read_flow(tmp_path / "flow.tsv")
    flow.verify(rows)
    assert {row["stage"] for row in rows} <= set(flow.STAGES)
    assert {row["cause"] for row in rows} - {None} <= set(CAUSES)
    assert tables.read_json(tmp_path / "flow.json")["cause"]["Levels"] == CAUSES
