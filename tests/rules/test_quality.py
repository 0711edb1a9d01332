"""The scripts of the quality and figure rules on tiny inputs."""

from types import SimpleNamespace

import numpy as np
import pytest
from loading import script
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.perfusion import across_repeats, slice_signal
from pharmasl.quality.measure_columns import COLUMNS, EXCLUSIONS
from pharmasl.space import images
from pharmasl.study import settings
from pharmasl.study.labels import NAMES

AFFINE = np.diag([4.0, 4, 6, 1])
TEMPLATE = np.array([[4.0, 0, 0, -40], [0, 4, 0, -48], [0, 0, 4, -40], [0, 0, 0, 1]])


PARAMS = SimpleNamespace(bands={}, labels=settings.plain(NAMES))
RULE = {"exclude": [], "least_pairs": 2, "exclude_failed_registration": True, "exclude_implausible": True}
GOOD = {
    "M0OverControl": 5.0,
    "M0OverControlLeast": 1.2,
    "M0Spread": 1.0,
    "GainStep": 1.01,
    "GainStepVolume": 4,
    "ZeroShare": 0.0,
    "BackgroundSuppression": True,
    "GreyMatterMedian": 55.0,
    "EffectiveDelay": 1.8,
    "EffectiveDelayLeast": 0.65,
}


def write_repeats(path, excluded, delays=None):
    rows = [
        {"excluded": value, "passed": {0: 1, 1: 0}.get(value, value), "reason": "motion: 2 mm" if value else None}
        for value in excluded
    ]
    rows = [{**row, "post_labeling_delay": delay} for row, delay in zip(rows, delays or [1.8] * len(rows))]
    tables.write_table(
        path, rows, {"excluded": "1 or 0", "passed": "1 or 0", "reason": "Why", "post_labeling_delay": "s"}
    )


@pytest.fixture
def scan(tmp_path):
    rng = np.random.default_rng(0)
    brain = np.zeros((20, 24, 8), dtype=np.float32)
    brain[4:16, 4:20, 1:7] = 1
    gm = np.where(np.arange(20)[:, None, None] % 4 < 2, 0.95, 0.02).astype(np.float32) * brain
    wm, csf = 0.97 * brain - gm, 0.03 * brain
    series = ((60 * gm + 20 * wm)[..., None] + rng.normal(0, 2, (*brain.shape, 5))) * brain[..., None]
    template = np.zeros((20, 24, 24), dtype=np.float32)
    template[4:16, 4:20, 2:22] = 1
    template_gm = template * rng.random(template.shape)
    for name, data, affine in (
        ("cbf", series.mean(axis=3), AFFINE),
        ("brain_mask", brain, AFFINE),
        ("gm", gm, AFFINE),
        ("wm", wm, AFFINE),
        ("csf", csf, AFFINE),
        ("template_cbf", 60 * template_gm, TEMPLATE),
        ("coverage", template, TEMPLATE),
        ("template_mask", template, TEMPLATE),
        ("template_gm", template_gm, TEMPLATE),
    ):
        images.save(tmp_path / f"{name}.nii.gz", data, affine)
    rows = [{"framewise_displacement": None, "dvars": None}] + 9 * [{"framewise_displacement": 0.8, "dvars": 1.5}]
    described = {"framewise_displacement": "mm", "dvars": "percent", **slice_signal.columns(0)}
    tables.write_table(tmp_path / "confounds.tsv", rows, described)
    write_repeats(tmp_path / "repeats.tsv", [0] * 5)
    across = across_repeats.measure(
        series.mean(axis=3).ravel(), series.reshape(-1, 5), gm.ravel(), np.ones(5, dtype=bool), np.zeros(5)
    )
    record = {"Consistency": GOOD, "AcrossRepeats": across.record(), "NumberOfRepeats": 5}
    tables.write_json(tmp_path / "cbf.json", record)
    tables.write_json(tmp_path / "registration.json", {"Overlap": 0.91, "Accepted": True, "Reason": None})
    names = [
        "cbf",
        "brain_mask",
        "gm",
        "wm",
        "csf",
        "template_cbf",
        "coverage",
        "template_mask",
        "template_gm",
    ]
    return SimpleNamespace(
        **{name: tmp_path / f"{name}.nii.gz" for name in names},
        confounds=tmp_path / "confounds.tsv",
        repeats=tmp_path / "repeats.tsv",
        registration=tmp_path / "registration.json",
        sidecar=tmp_path / "cbf.json",
    )


