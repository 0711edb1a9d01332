"""The page's part of an endpoint says the numbers of its tables."""

import measured
import numpy as np
import pytest
from pharmasl.endpoints import measure_models, measure_scores, measure_sensitivity
from pharmasl.endpoints.measure_table import Score
from pharmasl.figures import endpoint_plot
from pharmasl.files import tables
from pharmasl.report import endpoints_section


@pytest.fixture
def trial():
    """Forty participants, a follow-up of each arm missing, and a large effect."""
    rng = np.random.default_rng(1)
    arms = ["baclofen", "placebo"] * 20
    pairs = [[20 + k % 7, 14 + 5 * (arm == "placebo") + rng.normal(0, 2)] for k, arm in enumerate(arms)]
    pairs[0][1] = pairs[1][1] = None
    return measured.measured(arms, pairs)


def _written(folder, data, endpoint):
    scores = {
        (who[4:], when): Score(measured=own, analysed=own, answered=None) for (who, when), own in data.scores.items()
    }
    rows = measure_scores.rows(data, scores, [])
    tables.write_table(folder / "scores.tsv", rows, dict.fromkeys(rows[0], ""))
    for module, name in ((measure_models, "model"), (measure_sensitivity, "sensitivity")):
        module.write(
            folder / "scores.tsv",
            folder / f"{name}.tsv",
            endpoint.question,
            sessions=data.sessions,
            arms=data.arms,
        )
    files = endpoint_plot.EndpointFiles(
        scores=folder / "scores.tsv", model=folder / "model.tsv", sensitivity=folder / "sensitivity.tsv"
    )
    endpoint_plot.draw(folder / "figure.svg", files, arms=data.arms, label="cigarettes (a day)")
    own = endpoints_section.EndpointFiles(
        model=folder / "model.tsv", sensitivity=folder / "sensitivity.tsv", figure=folder / "figure.svg", relations=None
    )
    return endpoints_section.section(own, endpoint, role="primary")


def test_the_part_says_the_tested_effect_equivalence_and_the_tipping_point(trial, tmp_path):
    endpoint = measured.endpoint(
        name="cigarettes_a_day",
        unit="a day",
        equivalence={"margin": 1},
        missing={"imputations": 20, "deltas": [50, 200]},
    )
    part = _written(tmp_path, trial, endpoint)
    rows = {row["analysis"]: row for row in tables.read_table(tmp_path / "sensitivity.tsv")}
    text = " ".join(part.sentences)
    assert part.heading == "Cigarettes a day"
    size = f"{abs(float(rows['model']['estimate'])):.2f}"
    assert (
        f"Among all randomised participants with the scores that the model takes: baclofen - placebo −{size} a day (95 % CI"
        in text.replace("\u00a0", " ")
    )
    assert "38 participants" in text
    found = tables.read_table(tmp_path / "model.tsv")[0]["detectable"]
    assert f"a true effect of {float(found):.2f} a day" in text
    assert "not corrected for other answers" in text
    assert "for lack of a score or of a covariate: sub-01, sub-02." in text
    assert "Equivalence within 1 a day was not shown" in text
    assert f"shifted by +{float(rows['tipping_point']['delta']):.2f} a day" in text
    assert [row[0] for row in part.table.rows][:2] == ["test", "equivalence"]
    assert part.table.marked == {0}


def test_the_figure_is_the_same_bytes_again(trial, tmp_path):
    endpoint = measured.endpoint(missing={"imputations": 5, "deltas": [5]})
    pictures = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        _written(tmp_path / name, trial, endpoint)
        pictures.append((tmp_path / name / "figure.svg").read_bytes())
    assert pictures[0] == pictures[1]
