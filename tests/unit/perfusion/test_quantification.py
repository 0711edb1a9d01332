"""Quantification of images whose CBF is known at every point, through transforms that differ from one another."""

from pathlib import Path

import head
import numpy as np
import pytest
from loading import shared_data
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.perfusion import kinetics
from pharmasl.space import images, transforms
from quantified import ASL, M0, TEMPLATE, TO_ASL, Files, difference, warp

MOTION = [transforms.rigid_matrix((t, -0.7 * t, 0.4 * t), (0.01 * t, 0, -0.01 * t), (0, 0, 10)) for t in range(6)]


def test_every_transform_is_applied_once_in_its_direction(tmp_path):
    files = Files(tmp_path, motion=MOTION)
    made = files.quantify()
    factor = kinetics.continuous(1.8, 1.8, 0.85, 1.65, 0.9) / 1000
    found, affine = images.load(made["template_cbf"])
    assert np.array_equal(affine, TEMPLATE.affine)
    # Interpolation of a linear signal is exact but for single precision: of deltaM of 10 on a signal of 1000.
    assert found[files.mask] == pytest.approx(factor * files.expected()[files.mask], abs=0.02)
    assert np.all(found[~files.mask] == 0)
    coverage, _ = images.load(made["coverage"])
    assert np.array_equal(coverage > 0, files.mask)
    native, _ = images.load(made["cbf"])
    brain, _ = images.load(made["brain_mask"])
    inner = np.zeros(brain.shape, dtype=bool)
    inner[5:-5, 5:-5, 4:-4] = brain[5:-5, 5:-5, 4:-4] > 0
    assert inner.sum() > 1000
    assert native[inner] == pytest.approx(factor * difference(transforms.points(ASL))[inner], abs=0.02)
    assert np.all(native[brain == 0] == 0)
    series = files.realigned()
    assert series[inner, 2] == pytest.approx(1000 - difference(transforms.points(ASL))[inner], abs=2e-3)
    pairs = files.of_repeats()
    assert pairs.shape == (*ASL.shape, 2)
    assert pairs[inner].mean(axis=1) == pytest.approx(native[inner], abs=1e-3)
    # Without the motion, the template map would be off by more than the tolerance.
    transforms.write_affines(files.path("motion", ".txt"), [np.eye(4)] * 6)
    wrong, _ = images.load(files.quantify()["template_cbf"])
    assert np.abs(wrong - found)[files.mask].max() > 0.2


@pytest.mark.parametrize("order", [(2, 0, 1), (0, 2, 1)])
def test_slices_stored_along_another_axis_are_timed_alike(tmp_path, order):
    timing = [0.0335 * z for z in range(ASL.shape[2])]
    files = Files(tmp_path, acquisition={"slice_timing": timing})
    expected, _ = images.load(files.quantify()["template_cbf"])
    series, affine = images.load(files.path("asl"))
    images.save(files.path("asl"), series.transpose(*order, 3), affine[:, [*order, 3]])
    files.acquisition["slice_axis"] = order.index(2)
    again, _ = images.load(files.quantify()["template_cbf"])
    # Single precision of a difference of 10 on a signal of 1000, summed in another order.
    assert again == pytest.approx(expected, rel=2e-5, abs=1e-4)
    assert np.ptp(expected[files.mask]) > 5


def test_slice_timing_follows_the_slice_a_point_lies_in(tmp_path):
    timing = [0.0335 * z for z in range(ASL.shape[2])]
    files = Files(tmp_path, acquisition={"slice_timing": timing})
    made = files.quantify()
    in_asl = transforms.apply(TO_ASL, warp(transforms.points(TEMPLATE)))
    height = transforms.apply(np.linalg.inv(ASL.affine), in_asl)[..., 2]
    factor = kinetics.continuous(1.8 + 0.0335 * height, 1.8, 0.85, 1.65, 0.9) / 1000
    found, _ = images.load(made["template_cbf"])
    assert found[files.mask] == pytest.approx((factor * files.expected())[files.mask], abs=0.02)
    native, _ = images.load(made["cbf"])
    brain = images.load(made["brain_mask"])[0] > 0
    delays = 1.8 + 0.0335 * np.arange(ASL.shape[2])
    factor = kinetics.continuous(delays, 1.8, 0.85, 1.65, 0.9) / 1000
    assert native[brain] == pytest.approx((factor * difference(transforms.points(ASL)))[brain], abs=0.02)