def run(scan, where, participant="sub-01", rule=(), own=None, accepted=None, rating=None, **bands):
    label = {"participant_id": participant, "session_id": "T1", "condition": "rest", "scan": "sub-01_ses-T1_asl"}
    output = SimpleNamespace(table=where / f"{participant}.tsv")
    judged_by = {
        "rules": {**RULE, **dict(rule), "bands": bands},
        "own_exclusion": own,
        "own_acceptance": accepted,
        "own_rating": rating,
    }
    params = SimpleNamespace(scan=label, **judged_by)
    script("scan_quality").main(SimpleNamespace(input=scan, output=output, params=params))
    return output


def test_scan_quality_writes_a_row_and_a_sidecar(scan, tmp_path):
    output = run(scan, tmp_path)
    (row,) = tables.read_table(output.table)
    assert list(row) == list(COLUMNS)
    assert float(row["gm_cbf"]) == pytest.approx(0.95 * 60 + 0.02 * 20, abs=0.5)
    assert float(row["fd_mean"]) == pytest.approx(0.8)
    assert row["pairs"] == row["pairs_used"] == "5"
    assert row["registration_overlap"] == "0.91"
    assert (row["registration"], row["usable"], row["exclusion_reason"]) == ("accepted", "yes", None)
    assert float(row["template_correlation"]) == pytest.approx(1, abs=1e-5)
    assert "fd_mean:high" in row["flags"].split(",")
    sidecar = tables.read_json(output.table.with_suffix(".json"))
    assert sidecar["fd_mean"]["Units"] == "mm"
    assert set(sidecar) == set(COLUMNS)


def test_bands_decide_the_flags(scan, tmp_path):
    output = run(scan, tmp_path, fd_mean=None, qei=[1.5, None], gm_wm_ratio=None)
    flags = tables.read_table(output.table)[0]["flags"].split(",")
    assert "qei:low" in flags
    assert not any(flag.startswith("fd_mean") for flag in flags)


def test_study_quality_keeps_the_order_and_every_row(scan, tmp_path):
    names = ("sub-02", "sub-01")
    inputs = [run(scan, tmp_path, name).table for name in names]
    output = SimpleNamespace(
        table=tmp_path / "scans.tsv", figure=tmp_path / "scans.svg", exclusions=tmp_path / "exclusions.tsv"
    )
    snakemake = SimpleNamespace(input=SimpleNamespace(tables=inputs), output=output, params=PARAMS)
    script("study_quality").main(snakemake)
    rows = tables.read_table(output.table)
    assert [row["participant_id"] for row in rows] == list(names)
    assert rows[1] == tables.read_table(inputs[1])[0]
    assert tables.read_table(output.exclusions) == []
    first = output.figure.read_bytes()
    script("study_quality").main(snakemake)
    assert output.figure.read_bytes() == first


def judged(scan, where, **given):
    (row,) = tables.read_table(run(scan, where, **given).table)
    return row


def test_what_was_measured_across_the_repeats_stands_in_the_row(scan, tmp_path):
    row = judged(scan, tmp_path)
    # SD 2 about 57.4 in each voxel, over 5 pairs.
    assert float(row["temporal_snr"]) == pytest.approx(57.4 / 2, rel=0.15)
    change_record(scan, AcrossRepeats={"GreyMatterZ": None, "TemporalSNR": 1.5})
    row = judged(scan, tmp_path)
    assert (row["gm_cbf_z"], row["temporal_snr"]) == (None, "1.5")


def test_several_delays_are_counted(scan, tmp_path):
    write_repeats(scan.repeats, [0] * 5, [1.0, 1.0, 1.0, 2.0, 2.0])
    assert judged(scan, tmp_path)["delays"] == "2"


def test_a_table_of_repeats_that_does_not_fit_is_refused(scan, tmp_path):
    write_repeats(scan.repeats, [0] * 4)
    with pytest.raises(InputError, match=r"repeats\.tsv: rows: found 4, expected 5"):
        run(scan, tmp_path)
    write_repeats(scan.repeats, [0, 0, 0, 0, "maybe"])
    with pytest.raises(InputError, match="passed: found 'maybe'"):
        run(scan, tmp_path)


def test_too_few_repeats_a_failed_registration_and_the_users_word_exclude(scan, tmp_path):
    write_repeats(scan.repeats, [1, 1, 1, 1, 0])
    row = judged(scan, tmp_path)
    assert (row["usable"], row["exclusion_reason"]) == ("no", "1 of 5 repeats usable, fewer than 2: motion")
    assert (row["pairs_used"], row["left_out_by"]) == ("1", "motion 4")
    assert judged(scan, tmp_path, rule={"least_pairs": 1})["usable"] == "yes"
    write_repeats(scan.repeats, [0] * 5)

    lost = {"Overlap": None, "Accepted": False, "Reason": "starts disagree by 14 mm"}
    tables.write_json(scan.registration, lost)
    row = judged(scan, tmp_path, own="label lost halfway")
    assert row["registration"] == "not accepted"
    assert row["registration_overlap"] is None
    assert "registration_overlap:missing" in row["flags"].split(",")
    assert row["exclusion_reason"] == "label lost halfway; registration not accepted: starts disagree by 14 mm"
    row = judged(scan, tmp_path, rule={"exclude_failed_registration": False})
    assert (row["usable"], row["registration"]) == ("yes", "not accepted")


