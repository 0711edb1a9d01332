"""The scripts align_perfusion and quantify_perfusion on a rendered head with planted motion, pose and CBF."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import head
import numpy as np
import planted_epi
import pytest
import quantified
from loading import script
from perfusion_settings import perfusion
from pharmasl.files import tables
from pharmasl.perfusion import kinetics, quantification
from pharmasl.space import images, transforms

T1W = head.centred((70, 84, 62), (2.4, 2.4, 2.4), shift=(2, 5, -3))
ASL = head.centred((36, 42, 17), (4.2, 4.2, 6.0), shift=(-2, 4, 6))
TEMPLATE = head.centred((36, 42, 30), (4.0, 4.0, 4.0))
TO_T1W = transforms.rigid_matrix((6, -9, 14), (0.12, -0.05, 0.06), (0, 0, 0))  # points of the still head to the T1w's
PLAIN = np.array([900.0, 720.0, 1250.0, 450.0])
SUPPRESSED = np.array([170.0, 60.0, 400.0, 120.0])
CBF = np.array([60.0, 20.0, 0.0, 0.0])
POSES = [
    transforms.rigid_matrix(move, turn, (0, 0, 0))
    for move, turn in [
        ((0.4, 0.2, -0.3), (0.005, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((0.1, -0.1, 0.2), (0, 0.002, 0)),
        ((0.5, -0.3, 0.8), (0.012, 0.004, 0)),
        ((0.6, -0.4, 0.7), (0.015, 0, -0.01)),
    ]
]
PATHS = [field.name for field in dataclasses.fields(quantification.Outputs) if "att" not in field.name]
ACQUISITION = {
    **quantified.ACQUISITION,
    "volume_types": ["m0scan", "control", "label", "label", "control"],
    "sources": {},
}


@pytest.fixture(scope="module")
def tissues():
    """Tissue shares of the head in each pose, as the perfusion scan sees them: slow to render, so once."""
    return [head.scan(ASL, pose) for pose in POSES]


@pytest.fixture(scope="module")
def anatomy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("anatomy")
    shares = head.render(T1W, np.linalg.inv(TO_T1W))
    for number, name in enumerate(("gm", "wm", "csf")):
        images.save(folder / f"{name}.nii.gz", shares[..., number], T1W.affine)
    images.save(folder / "mask.nii.gz", shares[..., :3].sum(axis=3) > 0.5, T1W.affine, dtype=np.uint8)
    points = transforms.points(TEMPLATE)
    transforms.write_field(folder / "forward.nii.gz", transforms.apply(TO_T1W, points), TEMPLATE.affine)
    mask = head.render(TEMPLATE)[..., :3].sum(axis=3) > 0.5
    images.save(folder / "template_mask.nii.gz", mask, TEMPLATE.affine, dtype=np.uint8)
    return folder


def series(tissues, signal, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    factor = kinetics.continuous(1.8, 1.8, 0.85, 1.65, 0.9)
    out = []
    for kind, tissue in zip(ACQUISITION["volume_types"], tissues):
        level = PLAIN if kind == "m0scan" else signal - (CBF / factor * PLAIN if kind == "label" else 0)
        out.append(tissue @ level + rng.normal(0, noise, ASL.shape))
    return np.stack(out, axis=3)


def run(folder, anatomy, asl, m0=(), correct=True, field=(), distorted=None, **change):
    """Both scripts in turn; returns their outputs."""
    images.save(folder / "asl.nii.gz", asl, ASL.affine)
    acquisition = {**ACQUISITION, **change}
    maps = {name: str(anatomy / f"{name}.nii.gz") for name in ("gm", "wm", "csf")}
    given = {"asl": str(folder / "asl.nii.gz"), "m0": [str(path) for path in m0]}
    given |= {"later_echoes": [], "field": list(field)}
    suffixes = {"aslref": ".nii.gz", "confounds": ".tsv", "registration": ".json"}
    aligned = {
        name: str(folder / f"{name}{suffixes.get(name, '.txt')}")
        for name in ("motion", "m0_motion", "coregistration", "registration", "aslref", "confounds")
    }
    script("align_perfusion").main(
        SimpleNamespace(
            input=SimpleNamespace(**given, **maps),
            output=SimpleNamespace(**aligned),
            params=SimpleNamespace(acquisition=acquisition, affine=False, correct=correct, distorted=distorted),
        )
    )
    quantify = script("quantify_perfusion")
    made = {name: str(folder / f"out_{name}.nii.gz") for name in PATHS}
    made |= {"sidecar": str(folder / "cbf.json"), "repeats": str(folder / "repeats.tsv")}
    others = {name: str(anatomy / f"{name}.nii.gz") for name in ("forward", "mask", "template_mask")}
    xfms = {name: aligned[name] for name in ("motion", "m0_motion", "coregistration", "confounds")}
    quantify.main(
        SimpleNamespace(
            input=SimpleNamespace(**given, **maps, **others, **xfms, reference=others["template_mask"]),
            output=SimpleNamespace(**made),
            params=SimpleNamespace(
                acquisition=acquisition,
                settings=perfusion(m0={"t1_recovery": False, "smoothing_fwhm": 0.0}),
                distorted=distorted,
            ),
        )
    )
    return SimpleNamespace(**aligned), SimpleNamespace(**made)


def pose_errors(aligned):
    """Distance of each volume's whole chain, template to volume, from the planted one, mm."""
    motion = transforms.read_affines(aligned.motion)
    to_asl = transforms.read_affines(aligned.coregistration)[0]
    # A point of the still head lies at the inverse of its pose in a volume.
    return [head.distance(matrix @ to_asl @ TO_T1W, np.linalg.inv(pose)) for matrix, pose in zip(motion, POSES)]


