"""How a run's sidecar becomes the values of its quantification: precedence, defaults and their sources."""

import json

import complete_settings
import pytest
import skeleton
from pharmasl.errors import InputErrors
from pharmasl.study import configuration, named_constants, physiology


@pytest.fixture
def root(tmp_path):
    return skeleton.dataset(tmp_path / "bids", participants=4, conditions=("rest",))


STEM = "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest"


def edit(root, **fields):
    path = root / f"{STEM}_asl.json"
    content = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def context(root, types):
    name = STEM.rsplit("/", 1)[-1]
    sidecar = json.loads((root / f"{STEM}_asl.json").read_text())
    skeleton.run(root / "sub-01/ses-T1/perf", name, sidecar, types)


def resolve(root, **perfusion):
    config = {
        "bids_dir": str(root),
        "output_dir": "out",
        "conditions": {"rest": {"acquisition": "rest"}},
        "participants": ["01"],
        "perfusion": perfusion,
    }
    return complete_settings.read(config).scans[STEM].acquisition.plain()


def problems(root, **perfusion):
    with pytest.raises(InputErrors) as caught:
        resolve(root, **perfusion)
    return {error.field: error for error in caught.value.errors}


# Alsop et al. 2015, table of recommended values; Wang et al. 2005 for CASL; Garcia et al. 2005 for suppression.
DEFAULTS = {
    "labeling_efficiency": {"PCASL": 0.85, "CASL": 0.68, "PASL": 0.98},
    "suppression_efficiency": 0.95,
    "partition_coefficient": 0.9,
    "t1_blood": {"1.5": 1.35, "3": 1.65, "7": 2.087},
    "t1_tissue": {"1.5": 1.197, "3": 1.607, "7": 1.939},
    "t2_star": {"1.5": 0.062, "3": 0.0473, "7": 0.0356},
}


@pytest.mark.parametrize("key", DEFAULTS)
def test_the_consensus_constants(key):
    assert named_constants.load("consensus")[key] == DEFAULTS[key]


def test_the_constants_of_asltbx(root):
    edit(root, LabelingEfficiency=None)
    found = resolve(root, calibration="asltbx")
    assert found["t1_blood"] == 1.664
    assert found["labeling_efficiency"] == 0.85
    assert (found["m0_type"], found["m0_of_pair"]) == ("Absent", True)
    assert found["sources"]["t1_blood"] == "calibration asltbx (ASLtbx); at 3 T"
    complete = configuration.resolve(
        {"bids_dir": "x", "output_dir": "y", "conditions": {}, "perfusion": {"calibration": "asltbx"}}
        | {"conditions": {"rest": {}}}
    )["perfusion"]
    assert complete["outliers"]["rules"] == ["global"]
    assert complete["outliers"]["global_limits"] == [-40, 150]
    assert complete["m0"]["t1_recovery"] is False


def test_asltbx_never_takes_a_suppressed_control_for_m0(root):
    edit(root, BackgroundSuppression=True)
    assert "m0.source" in problems(root, calibration="asltbx")["M0Type"].fix
    assert resolve(root, calibration="asltbx", m0={"source": "sidecar"})["m0_type"] == "Included"


def test_what_the_study_says_wins_over_the_calibration_and_the_sidecar_over_both(root):
    own = {"PCASL": 0.8}
    assert resolve(root, labeling_efficiency=own)["labeling_efficiency"] == 0.85
    edit(root, LabelingEfficiency=None)
    found = resolve(root, labeling_efficiency=own, t1_blood={"3": 1.6})
    assert (found["labeling_efficiency"], found["t1_blood"]) == (0.8, 1.6)
    assert found["sources"]["labeling_efficiency"] == "config perfusion.labeling_efficiency.PCASL"
    assert found["sources"]["t1_blood"] == "config perfusion.t1_blood; at 3 T"
    assert resolve(root, override={"LabelingEfficiency": 0.7})["labeling_efficiency"] == 0.7


def test_an_unknown_calibration_is_named(root):
    assert "consensus" in problems(root, calibration="spm")["perfusion.calibration"].expected


@pytest.mark.parametrize(
    ("fields", "efficiency"),
    [
        ({"BackgroundSuppressionNumberPulses": 4}, 0.85 * 0.95**4),
        ({"BackgroundSuppressionPulseTime": [0.5, 1.0, 1.5]}, 0.85 * 0.95**3),
        ({"BackgroundSuppressionNumberPulses": 0}, 0.85),
        ({}, 0.85 * 0.95**2),
        ({"LabelingEfficiency": 0.72, "BackgroundSuppressionNumberPulses": 4}, 0.72),
    ],
)
def test_suppression_pulses_cost_efficiency_unless_the_sidecar_knows_better(root, fields, efficiency):
    edit(root, **{"LabelingEfficiency": None, "BackgroundSuppression": True, **fields})
    found = resolve(root)
    assert found["labeling_efficiency"] == pytest.approx(efficiency, rel=1e-12)
    if not fields:
        assert "assumed" in found["sources"]["suppression_pulses"]


