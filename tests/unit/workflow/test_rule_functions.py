"""What Snakemake is told of the rules' functions is what Snakemake would find out."""

import inspect
import types

from pharmasl.workflow import raw_files, rule_functions
from snakemake.common import get_function_params, get_input_function_aux_params, overwrite_function_params
from snakemake.io import AnnotatedString, flag
from snakemake.resources import Resource


def of_job(wildcards, input, *, threads=1):
    return [wildcards, input, threads]


def open_ended(wildcards, **further):
    return further


def test_a_function_takes_what_it_took():
    flagged = flag(lambda wildcards, attempt: "path", "ancient")
    assert isinstance(flagged, AnnotatedString)
    memory = Resource("mem_mb", lambda wildcards, attempt: 100 * attempt)
    functions = [of_job, open_ended, lambda wildcards: "path", flagged.callable, memory._evaluator]
    before = [dict(inspect.signature(function).parameters) for function in functions]
    resources = {"mem_mb": memory, "_cores": Resource("_cores", 1)}
    rule = types.SimpleNamespace(
        input=["a/path", *functions[2:3], flagged], params=[*functions[:2], "text", 1], resources=resources
    )
    rule_functions.describe([rule], overwrite_function_params)
    candidates = {"input": 1, "threads": 2, "attempt": 3}
    for function, parameters in zip(functions, before):
        assert get_function_params(function) is get_function_params(function)
        assert dict(get_function_params(function)) == parameters
    assert memory.evaluate(None, input=[], attempt=3).value == 300
    assert get_input_function_aux_params(of_job, candidates) == {"input": 1, "threads": 2}
    assert get_input_function_aux_params(open_ended, candidates) == candidates


def test_raw_files_are_named_by_their_place():
    def name(path, root="data/bids"):
        return raw_files.inputs(path, root, lambda path, name: name)(None)

    assert name("data/bids/sub-1/a.nii") == name("data/bids/sub-1/a.nii", "data/bids/") == "bids::sub-1/a.nii"
    assert name(["./data/bids/sub-1/../b.nii", "data/bids/../c.nii"]) == ["bids::b.nii", "file::c.nii"]
    assert name("data/bids2/a.nii") == "file::a.nii"