def tissue_means(made):
    """CBF of grey and white matter on the template, by regression on the known shares."""
    cbf, _ = images.load(made.template_cbf)
    covered = images.load(made.coverage)[0] > 0
    shares = head.scan(TEMPLATE)[covered][:, :3]
    return np.linalg.lstsq(shares, cbf[covered], rcond=None)[0]


def test_unsuppressed_series_with_included_m0(tmp_path, anatomy, tissues):
    aligned, made = run(tmp_path, anatomy, series(tissues, PLAIN))
    assert max(pose_errors(aligned)) < 0.5
    motion = transforms.read_affines(aligned.motion)
    planted = [np.linalg.inv(pose) @ POSES[1] for pose in POSES]
    relative = [head.distance(m @ np.linalg.inv(motion[1]), p) for m, p in zip(motion, planted)]
    assert max(relative) < 0.1
    grey, white, _ = tissue_means(made)
    assert grey == pytest.approx(60, abs=4)
    assert white == pytest.approx(20, abs=4)
    rows = tables.read_table(aligned.confounds)
    assert len(rows) == 5
    # Neither M0 nor the first control has a volume before it.
    assert rows[0]["framewise_displacement"] is None
    assert rows[1]["framewise_displacement"] is None
    assert float(rows[2]["framewise_displacement"]) < 1
    assert float(rows[3]["framewise_displacement"]) > 1
    reference, affine = images.load(aligned.aslref)
    assert reference.shape == ASL.shape
    assert affine == pytest.approx(ASL.affine, rel=1e-6)
    # The first run's bytes are those of any other.
    before = {path: Path(path).read_bytes() for path in [*vars(aligned).values(), *vars(made).values()]}
    run(tmp_path, anatomy, series(tissues, PLAIN))
    assert {path: Path(path).read_bytes() for path in before} == before


