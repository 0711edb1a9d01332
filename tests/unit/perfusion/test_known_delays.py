"""Several delays fitted with a known T1 of tissue and a known transit time, against the model's own convolution."""

import re

import coded
import kinetic_models
import numpy as np
import pytest
import quantified
from loading import ROOT
from pharmasl.files import tables
from pharmasl.perfusion import encoding_check, timing
from pharmasl.report import known_tissue_words
from pharmasl.space import images

DOCUMENT = (
    (ROOT / "docs/perfusion.md").read_text(encoding="utf-8").partition("### Several delays")[2].partition("\n## ")[0]
)
EFFICIENCY, T1_BLOOD, PARTITION = 0.85, 1.65, 0.9
DELAYS, DURATION = (0.5, 1.0, 1.5, 2.0, 2.5), 1.8
PULSED, BOLUS = (0.8, 1.3, 1.8, 2.3, 2.8), 0.7


def convolved(cbf, att, duration, read, t1, delivered):
    """DeltaM / M0 by Buxton's convolution over the time of delivery, by Simpson's rule; ``delivered`` is label at the arrival."""
    end = min(att + duration, read)
    if end <= att:
        return 0.0
    s = np.linspace(att, end, 4001)
    weight = np.array([1, *[4, 2] * 1999, 4, 1]) * (s[1] - s[0]) / 3
    return float(2 * cbf / PARTITION / 6000 * (weight * EFFICIENCY * delivered(s) * np.exp(-(read - s) / t1)).sum())


def signal(kind, cbf, att, delay, t1):
    if kind == "PASL":
        return convolved(cbf, att, BOLUS, delay, t1, lambda s: np.exp(-s / T1_BLOOD))
    return convolved(cbf, att, DURATION, DURATION + delay, t1, lambda s: np.exp(-att / T1_BLOOD) + 0 * s)


def several(folder, kind="PCASL", cbf=60, att=1.2, t1=1.3, repeats=2, noise=0.0):
    """A scan of five delays whose voxels all have one CBF, transit time and T1 of tissue."""
    delays = PULSED if kind == "PASL" else DELAYS
    types = ["m0scan", *["control", "label"] * (len(delays) * repeats)]
    each = [None, *np.repeat(np.tile(delays, repeats), 2).tolist()]
    change = {"volume_types": types, "post_labeling_delay": each}
    if kind == "PASL":
        change |= {"labeling_type": "PASL", "labeling_duration": None, "bolus_cutoff_delay": BOLUS}
        change |= {"bolus_cutoff_technique": "QUIPSSII"}
    else:
        change["labeling_duration"] = [None, *[DURATION] * (len(types) - 1)]
    scan, rng = quantified.Files(folder, acquisition=change), np.random.default_rng(2)
    volumes = []
    for name, delay in zip(types, each):
        taken = 1000 * signal(kind, cbf, att, delay, t1) if name == "label" else 0.0
        volumes.append(1000 - taken + (name != "m0scan") * rng.normal(0, noise, quantified.ASL.shape))
    images.save(scan.path("asl"), quantified.distinct(volumes), quantified.ASL.affine)
    return scan


def constant(gm, wm=None):
    return {"gm": gm, "wm": gm if wm is None else wm}


def fitted(scan, known=None, **delays):
    made = scan.quantify(
        fitted=True, known=scan.known_tissue(**known) if known else None, outliers={"rules": []}, delays=delays
    )
    return made, tables.read_json(made["sidecar"])


def means(made):
    """Mean CBF and transit time by the shares of grey matter."""
    inside, share = images.load(made["brain_mask"]).data > 0, images.load(made["gm"]).data
    return [np.average(images.load(made[name]).data[inside], weights=share[inside]) for name in ("cbf", "att")]


