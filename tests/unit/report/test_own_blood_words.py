"""What is said of a T1 of blood that is the participant's own."""

from pharmasl.report import own_blood_words


def record(value, by="measured", longer=0.97):
    return {
        "T1": {"Value": value, "Source": f"{by}, blood of the participants' table"},
        "By": by,
        "WithError": {"t1_blood +0.1 s": {"gm": longer}, "t1_blood -0.1 s": {"gm": 1.04}},
    }


def test_a_scan_with_the_calibrations_says_nothing():
    assert own_blood_words.of_scan(None) == ""
    assert list(own_blood_words.methods([{"OwnBlood": None}, {}])) == []


def test_a_scans_sentence_has_value_source_and_what_an_error_changes():
    words = own_blood_words.of_scan(record(1.72))
    assert "the participant's own, 1.72 s (measured, blood of the participants' table)" in words
    assert "0.1 s longer or shorter would change mean grey-matter CBF by \u22123.0 % or +4.0 %" in words


def test_the_methods_count_the_scans_by_how_theirs_is_known():
    own = [record(1.7), record(1.8, longer=0.98), record(1.62, "haematocrit")]
    (text,) = own_blood_words.methods([*({"OwnBlood": one} for one in own), {"OwnBlood": None}])
    assert (
        "the participant's own in 3 of 4 scans: measured in 2 (1.70 to 1.80 s) and by the haematocrit in 1 (1.62 s)"
        in text
    )
    assert "by \u22123.0 % or +4.0 % (medians)" in text
