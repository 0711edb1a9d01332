"""Cases of time-encoded series and the matrix by which they are decoded."""

import coded
import skeleton
from wrong_input import Case, resolved

_ENCODED = ["m0scan", *["control", "label", "label", "label"] * 3]
_OWN = {"PostLabelingDelay": ..., "LabelingDuration": ..., "RepetitionTimePreparation": [6.0] + [4.0] * 12}


def _encoding(**changes):
    own = {"matrix": coded.hadamard(4).tolist(), "label": -1, "durations": [0.9, 0.8, 0.6], "delay": 0.3}
    own = {**own, **changes}
    return {key: value for key, value in own.items() if value is not ...}


def _trial(trial, encodings, context=_ENCODED, **fields):
    """All series of the trial time-encoded."""
    for sidecar in trial.root.glob("**/*_asl.json"):
        run = str(sidecar.relative_to(trial.root)).removesuffix("_asl.json")
        skeleton.run(sidecar.parent, sidecar.name.removesuffix("_asl.json"), context=context)
        trial.sidecar(run, **{**_OWN, **fields})
    if encodings is not None:
        trial.config["perfusion"] = {"encodings": encodings}


def _case(name, outcome, words="", context=_ENCODED, holds=None, fields=None, errors=1, encodings=None, **changes):
    def change(trial):
        stated = [_encoding(**changes)] if encodings is None else encodings
        _trial(trial, stated, context, **(fields or {}))

    return Case(f"time-encoded: {name}", "time encoding", change, outcome, words, errors=errors, holds=holds)


def _is_decoded(study, sign=1):
    own = resolved(study)
    return (
        own["encoding"] == (sign * coded.hadamard(4)).tolist()
        and [round(delay, 6) for delay in own["post_labeling_delay"]] == [1.7, 0.9, 0.3]
        and own["labeling_duration"] == [0.9, 0.8, 0.6]
        and own["volume_types"] == ["m0scan", *["encoded"] * 12]
    )


def _cases():
    transposed = coded.hadamard(4).T.tolist()
    constant = [[1, *row] for row in coded.hadamard(4).tolist()]
    unbalanced = [[1, *row[1:]] for row in coded.hadamard(4).tolist()]
    alike = [[row[0], row[0], row[2]] for row in coded.hadamard(4).tolist()]
    yield _case("a matrix, three cycles", "accepted", holds=_is_decoded)
    yield _case("label written as 1", "accepted", holds=lambda study: _is_decoded(study, -1), label=1)
    yield _case("every coded volume called label", "accepted", context=["m0scan", *["label"] * 12], holds=_is_decoded)
    yield _case("a dummy before the cycles", "accepted", context=["m0scan", "n/a", *_ENCODED[1:]], fields=_dummy())
    yield _case("the sidecar has the delays of the blocks", "accepted", fields={"PostLabelingDelay": 0.3})
    yield _case("the sidecar has the same size and matrix", "accepted", fields=_stated())
    yield _case("the sidecar has the vendor's sign", "accepted", fields=_stated(-1))
    yield _case(
        "TimeEncodedMatrixSize without a matrix",
        "refused",
        "TimeEncodedMatrixSize.*perfusion.encodings",
        encodings=[],
        context=["m0scan", *["control", "label"] * 6],
        fields={"TimeEncodedMatrixSize": 4, "PostLabelingDelay": 1.8, "LabelingDuration": 1.8},
        errors=12,
    )
    yield _case("another size in the sidecar", "refused", "MatrixSize.*4, the rows", fields=_sized(8), errors=12)
    yield _case(
        "another matrix in the sidecar", "refused", "TimeEncodedMatrix.*the matrix of", fields=_walsh(), errors=12
    )
    yield _case(
        "the sidecar has another delay", "refused", "PostLabelingDelay.*0.3, 0.9, 1.7", fields=_other(), errors=12
    )
    yield _case(
        "a matrix transposed", "refused", "3 rows of 4 columns.*Transpose", matrix=transposed, durations=[0.5] * 4
    )
    yield _case(
        "the constant column left in",
        "refused",
        "Leave out the column that is the same",
        matrix=constant,
        durations=[0.5] * 4,
    )
    yield _case("a column that is not balanced", "refused", "column 1 with 4 times 1", matrix=unbalanced)
    yield _case("two blocks that cannot be told apart", "refused", "columns 1 and 2 alike in 4 of 4 rows", matrix=alike)
    yield _case(
        "rows of different length", "refused", "rows of 2 and 3", matrix=[[1, 1, 1], [1, -1], [-1, 1, -1], [-1, -1, 1]]
    )
    yield _case(
        "0 for label",
        "refused",
        "one of -1, 1|-1 or 1|matrix",
        matrix=[[0 if v < 0 else v for v in row] for row in coded.hadamard(4).tolist()],
        errors=6,
    )
    yield _case("no word on which sign is label", "refused", "label.*found 'nothing'", label=...)
    yield _case("no final delay", "refused", "delay.*found 'nothing'", delay=...)
    yield _case("a duration too few", "refused", "durations.*2 durations.*3, one for each column", durations=[0.9, 0.8])
    yield _case("durations in milliseconds", "refused", "durations.*at most 10", durations=[900, 0.8, 0.6])
    yield _case(
        "longer than the repetition time", "refused", "RepetitionTime|4 s", durations=[1.9, 1.8, 1.6], errors=12
    )
    yield _case(
        "a cycle cut short",
        "refused",
        "whole cycles of 4 volumes each; found 11",
        context=_ENCODED[:-1],
        fields=_cut(),
        errors=12,
    )
    yield _case(
        "a volume missing within a cycle, called so",
        "refused",
        "the same in every cycle; volume 4 of cycle 2 is called control",
        context=[*_ENCODED[:8], *_ENCODED[9:], "label"],
        errors=12,
    )
    yield _case("volumes called deltam", "refused", "no coded series", context=["m0scan", *["deltam"] * 12], errors=12)
    yield _case("pulsed labelling", "refused", "PCASL or CASL: a pulse is one block", fields=_pulsed(), errors=12)
    yield _case("no M0", "refused", "without control volumes", context=_ENCODED[1:], fields=_absent(), errors=12)
    yield Case(
        "time-encoded: a scan that nobody has",
        "time encoding",
        lambda trial: trial.config.update(perfusion={"encodings": [_encoding(where={"acquisition": "encoded"})]}),
        "refused",
        "entities that a scan of the study has",
    )
    yield _case("two matrices for one scan", "refused", "both apply", encodings=[_encoding(), _encoding(label=1)])


def _dummy():
    return {"RepetitionTimePreparation": [6.0] + [4.0] * 13}


def _cut():
    return {"RepetitionTimePreparation": [6.0] + [4.0] * 11}


def _stated(sign=1):
    return {"TimeEncodedMatrixSize": 4, "TimeEncodedMatrix": (sign * coded.hadamard(4)).tolist()}


def _sized(size):
    return {"TimeEncodedMatrixSize": size}


def _walsh():
    return {"TimeEncodedMatrix": coded.walsh(4).tolist()}


def _other():
    return {"PostLabelingDelay": 1.8}


def _pulsed():
    return {"ArterialSpinLabelingType": "PASL", "PASLType": "FAIR", "PostLabelingDelay": 0.3}


def _absent():
    return {"M0Type": "Absent", "RepetitionTimePreparation": 4.0, "BackgroundSuppression": False}


CASES = [*_cases()]
