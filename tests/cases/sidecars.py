"""Cases of the sidecars' fields: each field, spoilt by each rule."""

from functools import partial

from wrong_input import Case, resolved

# Field: what may be missing from a 3D PCASL series with its own M0; a value a thousandfold too large; whether a list of one
# value a volume is allowed; a number below the allowed ones.
REQUIRED = (
    "ArterialSpinLabelingType",
    "PostLabelingDelay",
    "LabelingDuration",
    "BackgroundSuppression",
    "M0Type",
    "RepetitionTimePreparation",
    "MagneticFieldStrength",
    "MRAcquisitionType",
)
OPTIONAL = ("LabelingEfficiency", "EchoTime", "TotalAcquiredPairs", "SliceEncodingDirection", "Units", "PASLType")
SECONDS = {"PostLabelingDelay": 1800, "LabelingDuration": 1800, "RepetitionTimePreparation": 6000, "EchoTime": 12}
ABOVE_ZERO = (
    "RepetitionTimePreparation",
    "MagneticFieldStrength",
    "EchoTime",
    "LabelingEfficiency",
    "TotalAcquiredPairs",
)
NUMBERS = ("PostLabelingDelay", "LabelingDuration", *ABOVE_ZERO)


def _set(field, value, trial):
    trial.sidecar(**{field: value})


def _case(field, kind, value, outcome, words="", **more):
    return Case(f"{field}: {kind}", "sidecar", partial(_set, field, value), outcome, words or field, **more)


def _fields():
    for field in REQUIRED:
        yield _case(field, "missing", ..., "refused", rf"{field}: found 'nothing'")
        yield _case(field, "null", None, "refused", rf"{field}")
        yield _case(field, "an empty list", [], "refused")
        yield _case(field, "an object", {"value": 1}, "refused")
    for field in OPTIONAL:
        yield _case(field, "missing", ..., "accepted")
        yield _case(field, "null", None, "accepted")
    for field in NUMBERS:
        yield _case(field, "NaN", float("nan"), "refused", "NaN")
        yield _case(field, "infinite", float("inf"), "refused", "Infinity|inf")
        yield _case(field, "text", "about 2", "refused")
        yield _case(field, "a number written as text", "2", "refused")
        yield _case(field, "negative", -1.8, "refused")
        yield _case(field, "true", True, "refused")
    for field in ABOVE_ZERO:
        yield _case(field, "zero", 0, "refused")
    for field, value in SECONDS.items():
        yield _case(field, "milliseconds", value, "refused", rf"{field}.*millisecond")
    for field in ("PostLabelingDelay", "LabelingDuration", "RepetitionTimePreparation"):
        yield _case(field, "a list of the wrong length", [1.8, 1.8], "refused", rf"{field}.*7 values, one per volume")
    for field in ("BackgroundSuppression", "LookLocker"):
        yield _case(field, "text for true", "true", "refused")
        yield _case(field, "1 for true", 1, "refused")
    yield _case("PostLabelingDelay", "zero", 0, "refused", "PostLabelingDelay.*more than 0")
    yield _case("LabelingDuration", "zero", 0, "refused", "LabelingDuration.*more than 0")
    yield _case(
        "PostLabelingDelay",
        "one value per volume",
        [0] + [1.8] * 6,
        "accepted",
        holds=lambda study: resolved(study)["post_labeling_delay"] == 1.8,
    )
    yield _case("PostLabelingDelay", "unlike for label and control", [0] + [1.8, 1.5] * 3, "refused", "same for both")
    yield _case("LabelingEfficiency", "percent", 85, "refused", "LabelingEfficiency.*percent")
    yield _case("MagneticFieldStrength", "gauss", 30000, "refused", "MagneticFieldStrength.*gauss")
    yield _case("ArterialSpinLabelingType", "lower case", "pcasl", "refused", "PCASL")
    yield _case("ArterialSpinLabelingType", "a name outside BIDS", "VSASL", "refused", "PCASL, CASL or PASL")
    yield _case("M0Type", "lower case", "included", "refused", "Included")
    yield _case("MRAcquisitionType", "1D", "1D", "refused", "2D or 3D")
    yield _case("LookLocker", "true", True, "refused", "Look-Locker")
    yield _case(
        "RepetitionTimePreparation", "zero, RepetitionTime beside it", 0, "refused", "RepetitionTimePreparation"
    )
    yield _case("SliceEncodingDirection", "a word", "up", "refused", "axis")
    yield _case("EchoTime", "two echo times in one series", [0.012, 0.03] * 3 + [0.012], "refused", "echo")
    yield _case("TotalAcquiredPairs", "half a pair", 2.5, "refused", "whole number")
    yield Case("unknown fields of the scanner", "sidecar", lambda t: t.sidecar(Manufacturer="x", Odd=[1]), "accepted")


def _2d(trial, **fields):
    trial.sidecar(MRAcquisitionType="2D", SliceTiming=[0, 0.04, 0.08], **fields)