@pytest.mark.parametrize("noise", [0.3, 25.0], ids=["clear", "noisy"])
def test_suppressed_series_with_separate_m0_of_its_own_grid(tmp_path, anatomy, tissues, noise):
    grid = head.centred((30, 36, 22), (5.0, 5.0, 5.0), shift=(0, 0, 4))
    moved = transforms.rigid_matrix((8, -6, 5), (0.1, 0.06, 0), (0, 0, 0))
    images.save(tmp_path / "m0.nii.gz", np.stack([head.scan(grid, moved) @ PLAIN] * 2, axis=3), grid.affine)
    change = {
        "m0_type": "Separate",
        "background_suppression": True,
        "volume_types": ["n/a", *ACQUISITION["volume_types"][1:]],
    }
    asl = series(tissues, SUPPRESSED, noise)
    aligned, made = run(tmp_path, anatomy, asl, [tmp_path / "m0.nii.gz"], **change)
    assert max(pose_errors(aligned)[1:]) < 0.5
    m0 = transforms.read_affines(aligned.m0_motion)
    assert len(m0) == 2
    to_asl = transforms.read_affines(aligned.coregistration)[0]
    assert head.distance(m0[0] @ to_asl @ TO_T1W, np.linalg.inv(moved)) < 0.5
    # Suppressed controls show more contrast than M0 and register the scan, unless they are too noisy.
    shown, _ = images.load(aligned.aslref)
    assert (np.percentile(shown, 98) > 600) == (noise > 10)
    # The dummy volume has neither motion nor a row of values.
    assert np.array_equal(transforms.read_affines(aligned.motion)[0], np.eye(4))
    assert set(tables.read_table(aligned.confounds)[0].values()) == {None}
    if noise < 10:
        grey, white, _ = tissue_means(made)
        assert grey == pytest.approx(60, abs=4)
        assert white == pytest.approx(20, abs=4)


def test_motion_correction_can_be_switched_off_and_one_pair_is_enough(tmp_path, anatomy, tissues):
    change = {"volume_types": ["control", "label"], "m0_type": "Absent"}
    aligned, made = run(tmp_path, anatomy, series(tissues, PLAIN)[..., 1:3], correct=False, **change)
    assert np.array_equal(transforms.read_affines(aligned.motion), [np.eye(4)] * 2)
    record = tables.read_json(made.sidecar)
    assert record["M0"]["Source"] == "mean control of a series without background suppression"
    assert record["NumberOfRepeats"] == 1
    grey, white, _ = tissue_means(made)
    assert grey > 2 * white > 0


def test_an_empty_volume_costs_its_pair_and_nothing_else(tmp_path, anatomy, tissues):
    data = series(tissues, PLAIN)
    data[..., 3] = 0
    aligned, made = run(tmp_path, anatomy, data)
    assert np.array_equal(transforms.read_affines(aligned.motion)[3], np.eye(4))
    assert max(error for number, error in enumerate(pose_errors(aligned)) if number != 3) < 0.5
    rows = tables.read_table(aligned.confounds)
    assert [set(row.values()) == {None} for row in rows] == [False, False, False, True, False]
    # The control after it is compared with the label before it.
    assert float(rows[4]["framewise_displacement"]) > 1
    assert [row["no_signal"] for row in tables.read_table(made.repeats)] == ["false", "true"]
    grey, white, _ = tissue_means(made)
    assert grey == pytest.approx(60, abs=6)
    assert white == pytest.approx(20, abs=6)


def test_deltam_series(tmp_path, anatomy, tissues):
    data = series(tissues, PLAIN)
    deltas = np.stack([data[..., 0], *[tissues[1] @ (CBF / 8630.0 * PLAIN)] * 2], axis=3)
    aligned, made = run(tmp_path, anatomy, deltas, volume_types=["m0scan", "deltam", "deltam"])
    assert head.distance(transforms.read_affines(aligned.coregistration)[0] @ TO_T1W, np.linalg.inv(POSES[0])) < 0.5
    grey, white, _ = tissue_means(made)
    assert grey > 2 * white > 0