def test_slice_timing_of_zeros_is_none(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = Files(tmp_path / "a", acquisition={"slice_timing": [0.0] * ASL.shape[2]}).quantify()
    two = Files(tmp_path / "b").quantify()
    assert np.array_equal(images.load(one["cbf"])[0], images.load(two["cbf"])[0])


def test_pulsed_labelling(tmp_path):
    change = {
        "labeling_type": "PASL",
        "labeling_duration": None,
        "bolus_cutoff_delay": 0.7,
        "labeling_efficiency": 0.98,
    }
    files = Files(tmp_path, acquisition={**change, "bolus_cutoff_technique": "QUIPSSII"})
    found, _ = images.load(files.quantify()["template_cbf"])
    factor = kinetics.pulsed(1.8, 0.7, 0.98, 1.65, 0.9) / 1000
    assert found[files.mask] == pytest.approx(factor * files.expected()[files.mask], abs=0.02)


def test_m0_of_each_source_and_its_recovery(tmp_path):
    factor = kinetics.continuous(1.8, 1.8, 0.85, 1.65, 0.9)

    def scale(name, m0=M0, files=None, **acquisition):
        (tmp_path / name).mkdir()
        files = files or Files(tmp_path / name, acquisition=acquisition)
        made = files.quantify(m0)
        found, _ = images.load(made["template_cbf"])
        return np.median(found[files.mask] / (factor * files.expected()[files.mask])), tables.read_json(made["sidecar"])

    recover = {"t1_recovery": True, "smoothing_fwhm": 5.0}
    ratio, record = scale("included", recover)
    assert ratio == pytest.approx((1 - np.exp(-6.0 / 1.607)) / 1000, rel=1e-4)
    assert record["M0"]["T1RecoveryFactor"] == pytest.approx(1 / (1 - np.exp(-6.0 / 1.607)))
    assert scale("control", recover, m0_type="Absent")[0] == pytest.approx((1 - np.exp(-4.0 / 1.607)) / 1000, rel=1e-4)
    assert scale("estimate", recover, m0_type="Estimate", m0_estimate=800.0)[0] == pytest.approx(1 / 800, rel=1e-4)
    # A separate image, on a grid of its own, 5 mm off: constant along z, so that 10 percent along x tell its transform.
    (tmp_path / "files").mkdir()
    grid = head.centred((60, 60, 40), (3.0, 3.5, 4.0))
    images.save(tmp_path / "m0.nii.gz", 1000 + 2 * transforms.points(grid)[..., 0], grid.affine)
    files = Files(tmp_path / "files", acquisition={"m0_type": "Separate"}, m0=[str(tmp_path / "m0.nii.gz")])
    transforms.write_affines(files.path("m0_motion", ".txt"), transforms.rigid_matrix((5, 0, 0), (0, 0, 0), (0, 0, 0)))
    found, _ = images.load(files.quantify()["template_cbf"])
    m0 = 1000 + 2 * (transforms.apply(TO_ASL, warp(transforms.points(TEMPLATE)))[..., 0] + 5)
    assert found[files.mask] == pytest.approx((factor * files.expected() / m0)[files.mask], abs=0.02)


def test_standard_error_is_that_of_the_mean_over_pairs(tmp_path):
    types = ["m0scan"] + ["control", "label"] * 4
    deltas = [8.0, 9.0, 11.0, 16.0]
    flat = [np.full(ASL.shape, 1000.0)]
    for delta in deltas:
        flat += [np.full(ASL.shape, 1000.0), np.full(ASL.shape, 1000.0 - delta)]
    files = Files(tmp_path, acquisition={"volume_types": types}, volumes=flat)
    made = files.quantify()
    factor = kinetics.continuous(1.8, 1.8, 0.85, 1.65, 0.9) / 1000
    error, _ = images.load(made["error"])
    assert error[files.mask] == pytest.approx(factor * np.std(deltas, ddof=1) / 2, rel=1e-4)
    smooth, _ = images.load(made["smooth"])
    assert smooth[files.mask] == pytest.approx(factor * np.mean(deltas), rel=1e-4)


def test_a_single_pair_has_no_error_of_zero(tmp_path):
    files = Files(tmp_path, acquisition={"volume_types": ["control", "label"], "m0_type": "Absent"})
    made = files.quantify()
    error, _ = images.load(made["error"])
    assert np.isnan(error[files.mask]).all()
    assert np.all(error[~files.mask] == 0)
    assert (images.load(made["cbf"])[0] > 50).any()


def test_label_first_and_deltam_series_give_the_same_map(tmp_path):
    found = []
    for name, types, kind in (
        ("a", ["m0scan", "control", "label"], {}),
        ("b", ["m0scan", "label", "control"], {}),
        ("c", ["m0scan", "deltam", "deltam"], {}),
    ):
        (tmp_path / name).mkdir()
        files = Files(tmp_path / name, acquisition={"volume_types": types, **kind})
        found.append(images.load(files.quantify()["template_cbf"])[0])
    assert found[1] == pytest.approx(found[0], abs=1e-3)
    assert found[2] == pytest.approx(found[0], abs=0.02)


def test_a_scanners_cbf_is_taken_as_it_is(tmp_path):
    volumes = [40 + difference(transforms.points(ASL))] * 2
    files = Files(tmp_path, acquisition={"volume_types": ["cbf", "cbf"], "m0_type": None}, volumes=volumes)
    made = files.quantify()
    assert images.load(made["template_cbf"])[0][files.mask] == pytest.approx(
        40 + files.expected()[files.mask], abs=1e-3
    )
    assert tables.read_json(made["sidecar"])["Constants"] == {}


def test_voxels_beyond_the_field_of_view_are_not_covered(tmp_path):
    # The head of the second pair has left the slab upwards by three slices.
    away = transforms.rigid_matrix((0, 0, 65.0), (0, 0, 0), (0, 0, 0))
    types = ["m0scan"] + ["control", "label"] * 3
    volumes = [np.full(ASL.shape, 1000.0 - 10 * (kind == "label")) for kind in types]
    files = Files(tmp_path, [np.eye(4)] * 5 + [away] * 2, {"volume_types": types}, volumes)
    made = files.quantify(outliers={"rules": []})
    coverage = images.load(made["coverage"])[0] > 0
    assert np.array_equal(coverage, files.mask)  # two of three pairs reach every voxel
    transforms.write_affines(files.path("motion", ".txt"), [np.eye(4)] * 3 + [away] * 4)
    made = files.quantify(outliers={"rules": []})
    fewer = images.load(made["coverage"])[0] > 0
    height = transforms.apply(TO_ASL, warp(transforms.points(TEMPLATE)))[..., 2] + 65
    reached = height <= ASL.affine[2, 3] + (ASL.shape[2] - 0.5) * ASL.affine[2, 2]
    assert 0 < fewer.sum() < files.mask.sum()
    assert np.array_equal(fewer, files.mask & reached)
    cbf, _ = images.load(made["template_cbf"])
    assert np.all(cbf[~fewer] == 0)
    assert tables.read_json(made["sidecar"])["TemplateCoverage"] == pytest.approx(fewer.sum() / files.mask.sum())


def test_a_field_on_a_finer_grid_is_interpolated(tmp_path):
    files = Files(tmp_path)
    fine = head.centred((47, 51, 43), (2.0, 2.0, 2.0), shift=(0, 0, 0))
    transforms.write_field(files.path("forward"), warp(transforms.points(fine)), fine.affine)
    found, _ = images.load(files.quantify()["template_cbf"])
    factor = kinetics.continuous(1.8, 1.8, 0.85, 1.65, 0.9) / 1000
    # The field's curvature over a voxel of 2 mm is worth 0.25 micrometres.
    assert found[files.mask] == pytest.approx(factor * files.expected()[files.mask], abs=0.02)


def test_linear_interpolation_returns_linear_signals_and_says_so(tmp_path):
    files = Files(tmp_path, motion=MOTION)
    made = files.quantify(interpolation="linear")
    factor = kinetics.continuous(1.8, 1.8, 0.85, 1.65, 0.9) / 1000
    found, _ = images.load(made["template_cbf"])
    assert found[files.mask] == pytest.approx(factor * files.expected()[files.mask], abs=0.02)
    assert np.array_equal(images.load(made["coverage"])[0] > 0, files.mask)
    linear = tables.read_json(made["sidecar"])["Resampling"]
    cubic = tables.read_json(files.quantify()["sidecar"])["Resampling"]
    assert "trilinear" in linear
    assert "cubic B-spline" in cubic


def test_linear_interpolation_is_linear_between_voxels(tmp_path):
    """An edge along x, read between its voxels: a straight line, where a cubic spline swings over it."""
    types = ["m0scan", "control", "label"]
    place = transforms.points(ASL)[..., 0]
    # deltaM is 0 left of the middle and 20 right of it.
    middle = 0.5 * (place[14, 0, 0] + place[15, 0, 0])
    volumes = [np.full(ASL.shape, 1000.0), np.full(ASL.shape, 1000.0), 1000.0 - 20 * (place > middle)]
    files = Files(tmp_path, acquisition={"volume_types": types}, volumes=volumes)
    factor = kinetics.continuous(1.8, 1.8, 0.85, 1.65, 0.9) / 1000
    x = transforms.apply(TO_ASL, warp(transforms.points(TEMPLATE)))[..., 0]
    edge = 20 * np.clip((x - place[14, 0, 0]) / 4, 0, 1)
    linear, _ = images.load(files.quantify(interpolation="linear")["template_cbf"])
    assert linear[files.mask] == pytest.approx(factor * edge[files.mask], abs=0.05)
    cubic, _ = images.load(files.quantify()["template_cbf"])
    assert cubic[files.mask].min() < -0.05 * factor * 20


def test_sidecar_names_every_constant_and_its_source(tmp_path):
    files = Files(tmp_path, acquisition={"volume_types": ["m0scan", "control", "label", "control"]})
    record = tables.read_json(files.quantify()["sidecar"])
    for name in (
        "labeling_duration",
        "post_labeling_delay",
        "labeling_efficiency",
        "t1_blood",
        "partition_coefficient",
    ):
        assert name in record["Equation"]
        assert set(record["Constants"][name]) == {"Value", "Unit", "Field", "Source"}
    assert record["Constants"]["labeling_efficiency"]["Source"] == "default for PCASL (Alsop 2015)"
    assert record["NumberOfRepeats"] == record["NumberOfRepeatsUsed"] == 1
    assert record["UnpairedVolumes"] == [3]
    assert record["Units"] == "mL/100 g/min"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"volume_types": ["control", "label"]}, "number of volumes"),
        ({"m0_repetition_time": 0}, "RepetitionTimePreparation of the M0 image"),
        ({"m0_type": "Absent", "background_suppression": True}, "M0Type"),
        ({"labeling_duration": None}, "LabelingDuration"),
        ({"slice_timing": [0.0, 0.1]}, "SliceTiming"),
    ],
)
def test_faults_leave_nothing_written(tmp_path, change, field):
    files = Files(tmp_path)
    files.acquisition |= change
    with pytest.raises(InputError) as error:
        files.quantify({"t1_recovery": True, "smoothing_fwhm": 5.0})
    assert error.value.field == field
    assert not list(tmp_path.glob("out_*"))