def test_t1_of_blood_by_haematocrit(root):
    path = root / "participants.tsv"
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    values = ["hct", "47", "0.41", "n/a", "300"]
    path.write_text("\n".join("\t".join([*row, value]) for row, value in zip(rows, values)) + "\n")
    found = resolve(root, haematocrit="hct")
    assert found["t1_blood"] == physiology.blood_t1(0.47, 3.0)
    assert "Hales" in found["sources"]["t1_blood"]
    config = {
        "bids_dir": str(root),
        "output_dir": "out",
        "conditions": {"rest": {}},
        "perfusion": {"haematocrit": "hct"},
    }
    study = {**config, "participants": ["03"]}
    scans = complete_settings.read(study).scans.values()
    assert {scan.acquisition.t1_blood for scan in scans} == {1.65}
    with pytest.raises(InputErrors) as caught:
        complete_settings.read({**config, "participants": ["04"]})
    assert caught.value.errors[0].field == "hct of sub-04"
    with pytest.raises(InputErrors, match="haematocrit"):
        complete_settings.read({**config, "perfusion": {"haematocrit": "haematocrit"}})


def blood(root, columns, **perfusion):
    """The scans' T1 of blood by session, of a table whose participants have these columns; sub-01's row comes first."""
    path = root / "participants.tsv"
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    for name, values in columns.items():
        for line, value in zip(lines, [name, *values, *["n/a"] * len(lines)]):
            line.append(value)
    path.write_text("".join("\t".join(line) + "\n" for line in lines))
    config = {"bids_dir": str(root), "output_dir": "out", "conditions": {"rest": {}}, "participants": ["01"]}
    study = complete_settings.read({**config, "sessions": complete_settings.SESSIONS, "perfusion": perfusion})
    return {scan.session: scan.acquisition for scan in study.scans.values()}


@pytest.mark.parametrize(("unit", "text"), [("s", "1.72"), ("ms", "1720")])
def test_a_measured_t1_of_blood_goes_before_the_haematocrit(root, unit, text):
    measured = {"column": "blood", "unit": unit}
    found = blood(root, {"blood": [text], "hct": ["0.41"]}, t1_blood_measured=measured, haematocrit="hct")
    assert {own.t1_blood for own in found.values()} == {1.72}
    assert {own.t1_blood_by for own in found.values()} == {"measured"}
    assert all(own.haematocrit is None for own in found.values())
    assert all(own.sources["t1_blood"].startswith("measured, blood of") for own in found.values())


def test_who_has_no_measured_t1_of_blood_has_that_of_the_haematocrit(root):
    measured = {"column": "blood", "unit": "s"}
    found = blood(root, {"blood": ["n/a"], "hct": ["0.41"]}, t1_blood_measured=measured, haematocrit="hct")
    assert {own.t1_blood for own in found.values()} == {physiology.blood_t1(0.41, 3.0)}
    assert {own.t1_blood_by for own in found.values()} == {"haematocrit"}


def test_blood_of_each_session_by_columns_of_its_own(root):
    found = blood(root, {"hct_T1": ["0.40"], "hct_T2": ["36"]}, haematocrit="hct")
    assert {session: own.t1_blood for session, own in found.items()} == {
        "T1": physiology.blood_t1(0.40, 3.0),
        "T2": physiology.blood_t1(0.36, 3.0),
    }


def test_blood_of_each_session_by_its_own_table(root):
    (root / "sub-01/sub-01_sessions.tsv").write_text("session_id\tblood\nses-T1\t1.70\nses-T2\t1.78\n")
    found = blood(root, {}, t1_blood_measured={"column": "blood", "unit": "s"})
    assert {session: own.t1_blood for session, own in found.items()} == {"T1": 1.70, "T2": 1.78}


def test_blood_of_one_session_alone_is_refused(root):
    with pytest.raises(InputErrors) as caught:
        blood(root, {"hct_T1": ["0.40"], "hct_T2": ["n/a"]}, haematocrit="hct")
    (error,) = caught.value.errors
    assert error.field == "hct_T1, hct_T2 of sub-01"
    assert error.found == "0.40, n/a"
    assert "at every scanned session" in error.expected


@pytest.mark.parametrize(("unit", "text"), [("s", "1720"), ("ms", "1.72"), ("s", "0.5"), ("s", "long")])
def test_a_t1_that_no_blood_has_is_refused(root, unit, text):
    with pytest.raises(InputErrors) as caught:
        blood(root, {"blood": [text]}, t1_blood_measured={"column": "blood", "unit": unit})
    assert {error.field for error in caught.value.errors} == {"blood of sub-01"}
    assert "0.9 to 3 s" in caught.value.errors[0].expected


