"""What the section of an analysis says of its parts."""

import pytest
from pharmasl.report import analyses_section


@pytest.mark.parametrize(
    ("ratio", "says"),
    [
        (
            1.26,
            "more precisely: the change-score estimate has 1.26 times its variance, and needs 26 % more participants",
        ),
        (1.01, "as precisely as the change does"),
        (0.89, "would not pay in so small a trial: the change-score estimate has 0.89 times its variance"),
    ],
)
def test_what_adjusting_would_give(ratio, says):
    block = {
        "correlation": {"low": -0.1, "median": 0.587, "high": 0.76},
        "variance_ratio": {"low": 1.0, "median": ratio, "high": 2.0},
    }
    text = analyses_section.adjusting(block)
    assert says in text
    assert "r = 0.59 (median over voxels; −0.10 to 0.76 from the 10th to the 90th percentile)" in text
    assert "followup ~ arm + baseline" in text
