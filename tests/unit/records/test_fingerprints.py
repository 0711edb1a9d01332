"""What Snakemake is shown of a param: one text for two spellings of a value, another for every other value."""

import inspect
import types

import pytest
from pharmasl.records import fingerprints


def test_spellings_of_one_value_are_one():
    assert fingerprints.digest({"a": 1, "b": [2.0, None]}) == fingerprints.digest({"b": (2, None), "a": 1.0})
    assert fingerprints.text("smoothing_fwhm", 6.0) == "smoothing_fwhm: 6"


@pytest.mark.parametrize(
    "other", [{"a": 2}, {"b": 1}, {"a": "1"}, {"a": True}, {"a": None}, {"a": [1]}, {}, [1], "a", {"a": 1, "b": None}]
)
def test_another_value_is_another(other):
    assert fingerprints.digest(other) != fingerprints.digest({"a": 1})


def test_the_order_of_a_list_counts():
    assert fingerprints.digest([1, -1]) != fingerprints.digest([-1, 1])


def test_long_values_are_digests():
    text = fingerprints.text("rows", [{"participant_id": f"sub-{number}"} for number in range(200)])
    assert len(text) == len("rows: ") + 16
    assert text != fingerprints.text("rows", [{"participant_id": f"sub-{number}"} for number in range(199)])


def test_what_is_no_plain_data_is_refused():
    with pytest.raises(TypeError):
        fingerprints.digest({"path": object()})


class Params(list):
    """As Snakemake's: a list with names."""

    def __init__(self, **named):
        super().__init__(named.values())
        self.names = list(named)

    def items(self):
        return list(zip(self.names, self))

    def _set_name(self, name, number):
        assert self.names[number] == name


def rule(**params):
    made = types.SimpleNamespace(params=Params(**params))
    made.set_params = lambda *values: made.params.extend(values)
    return made


def shown(made):
    """What Snakemake compares: a set of texts, and those of functions that do not take the input."""
    return {
        param("wildcards") if callable(param) else param
        for param in made.params
        if not callable(param) or "input" not in inspect.signature(param).parameters
    }


def test_params_that_exchange_their_values_are_seen():
    first = rule(exclusion="moved", acceptance=lambda wildcards: None)
    second = rule(exclusion=None, acceptance=lambda wildcards: "moved")
    fingerprints.bind([first, second])
    assert shown(first) == {'exclusion: "moved"', "acceptance: null"}
    assert shown(second) == {"exclusion: null", 'acceptance: "moved"'}
    # The job still gets the values, as functions of the input.
    assert [function("wildcards", "input") for function in first.params[:2]] == ["moved", None]


def test_what_is_compared_alone_is_its_text():
    made = rule(code=fingerprints.Compared("abc"), content=fingerprints.Compared(lambda wildcards: [wildcards]))
    fingerprints.bind([made])
    assert len(made.params) == 2
    assert shown(made) == {'code: "abc"', 'content: ["wildcards"]'}


def test_a_constant_text_is_none_that_snakemake_would_fill_in():
    made = rule(pattern=fingerprints.Compared("{scan}"), name=fingerprints.Compared("scan"))
    fingerprints.bind([made])
    assert [callable(param) for param in made.params] == [True, False]
    assert shown(made) == {'pattern: "{scan}"', 'name: "scan"'}
