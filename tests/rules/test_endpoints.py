"""The scripts of an endpoint, one after the other on a small trial with a known effect, one of whose people was never scanned."""

from types import SimpleNamespace

import measured
import numpy as np
import pytest
from loading import script
from pharmasl.files import tables
from pharmasl.regions import region_values
from pharmasl.study import settings
from pharmasl.study.labels import NAMES

ARMS = {"column": "arm", "treatment": "baclofen", "control": "placebo", "others": []}
SESSIONS = {"baseline": "T1", "followup": "T2", "others": []}
ENDPOINT = measured.endpoint(
    name="withdrawal",
    table="phenotype/withdrawal.tsv",
    items=["q1", "q2", "q3"],
    range=[0, 10],
    reverse=["q3"],
    prorate={"least": 2},
    chosen=["all", "completers"],
    populations={"completers": {"column": "complete"}},
    missing={"imputations": 10, "deltas": [2, 20]},
    relations={"rois": ["vmpfc"], "contrast": "rest", "resamples": 199},
    rois={"vmpfc": {"sphere": [0, 0, 0], "radius": 6}},
)
ENDPOINT_POPULATIONS = {"completers": {"name": "completers", "column": "complete"}}


class Inputs(dict):
    """Named inputs by attribute and by key, as Snakemake gives them; ``values`` is by attribute a method there too."""

    def __getattr__(self, name):
        return self[name]


def _call(name, given, output, **params):
    given = Inputs({key: value if isinstance(value, list) else str(value) for key, value in given.items()})
    outputs = SimpleNamespace(**{key: str(path) for key, path in output.items()})
    script(name).main(SimpleNamespace(input=given, output=outputs, params=SimpleNamespace(arms=ARMS, **params)))


@pytest.fixture
def chain(tmp_path):
    """Raw tables of 16 people, of whom the treated lose 6 of 30 points; the last one's follow-up has but one item."""
    rng = np.random.default_rng(1)
    people, raw, cbf = [], ["participant_id\tsession_id\tq1\tq2\tq3"], []
    for k in range(16):
        treated, name = k % 2 == 0, f"sub-{k + 1:02d}"
        complete = "no" if k == 15 else "yes"
        people.append(
            {"participant_id": name, "arm": ARMS["treatment" if treated else "control"], "complete": complete}
        )
        for late, session in enumerate(("T1", "T2")):
            level = 6 + (k % 3 - 1) - 2.0 * (late and treated) + rng.normal(0, 0.3)
            cells = [f"{level:.2f}", "n/a" if k == 15 and late else f"{level:.2f}", f"{10 - level:.2f}"]
            cells[2] = "n/a" if k == 15 and late else cells[2]
            raw.append("\t".join([name, session, *cells]))
            if k != 3:
                cbf.append({"participant_id": name, "session_id": session, "cbf": 50 + rng.normal()})
    (tmp_path / "raw.tsv").write_text("\n".join(raw) + "\n")
    tables.write_table(tmp_path / "people.tsv", people, dict.fromkeys(people[0], ""))
    values = [{"roi": "vmpfc", "contrast": "rest", "coverage": 1.0, "n_voxels": 9, **row} for row in cbf]
    tables.write_table(tmp_path / "values.tsv", values, region_values.VALUE_COLUMNS)
    tables.write_json(tmp_path / "mask.json", {"AnalysisDefined": False})
    _call(
        "endpoint_scores",
        {"table": tmp_path / "raw.tsv", "participants": tmp_path / "people.tsv"},
        {"table": tmp_path / "scores.tsv"},
        endpoint="withdrawal",
        scoring={
            "measure": settings.plain(ENDPOINT.measure),
            "chosen": list(ENDPOINT.populations),
            "populations": ENDPOINT_POPULATIONS,
            "passed_over": ["T1", "T2"],
        },
        sessions=SESSIONS,
    )
    return tmp_path


def test_scores_models_sensitivity_relations_and_picture(chain):
    given = {"scores": chain / "scores.tsv"}
    rows = tables.read_table(chain / "scores.tsv")
    assert [row["score"] for row in rows[-2:]][1] is None
    assert (rows[-1]["items_answered"], rows[-1]["population_completers"]) == ("1", "false")
    question = settings.plain(ENDPOINT.question)
    for name in ("model", "sensitivity"):
        _call(f"endpoint_{name}", given, {"table": chain / f"{name}.tsv"}, question=question, sessions=SESSIONS)
    tested = [row for row in tables.read_table(chain / "model.tsv") if row["analysis"] == "test"]
    assert [(row["population"], row["n"]) for row in tested] == [("all", "15"), ("completers", "15")]
    # The sum of three items, each two points lower; noise of .3 an item in both sessions.
    assert float(tested[0]["estimate"]) == pytest.approx(-6, abs=4 * 3 * 0.3 * np.sqrt(2 * 2 / 8))
    assert float(tested[0]["p"]) < 0.001
    kinds = [row["analysis"] for row in tables.read_table(chain / "sensitivity.tsv") if row["population"] == "all"]
    assert kinds.count("multiple_imputation") == 1
    _call(
        "endpoint_relations",
        {**given, "values": [str(chain / "values.tsv")], "sidecars": [str(chain / "mask.json")]},
        {"table": chain / "relations.tsv"},
        endpoint="withdrawal",
        unit="points",
        relations=settings.plain(ENDPOINT.relations),
        sessions=SESSIONS,
    )
    (row,) = [row for row in tables.read_table(chain / "relations.tsv") if row["role"] == "tested"]
    # Of 16 with scores one has no follow-up and one no CBF.
    assert (row["roi"], row["n"]) == ("vmpfc", "14")
    files = {**given, "model": chain / "model.tsv", "sensitivity": chain / "sensitivity.tsv"}
    _call(
        "endpoint_figure",
        files,
        {"figure": chain / "figure.svg"},
        label="withdrawal (points)",
        labels=settings.plain(NAMES),
    )
    assert (chain / "figure.svg").read_text().startswith("<svg ")


def test_scores_carry_what_they_were_made_of(chain):
    dictionary = tables.read_json(chain / "scores.json")
    assert dictionary["score_measured"]["Items"] == ["q1", "q2", "q3"]
    assert dictionary["score_measured"]["Reversed"] == ["q3"]
    assert dictionary["score_measured"]["Range"] == [0, 30]
    assert dictionary["population_completers"]
