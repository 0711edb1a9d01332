"""What a scan's page says of several echoes."""

from pharmasl.report.scans import acquired
from pharmasl.study import echo_sum

TIMES, T2_STAR = (0.012, 0.028, 0.044), 0.0473
SIGNAL = (1.0, 0.7, 0.5)


def record(signal=SIGNAL):
    own = echo_sum.weights(TIMES, T2_STAR)
    expected = echo_sum.decay(TIMES, T2_STAR)
    return {
        "Echo": "the weighted sum of 3 echoes (perfusion.echo)",
        "SummedEchoes": {
            "EchoTimes": {"Value": list(TIMES), "Unit": "s"},
            "Weights": list(own),
            "T2Star": {"Value": T2_STAR, "Unit": "s"},
            "ExpectedSignal": list(expected),
            "Signal": list(signal),
            "ExpectedGain": echo_sum.gain(own, expected),
            "Gain": echo_sum.gain(own, signal) if signal else None,
        },
    }


def test_a_sum_is_told_with_its_weights_and_the_scans_own_decay():
    words = acquired.echo_words(record())
    assert "echoes at 12, 28, 44 ms, with weights of 0.45, 0.32, 0.23" in words
    assert "1.00, 0.71, 0.51 (T2* 47.3 ms); this scan's head has 1.00, 0.70, 0.50." in words
    assert "1.32 times less" in words


def test_of_differences_alone_the_expected_decay_stands():
    words = acquired.echo_words(record(signal=()))
    assert "(T2* 47.3 ms). Noise" in words
    assert "1.33 times less" in words


def test_one_echo_of_several_is_named_and_a_series_of_one_says_nothing():
    assert acquired.echo_words({"Echo": "the first of 3 echoes (perfusion.echo)"}) == (
        "Of the echoes, the first of 3 echoes was used."
    )
    assert acquired.echo_words({}) == ""