def _slices():
    def timing(*expected):
        return lambda study: list(resolved(study)["slice_timing"]) == list(expected)

    def change(**fields):
        return lambda trial: _2d(trial, **fields)

    yield Case("2D: slices ascending", "slices", change(), "accepted", holds=timing(0, 0.04, 0.08))
    yield Case("2D: direction k", "slices", change(SliceEncodingDirection="k"), "accepted", holds=timing(0, 0.04, 0.08))
    yield Case(
        "2D: direction k-", "slices", change(SliceEncodingDirection="k-"), "accepted", holds=timing(0.08, 0.04, 0)
    )
    for direction in ("j", "j-", "i", "i-"):
        # A cube: the axis is as long as the slices are many, so that nothing but the field tells which it is.
        yield Case(
            f"2D: direction {direction}",
            "slices",
            change(SliceEncodingDirection=direction),
            "accepted",
            holds=lambda study, direction=direction: _along(study, direction),
        )
    yield Case(
        "2D without SliceTiming", "slices", lambda t: t.sidecar(MRAcquisitionType="2D"), "refused", "SliceTiming"
    )
    for kind, value in {
        "one slice too few": [0, 0.04],
        "milliseconds": [0, 40, 80],
        "NaN": [0, float("nan"), 0.08],
        "text": "ascending",
        "negative": [-0.04, 0, 0.04],
        "beyond the repetition time": [0, 4, 8],
        "a number": 0.04,
    }.items():
        yield Case(
            f"SliceTiming: {kind}",
            "slices",
            lambda trial, value=value: trial.sidecar(MRAcquisitionType="2D", SliceTiming=value),
            "refused",
            "NaN" if kind == "NaN" else "SliceTiming",
        )


def _along(study, direction):
    """Whether the resolved times run along an axis, backwards where it has a minus sign."""
    times = [0.08, 0.04, 0] if direction.endswith("-") else [0, 0.04, 0.08]
    values = resolved(study)
    return values["slice_axis"] == "ijk".index(direction[0]) and list(values["slice_timing"]) == times


def _pasl(**fields):
    base = {
        "ArterialSpinLabelingType": "PASL",
        "LabelingDuration": ...,
        "PASLType": "PICORE",
        "BolusCutOffFlag": True,
        "BolusCutOffTechnique": "QUIPSSII",
        "BolusCutOffDelayTime": 0.7,
        "LabelingEfficiency": 0.98,
    }
    return lambda trial: trial.sidecar(**{**base, **fields})


def _pulsed():
    yield Case("PASL, QUIPSS II", "PASL", _pasl(), "accepted")
    yield Case("PASL: LabelingDuration 0", "PASL", _pasl(LabelingDuration=0), "accepted")
    yield Case("PASL: no cut-off", "PASL", _pasl(BolusCutOffFlag=False), "refused", "leave the run out")
    yield Case(
        "PASL: cut-off without technique", "PASL", _pasl(BolusCutOffTechnique=...), "refused", "BolusCutOffTechnique"
    )
    yield Case(
        "PASL: cut-off without delay", "PASL", _pasl(BolusCutOffDelayTime=...), "refused", "BolusCutOffDelayTime"
    )
    yield Case("PASL: cut-off in milliseconds", "PASL", _pasl(BolusCutOffDelayTime=700), "refused", "millisecond")
    yield Case("PASL: technique misspelt", "PASL", _pasl(BolusCutOffTechnique="QUIPSS2"), "refused", "QUIPSSII")
    yield Case(
        "PASL: cut-off after the inversion time", "PASL", _pasl(BolusCutOffDelayTime=2), "refused", "BolusCutOffDelay"
    )
    yield Case(
        "PASL: some inversion times before the cut-off",
        "PASL",
        _pasl(PostLabelingDelay=[0, 0.6, 0.6, 1.2, 1.2, 1.8, 1.8]),
        "accepted",
        holds=lambda study: resolved(study)["post_labeling_delay"][1] == 0.6,
    )


def _files():
    json_file = "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_asl.json"

    def write(content):
        def change(trial):
            path = trial.path(json_file)
            text = path.read_text()
            path.write_bytes(content(text) if callable(content) else content)

        return change

    yield Case("sidecar missing", "sidecar file", lambda t: t.path(json_file).unlink(), "refused", "_asl.json")
    yield Case("sidecar empty", "sidecar file", write(b""), "refused", "_asl.json")
    yield Case("sidecar a list", "sidecar file", write(b"[1, 2]"), "refused", "JSON object")
    yield Case("sidecar broken off", "sidecar file", write(lambda text: text[:40].encode()), "refused", "JSON")
    yield Case(
        "sidecar with a trailing comma",
        "sidecar file",
        write(lambda t: t.replace("}", ",}").encode()),
        "refused",
        "JSON",
    )
    umlaut = '{"InstitutionName": "Universität", '
    yield Case(
        "sidecar in Latin-1", "sidecar file", write(lambda t: (umlaut + t[1:]).encode("latin-1")), "refused", "UTF-8"
    )
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        yield Case(
            f"sidecar in {encoding}",
            "sidecar file",
            write(lambda t, encoding=encoding: (umlaut + t[1:]).encode(encoding)),
            "accepted",
        )
    yield Case(
        "sidecar with a field twice",
        "sidecar file",
        write(lambda t: t.replace("{", '{"PostLabelingDelay": 0.7, ', 1).encode()),
        "refused",
        "twice",
    )


CASES = [*_fields(), *_slices(), *_pulsed(), *_files()]
