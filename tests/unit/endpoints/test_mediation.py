"""Mediation against statsmodels' and pingouin's, closed forms, and coverage of its intervals."""

import json
import math
from pathlib import Path

import complete_settings
import numpy as np
import pytest
from pharmasl.endpoints import mediation, scores
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.study.settings import MediationAnalysis

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "craving.json").read_text())["mediation"]
SESSIONS, ARMS = complete_settings.sessions(), complete_settings.arms()


def test_one_mediator_is_pingouins_and_statsmodels():
    arm, age, m, y = (np.array(REFERENCE[name]) for name in ("arm", "age", "m", "y"))
    found = mediate(arm, [m], y, age[None], np.random.default_rng(0), 4000)
    theirs = REFERENCE["pingouin"]
    # pingouin regresses y on the mediator alone for its path "Y ~ m".
    names = {"total": "Total", "direct": "Direct", "indirect": "Indirect", "arm -> m1": "m ~ X"}
    for ours, name in names.items():
        assert found[ours][0] == pytest.approx(theirs[name][0], rel=1e-9)
    width = theirs["Indirect"][2] - theirs["Indirect"][1]
    # Bootstrap (bias-corrected) and simulated intervals of others: equal to their sampling error, not to digits.
    assert found["indirect"][3:] == pytest.approx(theirs["Indirect"][1:], abs=0.08 * width)
    assert found["indirect"][1:3] == pytest.approx(REFERENCE["statsmodels"]["indirect"][1:], abs=0.08 * width)
    assert found["indirect"][0] == pytest.approx(REFERENCE["statsmodels"]["indirect"][0], abs=0.05)


def mediate(*given):
    return {name: tuple(vars(effect).values()) for name, effect in mediation.mediate(*given).items()}