def test_the_same_input_gives_the_same_bytes(tmp_path):
    files = Files(tmp_path, motion=MOTION)
    made = files.quantify()
    before = {name: Path(path).read_bytes() for name, path in made.items()}
    assert {name: Path(path).read_bytes() for name, path in files.quantify().items()} == before


@pytest.mark.parametrize(("subject", "grey", "white"), [("matched", 56.9, 19.9), ("gkm", 45.9, 9.4)])
def test_asldro_reference_object(tmp_path, subject, grey, white):
    # T1 equal to blood's: the formula returns the truth, less what the volume of a voxel mixes in. The full kinetic
    # model: it is biased, by as much as that of the object's own documentation.
    root = shared_data("data", "asldro-hrgt")
    series = root / f"sub-{subject}" / "perf" / f"sub-{subject}_asl.nii.gz"
    folder = root / "derivatives" / "groundtruth" / f"sub-{subject}" / "perf"
    labels, affine = images.load(folder / f"sub-{subject}_space-asl_desc-truth_dseg.nii.gz")
    truth, _ = images.load(folder / f"sub-{subject}_space-asl_desc-truth_cbf.nii.gz")
    data, _ = images.load(series)
    grid = images.Grid(labels.shape, affine)
    rows = tables.read_table(series.with_name(f"sub-{subject}_aslcontext.tsv"))
    files = Files(
        tmp_path, acquisition={"volume_types": [row["volume_type"] for row in rows]}, volumes=[np.zeros(ASL.shape)]
    )
    images.save(files.path("asl"), data, affine)
    transforms.write_affines(files.path("motion", ".txt"), [np.eye(4)] * data.shape[3])
    transforms.write_affines(files.path("coregistration", ".txt"), np.eye(4))
    transforms.write_field(files.path("forward"), transforms.points(grid), affine)
    for name, image in (("gm", labels == 1), ("wm", labels == 2), ("csf", labels == 3), ("mask", labels > 0)):
        images.save(files.path(name), image, affine)
    for name in ("reference", "template_mask"):
        images.save(files.path(name), labels > 0, affine)
    made = files.quantify(outliers={"rules": []})
    native, template = images.load(made["cbf"])[0], images.load(made["template_cbf"])[0]
    assert template == pytest.approx(native, abs=1e-2)
    assert native[(labels == 1) & (truth > 59)].mean() == pytest.approx(grey, abs=0.06)
    assert native[(labels == 2) & (np.abs(truth - 20) < 0.5)].mean() == pytest.approx(white, abs=0.06)
