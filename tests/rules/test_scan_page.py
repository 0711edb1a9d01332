"""The script that writes the page of a scan, on small made-up scans of every kind."""

import re
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import scanned
from loading import script
from parsed_page import Parsed
from pharmasl.files import tables
from pharmasl.perfusion.slice_signal import SliceSignal
from pharmasl.report.scans import unwarped
from pharmasl.space import transforms
from pharmasl.study import settings
from pharmasl.study.labels import NAMES


def page(folder, *, assumed=False, bands=None, acquisition=None, **changes):
    files = scanned.write(folder, **changes)
    types = changes.get("types", scanned.PAIRS)
    return written(folder, files, assumed=assumed, bands=bands, acquisition=acquisition or scanned.acquisition(types))


def written(folder, files, *, assumed=False, bands=None, acquisition=None, distorted=None):
    """The page of the script."""
    params = SimpleNamespace(
        acquisition=acquisition or scanned.acquisition(),
        interpolation="cubic",
        bands=bands or {},
        assumed=assumed,
        distorted=distorted,
        labels=settings.plain(NAMES),
    )
    output = SimpleNamespace(page=folder / "page.html")
    script("scan_page").main(SimpleNamespace(input=SimpleNamespace(**asdict(files)), output=output, params=params))
    return Parsed(output.page)


def test_the_page_shows_everything_of_a_scan_and_asks_for_nothing(tmp_path):
    own = page(tmp_path)
    for words in (
        "sub-01, session T1, rest",
        "Used: every measure is within its band",
        "CBF on the scan's own grid",
        "CBF on the template",
        "Scan on the T1w",
        "T1w on the template",
        "Framewise displacement (mm)",
        "M0 The equilibrium magnetisation",
        "Mean control",
        "deltaM Control minus label",
        "9 volumes (1 M0, 4 control and 4 label)",
        "PostLabelingDelay of",
        "No repeat was left out.",
    ):
        assert words in own.text.replace("  ", " ") or re.search(words.replace(" ", ".*"), own.text), words
    addresses = [
        attributes.get("href") or attributes.get("src")
        for tag, attributes in own.elements
        if tag in ("image", "img", "link", "script", "a")
    ]
    links = [address for address in addresses if address and not address.startswith(("data:", "#"))]
    assert links == ["../index.html", f"index.html#{scanned.NAME}"]
    assert "://" not in own.source
    assert "jane" not in own.source
    assert "/home" not in own.source
    assert len(own.source) < 600_000