def test_a_flag_excludes_only_where_the_rule_says_so(scan, tmp_path):
    row = judged(scan, tmp_path)
    assert "fd_mean:high" in row["flags"].split(",")
    assert row["usable"] == "yes"
    row = judged(scan, tmp_path, rule={"exclude": ["fd_mean"]})
    assert (row["usable"], row["exclusion_reason"]) == ("no", "mean framewise displacement high")


def test_study_quality_lists_the_excluded_with_their_reasons(scan, tmp_path):
    inputs = [run(scan, tmp_path, name, own=reason).table for name, reason in (("sub-01", None), ("sub-02", "spoilt"))]
    output = SimpleNamespace(
        table=tmp_path / "scans.tsv", figure=tmp_path / "scans.svg", exclusions=tmp_path / "exclusions.tsv"
    )
    script("study_quality").main(SimpleNamespace(input=SimpleNamespace(tables=inputs), output=output, params=PARAMS))
    (row,) = tables.read_table(output.exclusions)
    assert list(row) == list(EXCLUSIONS)
    assert (row["participant_id"], row["condition"], row["reason"]) == ("sub-02", "rest", "spoilt")


def change_record(scan, **changes):
    tables.write_json(scan.sidecar, {**tables.read_json(scan.sidecar), **changes})


def change_cbf(scan, factor):
    data, affine = images.load(scan.cbf)
    images.save(scan.cbf, factor * data, affine)
    across = tables.read_json(scan.sidecar)["AcrossRepeats"]
    change_record(scan, AcrossRepeats={name: factor * value if factor else None for name, value in across.items()})


def test_label_and_control_exchanged_exclude_with_the_cause_and_can_be_accepted(scan, tmp_path):
    change_cbf(scan, -1)
    row = judged(scan, tmp_path)
    assert row["usable"] == "no"
    assert row["exclusion_reason"] == row["implausible"]
    assert row["implausible"].startswith("grey-matter CBF is clearly below zero (-57.4 mL/100 g/min, z ")
    assert "label and control are exchanged in the aslcontext.tsv" in row["implausible"]
    assert judged(scan, tmp_path, rule={"exclude_implausible": False})["usable"] == "yes"
    row = judged(scan, tmp_path, accepted="steal, seen on the angiogram")
    assert (row["usable"], row["exclusion_reason"]) == ("yes", None)
    assert row["accepted_by_hand"] == "steal, seen on the angiogram"
    assert row["overruled"] == row["implausible"]
    # A person's exclusion goes before a person's acceptance.
    row = judged(scan, tmp_path, own="spoilt", accepted="fine")
    assert (row["usable"], row["accepted_by_hand"], row["overruled"]) == ("no", None, None)


def test_a_poor_rating_excludes_and_can_be_overruled(scan, tmp_path):
    row = judged(scan, tmp_path, rating="rated poor: ghosting")
    assert (row["usable"], row["exclusion_reason"]) == ("no", "rated poor: ghosting")
    row = judged(scan, tmp_path, rating="rated poor: ghosting", accepted="a second look: fine")
    assert (row["usable"], row["accepted_by_hand"]) == ("yes", "a second look: fine")
    assert row["overruled"] == "rated poor: ghosting"
    # Excluded by name goes before both, and its reason comes first.
    row = judged(scan, tmp_path, rating="rated poor: ghosting", own="label lost", accepted="fine")
    assert (row["usable"], row["exclusion_reason"]) == ("no", "label lost; rated poor: ghosting")


def test_cbf_of_exactly_zero_is_no_result_and_cannot_be_accepted(scan, tmp_path):
    change_cbf(scan, 0)
    for accepted in (None, "it looks fine"):
        row = judged(scan, tmp_path, accepted=accepted)
        assert (row["usable"], row["exclusion_reason"]) == ("no", "no CBF is known in grey matter")
        assert row["accepted_by_hand"] is None


def test_what_the_quantification_measured_is_judged(scan, tmp_path):
    change_record(scan, Consistency={**GOOD, "M0OverControl": 1.02, "GainStep": 2.0})
    row = judged(scan, tmp_path)
    assert (row["m0_over_control"], row["gain_step"], row["m0_spread"]) == ("1.02", "2.0", "1.0")
    first, second = row["exclusion_reason"].split("; ")
    assert first.startswith("M0 is no brighter than the suppressed controls (1.02 times, at least 1.2 expected)")
    assert second.startswith("the level of controls and labels steps midway (by a factor of 2.00 at volume 4")
