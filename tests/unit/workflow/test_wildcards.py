"""Functions of names as functions of wildcards."""

from types import SimpleNamespace

from pharmasl.workflow.wildcards import per


def test_the_arguments_come_first_and_the_wildcards_in_the_order_named():
    wildcards = SimpleNamespace(visit="sub-01", contrast="rest", scan="x")
    assert per("contrast visit", lambda *values: values, "pattern")(wildcards) == ("pattern", "rest", "sub-01")


def test_a_label_is_replaced_by_the_name_it_stands_for():
    wildcards = SimpleNamespace(visit="sub-01", contrast="cueResponse")
    named = {"contrast": {"cueResponse": "cue_response"}.__getitem__}
    assert per("visit contrast", lambda *values: values, named=named)(wildcards) == ("sub-01", "cue_response")