def test_a_distorted_scan_is_corrected_by_its_field(tmp_path, anatomy):
    """The chain from template to volume is the planted one, and CBF of the front is what it is without distortion."""
    encoding = {"direction": "j-", "readout_time": 0.03}
    points = transforms.points(ASL)
    images.save(tmp_path / "field.nii.gz", planted_epi.sinus(points), ASL.affine)

    def made(folder, voxels_per_hertz, **correction):
        folder.mkdir()
        still = [planted_epi.epi(ASL, level, voxels_per_hertz) for level in (PLAIN, PLAIN - CBF * PLAIN / _factor())]
        kinds = ACQUISITION["volume_types"]
        noise = np.random.default_rng(3).normal(0, 0.3, (*ASL.shape, len(kinds)))
        volumes = np.stack([still[kind == "label"] for kind in kinds], axis=3) + noise
        return run(folder, anatomy, volumes, **correction)

    flat = made(tmp_path / "flat", 0)
    known = {"field": [str(tmp_path / "field.nii.gz")], "distorted": {"series": encoding, "m0": None}}
    corrected = made(tmp_path / "corrected", -0.03, **known)
    distorted = made(tmp_path / "distorted", -0.03)
    record = json.loads(Path(corrected[0].registration).read_text())["FieldMap"]
    assert record["Minimum"] == pytest.approx(1, abs=0.3)
    assert json.loads(Path(corrected[1].sidecar).read_text())["DistortionCorrection"]["Applied"]
    cbf = [images.load(own[1].cbf)[0] for own in (flat, corrected, distorted)]
    brain = [images.load(own[1].brain_mask)[0] > 0 for own in (flat, corrected)]
    front = brain[0] & brain[1] & (planted_epi.sinus(points) > 20) & (cbf[0] > 10)
    errors = [float(np.sqrt(np.mean((other[front] / cbf[0][front] - 1) ** 2))) for other in cbf[1:]]
    assert errors[0] < 0.4 * errors[1]


def test_an_m0_encoded_against_the_series_is_multiplied_with_its_own_stretch(tmp_path, anatomy):
    """CBF where M0 is piled up and the series is thinned out is what it is without distortion."""
    points = transforms.points(ASL)
    images.save(tmp_path / "field.nii.gz", planted_epi.sinus(points), ASL.affine)
    kinds = ["control", "label"] * 2

    def made(folder, series, m0, **known):
        folder.mkdir()
        still = [planted_epi.epi(ASL, level, series) for level in (PLAIN, PLAIN - CBF * PLAIN / _factor())]
        noise = np.random.default_rng(3).normal(0, 0.3, (*ASL.shape, len(kinds)))
        images.save(folder / "m0.nii.gz", planted_epi.epi(ASL, PLAIN, m0), ASL.affine)
        volumes = np.stack([still[kind == "label"] for kind in kinds], axis=3) + noise
        change = {"m0_type": "Separate", "volume_types": kinds}
        _, quantified = run(folder, anatomy, volumes, [folder / "m0.nii.gz"], **change, **known)
        return quantified

    def known(m0):
        encodings = {"series": {"direction": "j-", "readout_time": 0.03}, "m0": {"direction": m0, "readout_time": 0.03}}
        return {"field": [str(tmp_path / "field.nii.gz")], "distorted": encodings}

    flat = made(tmp_path / "flat", 0, 0)
    opposed = made(tmp_path / "opposed", -0.03, 0.03, **known("j"))
    alike = made(tmp_path / "alike", -0.03, -0.03, **known("j-"))
    cbf = [images.load(own.cbf)[0] for own in (flat, opposed, alike)]
    brain = [images.load(own.brain_mask)[0] > 0 for own in (flat, opposed, alike)]
    front = np.all(brain, axis=0) & (planted_epi.sinus(points) > 20) & (cbf[0] > 10)
    errors = [float(np.mean(own[front] / cbf[0][front] - 1)) for own in cbf[1:]]
    assert abs(errors[1]) < 0.03
    assert abs(errors[0]) < 0.05
    record = [tables.read_json(own.sidecar)["DistortionCorrection"]["Intensity"] for own in (opposed, alike)]
    assert "multiplied" in record[0]
    assert "cancels" in record[1]


def _factor():
    return kinetics.continuous(1.8, 1.8, 0.85, 1.65, 0.9)