def test_same_input_same_bytes(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert page(tmp_path / "a").source == page(tmp_path / "b").source


def test_every_group_of_slices_has_words_and_outlines_that_are_there(tmp_path):
    own = page(tmp_path)
    groups = [attributes for _, attributes in own.elements if attributes.get("role") == "img"]
    assert len(groups) >= 10
    assert all(len(attributes["aria-label"]) > 15 for attributes in groups)
    names = {attributes.get("id") for _, attributes in own.elements}
    used = {attributes["href"][1:] for tag, attributes in own.elements if tag == "use"}
    assert used
    assert used <= names


@pytest.mark.parametrize(
    ("types", "there", "absent"),
    [
        (["deltam"] * 4, ["deltaM"], ["Mean control", "Mean label"]),
        (["cbf"] * 3, ["3 CBF"], ["Mean control", "deltaM Control"]),
        (["cbf"], ["nothing to compare over time"], ["change from the mean of its kind"]),
        (["control", "label"], ["nothing to compare over time"], ["M0 The equilibrium"]),
    ],
)
def test_series_of_every_kind(tmp_path, types, there, absent):
    text = page(tmp_path, types=types).text
    assert all(words in text for words in there)
    assert not any(words in text for words in absent)


def test_several_delays_show_each_and_the_transit_time(tmp_path):
    types = ["m0scan"] + ["control", "label"] * 4
    delays = [None, *(delay for delay in (1.0, 1.0, 2.0, 2.0) for _ in range(2))]
    known = scanned.acquisition(types, delay=delays)
    text = page(tmp_path, types=types, delays=[1.0, 1.0, 2.0, 2.0], att=True, acquisition=known).text
    for words in ("Arterial transit time", "deltaM at each delay", "deltaM in grey matter by delay", "1, 2 s"):
        assert words in text


def test_a_separate_m0_and_an_assumed_anatomy(tmp_path):
    text = page(tmp_path, types=["control", "label"] * 3, m0=True, assumed=True).text
    assert "M0 L R" in text
    assert "There is no T1-weighted image" in text
    assert "Scan on the template" in text
    assert "T1w on the template" not in text


DISTORTED = {"series": {"direction": "j", "readout_time": 0.025}, "m0": None}
PAIR = {"Images": ["a_epi.nii.gz", "b_epi.nii.gz"], "Movement": 1.24, "Gain": 1.3, "GainDifference": 0.04}


def test_a_pair_of_opposed_images_is_described_with_its_movement_and_gain(tmp_path):
    files = scanned.with_field(tmp_path, scanned.write(tmp_path), PAIR | {"Difference": [0.31, 0.082]})
    text = written(tmp_path, files, distorted=DISTORTED).text
    for words in (
        "a_epi.nii.gz and b_epi.nii.gz",
        "1.2 mm, but for that along the phase encoding",
        "1.30, by 4 % unlike over the head",
        "31 % of their signal as acquired, 8 % corrected",
        "0.200 at 0.5, 0.210 at 1",
        "not confirmed",
        "White: the brain of the scan corrected",
        "by the registration; headers and registration are 2.1 mm apart, unexplained 0.250 by the headers and 0.210",
    ):
        assert words in text, words


def test_a_scan_without_field_has_no_distortion_on_its_page(tmp_path):
    assert "Distortion" not in page(tmp_path).text


@pytest.mark.parametrize(("image", "level"), [("M0", 500), ("control", 100)])
@pytest.mark.parametrize("separate", [False, True])
def test_before_and_after_are_the_same_image_of_the_same_head(tmp_path, image, level, separate):
    """The image by which the scan was registered, with the movement of its volumes, by nothing but the distortion apart."""
    types = ["control", "label"] * 4 if separate else scanned.PAIRS
    files = scanned.with_field(tmp_path, scanned.write(tmp_path, types=types, m0=separate))
    record = {**tables.read_json(files.registration), "Image": image}
    tables.write_json(files.registration, record)
    aside = transforms.rigid_matrix((4, 0, 0), (0, 0, 0), (0, 0, 0))
    for path, number in ((files.motion, len(types)), (files.m0_motion, 2 if separate else 1)):
        transforms.write_affines(path, [aside] * number)
    before = unwarped.as_acquired(files, scanned.acquisition(types), image)
    assert np.allclose(before.affine, scanned.AFFINE)
    inner = before.data[6:13, 6:18, 2:6]
    assert np.mean(inner) == pytest.approx(level, rel=0.02)
    # Points of the reference lie 4 mm, a voxel, further to the left of this image, whose first axis runs to the left.
    filled = before.data[:, 12, 4] > level / 2
    assert np.flatnonzero(filled).min() == 5
    assert np.flatnonzero(filled).max() == 16


def test_repeats_left_out_are_hatched_and_listed(tmp_path):
    own = page(tmp_path, passed=[1, 0, 1, 1])
    assert "Repeats left out (hatched above) Repeat Why 2 motion: 2 mm" in own.text
    # In the carpet, the displacement and DVARS: control and label as one stretch of the nine volumes.
    hatched = [attributes for tag, attributes in own.elements if tag == "rect" and attributes["class"] == "out"]
    assert [(float(own["x"]), float(own["width"])) for own in hatched] == [(333.3, 222.2)] * 3


def test_slices_out_of_line_are_shown_and_listed(tmp_path):
    change = np.zeros((9, 4))
    change[[2, 2, 5], [1, 2, 3]] = -20, -30, 8
    change[:, 0] = np.nan  # little brain
    for name in "abc":
        (tmp_path / name).mkdir()
    own = page(tmp_path / "a", slices=SliceSignal(change, np.abs(np.nan_to_num(change)) > 3))
    assert "Signal of each slice of the raw volumes" in own.text
    assert "Slices out of line; those read at once are joined Volume Slices 3 2, 3 6 4" in own.text
    assert "Change of the signal of 3 slices over 9 volumes" in own.source
    calm = page(tmp_path / "b", slices=SliceSignal(np.zeros((9, 4)), np.zeros((9, 4), dtype=bool)))
    assert "No slice is out of line." in calm.text
    assert "slice" not in page(tmp_path / "c").text.split("Over time")[1].split("Repeats")[0]


def test_an_excluded_scan_says_why_and_how_to_overrule(tmp_path):
    row = scanned.quality_row(
        usable="no",
        exclusion_reason="M0 <dark>; few repeats",
        flags="fd_mean:high,template_correlation:missing",
        fd_mean=0.9,
        template_correlation=None,
    )
    own = page(tmp_path, row=row)
    assert "Excluded M0 <dark> few repeats" in own.text
    assert "M0 <dark>" not in own.source
    assert f"accept_scans: {scanned.NAME}:" in own.text
    assert "0.90 mm (high) at most 0.5 mm" in own.text
    assert "The head moved throughout." in own.text
    assert "n/a (missing) at least 0.3" in own.text
    nothing = scanned.quality_row(usable="no", exclusion_reason="no CBF is known in grey matter", gm_cbf=None)
    nothing["implausible"] = nothing["exclusion_reason"]
    own = page(tmp_path, row=nothing)
    assert "nobody can accept it" in own.text
    assert "accept_scans" not in own.text


def test_a_scan_accepted_by_hand_says_what_was_overruled(tmp_path):
    row = scanned.quality_row(accepted_by_hand="seen", overruled="M0 dark")
    text = page(tmp_path, row=row).text
    assert "Used, accepted by hand: seen overruled: M0 dark" in text


def test_a_band_of_the_configuration_is_named_as_such(tmp_path):
    text = page(tmp_path, bands={"fd_mean": [None, 0.3]}).text
    assert "0.20 mm at most 0.3 mm the configuration" in text


def test_blocks_are_shown_as_they_were_modelled(tmp_path):
    """Five volumes, one of them left out, of two conditions that alternate."""
    rows = [
        {"volume": k, "readout": 4 * k, "sign": 0.5, "smoking": k % 2, "neutral": 1 - k % 2, "left_out": None}
        for k in range(1, 6)
    ]
    rows[2]["left_out"] = "motion: 3 mm"
    tables.write_table(tmp_path / "design.tsv", rows, dict.fromkeys(rows[0], "made up"))
    record = {
        "Conditions": ["smoking", "neutral"],
        "Blocks": [
            {"Condition": condition, "Onset": 10 * k, "Duration": 10}
            for k, condition in enumerate(["smoking", "neutral"] * 3)
        ],
        "BlocksFrom": "cues.tsv",
        "Response": {"MeanDelay": 6},
        "Columns": ["perfusion", "motion 1"],
        "Volumes": 5,
        "DegreesOfFreedom": 3,
        "MeanBrainCBF": {"smoking": 41.26, "neutral": 40.0},
    }
    tables.write_json(tmp_path / "blocks.json", record)
    files = replace(scanned.write(tmp_path), blocks=[tmp_path / "design.tsv", tmp_path / "blocks.json"])
    own = written(tmp_path, files)
    for words in (
        "3 blocks of smoking (10 s) and 3 blocks of neutral (10 s) alternate in this scan, by cues.tsv",
        "1 volume left out",
        "3 degrees of freedom",
        "smoking 41.3 and neutral 40.0",
    ):
        assert words in own.text, own.text
    assert "Response to each condition" in own.text
    assert "alternate" not in page(tmp_path).text