def test_without_a_measured_haematocrit_norms_by_age_and_sex_give_it(root):
    path = root / "participants.tsv"
    _, *rows = (line.split("\t") for line in path.read_text().splitlines())
    own = dict(
        zip(("01", "02", "03", "04"), (("n/a", "34", "F"), ("45", "34", "M"), ("n/a", "63", "F"), ("n/a", "34", "1")))
    )
    lines = ["\t".join([row[0], row[1], *own[row[0][4:]]]) for row in rows]
    path.write_text("\n".join(["participant_id\tarm\thct\tage\tsex", *lines]) + "\n")
    config = {
        "bids_dir": str(root),
        "output_dir": "out",
        "conditions": {"rest": {}},
        "perfusion": {"haematocrit": "hct", "haematocrit_norms": {"age": "age", "sex": "sex"}},
    }
    expected = {"01": physiology.blood_t1(0.41, 3.0), "02": physiology.blood_t1(0.45, 3.0), "03": 1.65}
    words = {
        "01": "norms of Dallman 1977 for age 34, sex F",
        "02": "of the participants' table",
        "03": "none for age 63",
    }
    for person, t1 in expected.items():
        scans = complete_settings.read({**config, "participants": [person]}).scans.values()
        assert {scan.acquisition.t1_blood for scan in scans} == {t1}
        assert all(words[person] in scan.acquisition.sources["t1_blood"] for scan in scans)
    with pytest.raises(InputErrors) as caught:
        complete_settings.read({**config, "participants": ["04"]})
    assert caught.value.errors[0].field == "age and sex of sub-04"
    with pytest.raises(InputErrors, match="years"):
        complete_settings.read({**config, "perfusion": {"haematocrit_norms": {"age": "years", "sex": "sex"}}})


def test_several_delays_are_told_volume_by_volume(root):
    context(root, ["m0scan", *["label", "control"] * 2])
    edit(root, PostLabelingDelay=[0, 0.5, 0.5, 1.5, 1.5], LabelingDuration=[0, 1.4, 1.4, 1.4, 1.4])
    found = resolve(root)
    assert found["post_labeling_delay"] == [None, 0.5, 0.5, 1.5, 1.5]
    assert found["labeling_duration"] == 1.4


def test_a_series_of_cbf_needs_no_labelling(root):
    context(root, ["cbf", "cbf"])
    edit(
        root,
        ArterialSpinLabelingType=None,
        PostLabelingDelay=None,
        M0Type=None,
        BackgroundSuppression=None,
        Units="mL/g/min",
    )
    found = resolve(root)
    assert (found["labeling_type"], found["units"]) == (None, "mL/g/min")
    context(root, ["deltam", "deltam"])
    assert {"ArterialSpinLabelingType", "PostLabelingDelay"} <= set(problems(root))


def test_fair_without_a_cut_off_says_what_it_assumes(root):
    pasl = {"ArterialSpinLabelingType": "PASL", "LabelingDuration": None}
    edit(root, **pasl, PASLType="FAIR")
    found = resolve(root)
    assert found["bolus_cutoff_delay"] is None
    assert "assumed" in found["sources"]["bolus_cutoff_technique"]
    edit(root, **pasl, PASLType="PICORE")
    assert "BolusCutOffFlag" in problems(root)


def test_all_saturations_of_q2tips_are_kept(root):
    edit(
        root,
        ArterialSpinLabelingType="PASL",
        LabelingDuration=None,
        BolusCutOffFlag=True,
        BolusCutOffTechnique="Q2TIPS",
        BolusCutOffDelayTime=[0.7, 1.6],
    )
    assert resolve(root)["bolus_cutoff_delay"] == [0.7, 1.6]


def test_echo_times_of_series_and_separate_m0(root):
    edit(root, M0Type="Separate", EchoTime=0.012)
    folder = root / "sub-01/ses-T1/perf"
    skeleton.image(folder / "sub-01_ses-T1_acq-rest_m0scan.nii.gz", (3, 3, 3))
    skeleton.write(folder / "sub-01_ses-T1_acq-rest_m0scan.json", {"RepetitionTimePreparation": 10, "EchoTime": 0.02})
    found = resolve(root)
    assert (found["echo_time"], found["m0_echo_time"], found["t2_star"]) == (0.012, 0.02, 0.0473)
    assert resolve(root, m0={"echo_time_correction": False})["t2_star"] is None


def test_field_maps_are_told(root):
    skeleton.image(root / "sub-01/ses-T1/fmap/sub-01_ses-T1_phasediff.nii.gz", (3, 3, 3))
    skeleton.image(root / "sub-02/ses-T1/fmap/sub-02_ses-T1_phasediff.nii.gz", (3, 3, 3))
    skeleton.image(root / "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_dir-PA_m0scan.nii.gz", (3, 3, 3))
    assert resolve(root)["fieldmaps"] == [
        "sub-01_ses-T1_acq-rest_dir-PA_m0scan.nii.gz",
        "sub-01_ses-T1_phasediff.nii.gz",
    ]