@pytest.mark.parametrize(("kind", "att"), [("PCASL", 0.7), ("PCASL", 1.7), ("PASL", 1.0)])
@pytest.mark.parametrize("t1", [0.9, 1.3, 2.0])
def test_a_planted_cbf_and_transit_time_come_back_with_the_t1_of_tissue(tmp_path, kind, att, t1):
    scan = several(tmp_path, kind, att=att, t1=t1)
    made, record = fitted(scan, {"t1": constant(t1)})
    for names, mask in ((("cbf", "att"), "brain_mask"), (("template_cbf", "template_att"), "coverage")):
        there = images.load(made[mask]).data > 0
        assert there.sum() > 500
        cbf, time = (images.load(made[name]).data[there] for name in names)
        assert np.abs(cbf - 60).max() < 0.02
        assert np.abs(time - att).max() < 5e-4
    assert "a known T1 of tissue after it" in record["Equation"]
    assert "Buxton" in record["Reference"]
    # With the T1 of blood the same label is more, or less, CBF.
    plain, without = fitted(scan)
    assert np.sign(means(plain)[0] - 60) == np.sign(t1 - T1_BLOOD)
    assert abs(means(plain)[0] - 60) > 3
    assert "T1 of blood throughout" in without["Equation"]
    assert "Woods" in without["Reference"]
    assert without["KnownTissue"] is None


def test_what_known_values_and_errors_change_is_what_fitting_with_them_changes(tmp_path):
    scan = several(tmp_path, t1=1.3, repeats=3, noise=4.0)
    known = {"transit_time": constant(1.0), "t1": constant(1.3)}
    made, record = fitted(scan, known)
    cbf, att = means(made)
    effect = record["KnownTissue"]
    assert effect["SeveralDelays"]
    assert effect["LateShare"] is None
    assert effect["TransitTimePriorSD"] == 1.0
    assert "about a known one, SD 1 s" in record["Equation"]
    for name, changed in (
        ("transit_time +0.1 s", {"transit_time": constant(1.1), "t1": constant(1.3)}),
        ("transit_time -0.1 s", {"transit_time": constant(0.9), "t1": constant(1.3)}),
        ("t1 +0.1 s", {"transit_time": constant(1.0), "t1": constant(1.4)}),
        ("t1 -0.1 s", {"transit_time": constant(1.0), "t1": constant(1.2)}),
    ):
        other, time = means(fitted(scan, changed)[0])
        assert effect["WithError"][name]["gm"] == pytest.approx(other / cbf, rel=1e-5)
        assert effect["WithError"][name]["Later"]["gm"] == pytest.approx(time - att, abs=1e-6)
    other, time = means(fitted(scan)[0])
    assert effect["OverUnknown"]["gm"] == pytest.approx(cbf / other, rel=1e-5)
    assert effect["OverUnknown"]["Later"]["gm"] == pytest.approx(att - time, abs=1e-6)
    # A shorter T1 leaves less of the label, and more CBF for what was measured.
    assert effect["WithError"]["t1 -0.1 s"]["gm"] > 1.05 > 1 / 1.05 > effect["WithError"]["t1 +0.1 s"]["gm"]


def test_a_known_transit_time_is_the_mean_of_its_prior(tmp_path):
    scan = several(tmp_path, att=1.2, t1=T1_BLOOD, repeats=2, noise=3.0)
    times = [means(fitted(scan, {"transit_time": constant(1.6)}, transit_sd=sd)[0])[1] for sd in (0.01, 0.3, 10)]
    assert times[0] == pytest.approx(1.6, abs=0.01)
    assert times[0] > times[1] > times[2]
    # By tissue: the head is 0.6 grey and 0.3 white everywhere.
    mixed, _ = fitted(scan, {"transit_time": constant(1.0, 1.6)}, transit_sd=0.01)
    assert means(mixed)[1] == pytest.approx(1.2, abs=0.01)