def chain(rng, n=60, a1=2.0, d=0.7, b2=-1.5, direct=0.0, noise=1.0, a2=0.0, b1=0.0):
    x = np.repeat([0.0, 1.0], n // 2)
    m1 = a1 * x + noise * rng.normal(size=n)
    m2 = a2 * x + d * m1 + noise * rng.normal(size=n)
    return x, m1, m2, direct * x + b1 * m1 + b2 * m2 + noise * rng.normal(size=n)


def test_two_mediators_by_ordinary_regressions_and_the_total_is_the_sum():
    x, m1, m2, y = chain(np.random.default_rng(3), direct=1.0, a2=0.5, b1=0.3)
    age = np.random.default_rng(4).normal(size=60)
    found = {k: float(v) for k, v in mediation.paths(x, [m1, m2], y, age[None]).items()}

    def slopes(outcome, *columns):
        return np.linalg.lstsq(np.column_stack([*columns, age, np.ones(60)]), outcome)[0]

    a1 = slopes(m1, x)[0]
    a2, d = slopes(m2, x, m1)[:2]
    c, _, b2 = slopes(y, x, m1, m2)[:3]
    assert found["arm -> m1 -> m2 -> craving"] == pytest.approx(a1 * d * b2, rel=1e-10)
    assert found["arm -> m2 -> craving"] == pytest.approx(a2 * b2, rel=1e-10)
    assert found["direct"] == pytest.approx(c, rel=1e-10)
    assert found["total"] == pytest.approx(slopes(y, x)[0], rel=1e-10)
    assert found["total"] == pytest.approx(found["direct"] + found["indirect"], rel=1e-10)
    # Over many samples at once the planted product and total.
    rng = np.random.default_rng(3)
    x, *others = (np.array(each) for each in zip(*(chain(rng) for _ in range(400))))
    many = mediation.paths(x, others[:2], others[2], np.empty((400, 0, 60)))
    for name, truth in (("arm -> m1 -> m2 -> craving", 2 * 0.7 * -1.5), ("total", -2.1), ("arm -> m2 -> craving", 0)):
        assert abs(many[name].mean() - truth) < 4 * many[name].std() / 20


def test_dependent_columns_are_nan_not_a_failure():
    x = np.repeat([0.0, 1.0], 5)
    assert math.isnan(mediation.paths(x, [2 * x], x, np.empty((0, 10)))["direct"])


def test_intervals_cover_and_hold_their_level():
    rng = np.random.default_rng(5)
    covered, trials = np.zeros(2), 120
    for _ in range(trials):
        x, m1, m2, y = chain(rng, n=44)
        found = mediate(x, [m1, m2], y, np.empty((0, 44)), rng, 400)["arm -> m1 -> m2 -> craving"]
        covered += [found[1] <= -2.1 <= found[2], found[3] <= -2.1 <= found[4]]
    # Monte Carlo standard error 0.020; bootstrap intervals of products are known to be close, not exact.
    assert (np.abs(covered / trials - 0.95) < 3.5 * 0.020).all()


def written(tmp_path, without=()):
    rng = np.random.default_rng(8)
    x, m1, m2, y = chain(rng, n=40)
    rows, values = [], {"a": [], "b": []}
    for k in range(40):
        for session in ("T1", "T2"):
            later = session == "T2"
            elicited = None if (k, session) in without else float(10 + later * y[k])
            arm = "baclofen" if x[k] else "placebo"
            who = {"participant_id": f"sub-{k:02d}", "arm": arm, "session_id": session}
            rows.append({**who, "before": 0.0, "after": elicited, "cue_elicited": elicited})
            for name, change in (("a", m1), ("b", m2)):
                cbf = float(50 + later * change[k])
                values[name].append({**who, "contrast": "rest" if name == "a" else "cue", "roi": name, "cbf": cbf})
    tables.write_table(tmp_path / "scores.tsv", rows, scores.COLUMNS)
    for name, own in values.items():
        tables.write_table(tmp_path / f"{name}.tsv", own, {key: key for key in own[0]})
        tables.write_json(tmp_path / f"{name}.json", {"AnalysisDefined": name == "a"})
    return x, m1, m2, y


def run(tmp_path, *mediators, **more):
    paths = [tmp_path / f"{name}.tsv" for name in ("a", "b")]
    craving = {"mediation": {"mediators": [dict(zip(("roi", "contrast"), m)) for m in mediators]}, "resamples": 499}
    mediation.write_mediation(
        tmp_path / "scores.tsv",
        paths,
        [path.with_suffix(".json") for path in paths],
        tmp_path / "out.tsv",
        complete_settings.craving(MediationAnalysis, **craving | more),
        ARMS,
        SESSIONS,
    )
    return {row["effect"]: row for row in tables.read_table(tmp_path / "out.tsv")}


def test_table_of_changes(tmp_path):
    x, m1, m2, y = written(tmp_path)
    rows = run(tmp_path, ("a", "rest"), ("b", "cue"))
    truth = mediation.paths(x, [m1, m2], y, np.empty((0, 40)))
    for name, value in truth.items():
        assert float(rows[name]["estimate"]) == pytest.approx(float(value), rel=1e-9)
        assert float(rows[name]["percentile_low"]) <= float(rows[name]["percentile_high"])
    assert {row["roi_defined_by_same_data"] for row in rows.values()} == {"true"}
    sidecar = tables.read_json(tmp_path / "out.json")
    assert set(sidecar["effect"]["Levels"]) == set(rows)
    assert "Exploratory" in sidecar["effect"]["Description"]
    first = (tmp_path / "out.tsv").read_bytes()
    run(tmp_path, ("a", "rest"), ("b", "cue"))
    assert (tmp_path / "out.tsv").read_bytes() == first
    assert "m2 -> craving" not in run(tmp_path, ("b", "cue"))


def test_missing_scores_are_left_out_and_counted_and_unknown_mediators_refused(tmp_path):
    written(tmp_path, without={(3, "T1"), (20, "T2")})
    assert run(tmp_path, ("a", "rest"))["total"]["n"] == "38"
    with pytest.raises(InputError, match="mediation"):
        run(tmp_path, ("a", "cue"))
    written(tmp_path, without={(k, "T1") for k in range(38)})
    (row,) = run(tmp_path, ("a", "rest")).values()
    assert "fewer than" in row["note"]
