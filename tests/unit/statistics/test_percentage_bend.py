"""The percentage bend correlation against pingouin, and with an outlier."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from pharmasl.statistics import percentage_bend
from scipy import stats
from scored import pair

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "craving.json").read_text())


@pytest.mark.parametrize("k", range(len(REFERENCE["percentage_bend"])))
def test_percentage_bend_is_pingouins(k):
    stored = REFERENCE["percentage_bend"][k]
    x, y = np.array(stored["x"]), np.array(stored["y"])
    assert float(percentage_bend.percentage_bend(x, y)) == pytest.approx(stored["r"], abs=1e-12)
    # Many at once are each alone.
    both = percentage_bend.percentage_bend(np.stack([x, -x, y]), np.stack([y, y, y]))
    np.testing.assert_allclose(both, [stored["r"], -stored["r"], 1], atol=1e-12)


def test_percentage_bend_withstands_what_turns_pearson_over():
    x, y = pair(3, 40, 0.7)
    wild = y.copy()
    wild[np.argmax(x)] = -40
    assert stats.pearsonr(x, wild).statistic < 0 < 0.4 < float(percentage_bend.percentage_bend(x, wild))
    assert math.isnan(float(percentage_bend.percentage_bend(np.r_[np.zeros(38), 1, 2], y)))