@pytest.mark.parametrize("known", [None, {"transit_time": constant(1.0), "t1": constant(1.3)}])
@pytest.mark.parametrize("delays", ["one", "several"])
def test_the_effect_of_blood_is_that_of_quantifying_with_it(tmp_path, delays, known):
    scan = several(tmp_path, repeats=3, noise=4.0) if delays == "several" else quantified.Files(tmp_path)

    def grey(t1):
        scan.acquisition |= {"t1_blood": t1, "t1_blood_by": "measured"}
        paths = scan.known_tissue(**known) if known else None
        made = scan.quantify(fitted=delays == "several", known=paths, outliers={"rules": []})
        inside, share = images.load(made["brain_mask"]).data > 0, images.load(made["gm"]).data
        return np.average(images.load(made["cbf"]).data[inside], weights=share[inside]), tables.read_json(
            made["sidecar"]
        )

    cbf, record = grey(1.72)
    own = record["OwnBlood"]
    assert own["T1"]["Value"] == 1.72
    assert own["WithError"]["t1_blood +0.1 s"]["gm"] == pytest.approx(grey(1.82)[0] / cbf, rel=1e-5)
    assert own["WithError"]["t1_blood -0.1 s"]["gm"] == pytest.approx(grey(1.62)[0] / cbf, rel=1e-5)
    scan.acquisition["t1_blood_by"] = None
    assert tables.read_json(scan.quantify(fitted=delays == "several")["sidecar"])["OwnBlood"] is None


def test_without_repeats_no_prior_is_weighed_and_that_is_said(tmp_path):
    scan = several(tmp_path, repeats=1, noise=4.0)
    known = {"transit_time": constant(2.0), "t1": constant(1.3)}
    _, record = fitted(scan, known)
    assert record["Equation"].endswith("least squares)")
    effect = record["KnownTissue"]
    assert effect["TransitTimePriorSD"] is None
    assert set(effect["WithError"]) == {"t1 +0.1 s", "t1 -0.1 s"}
    assert "was not used: no delay has repeats" in known_tissue_words.of_scan(effect).words
    assert "In 1 of the scans a known transit time was not used" in " ".join(known_tissue_words.methods([record]))


def test_the_cbf_of_repeats_is_apparent_whatever_is_known(tmp_path):
    scan = several(tmp_path)
    fitted(scan)
    plain = scan.of_repeats(outliers={"rules": []})
    paths = scan.known_tissue(transit_time=constant(1.0), t1=constant(1.3))
    own = scan.of_repeats(known={name: paths[name] for name in ("transit_time", "t1")}, outliers={"rules": []})
    assert np.array_equal(plain, own)


def test_the_order_of_a_time_encoded_scan_is_judged_with_its_t1_of_tissue():
    """White matter's short T1 bends the curve of its blocks as no transit time with the T1 of blood does."""
    matrix, durations = coded.hadamard(8), [0.5] * 7
    delays = coded.delays(durations, 0.2)
    curve = [convolved(40, 1.0, 0.5, 0.5 + delay, 0.6, lambda s: np.exp(-1.0 / T1_BLOOD) + 0 * s) for delay in delays]
    volumes = np.tile(coded.volumes(matrix, np.array(curve), 1.0), (1, 1, 1))
    own = timing.Timing(np.zeros(1, dtype=int), delays[::-1], np.array(durations), np.zeros(1))
    constants = timing.Constants(False, EFFICIENCY, T1_BLOOD, PARTITION)
    left = [
        encoding_check.check(volumes, np.zeros(1), matrix, own, constants, 3.0, t1).stated.unexplained
        for t1 in (None, np.array([0.6]))
    ]
    assert left[1] < 1e-9
    assert left[0] > 0.01


ROWS = re.findall(r"^\| ([\d.]+) \| ([\d.]+) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", DOCUMENT, re.MULTILINE)


@pytest.mark.parametrize("row", ROWS)
def test_the_table_of_the_documentation_is_the_models(row):
    t1, att = map(float, row[:2])
    data = np.array([[signal("PCASL", 60, att, delay, t1) for delay in DELAYS]])
    constants = {"labeling_efficiency": EFFICIENCY, "t1_blood": T1_BLOOD, "partition_coefficient": PARTITION}
    for cell, known in zip(row[2:], (None, t1, t1 - 0.1, t1 + 0.1)):
        found = kinetic_models.fit(data, DELAYS, kind="continuous", bolus=DURATION, t1_tissue=known, **constants)
        cbf, time = map(float, cell.split(", "))
        assert found.cbf[0] == pytest.approx(cbf, abs=0.051)
        assert found.att[0] == pytest.approx(time, abs=0.0051)


def test_the_documentation_has_its_table():
    assert len(ROWS) == 8
