"""The scripts of the quality and figure rules on tiny inputs."""

from types import SimpleNamespace

import numpy as np
import pytest
from loading import script
from pharmasl import images, tables
from pharmasl.quality.columns import COLUMNS
from PIL import Image

AFFINE = np.diag([4.0, 4, 6, 1])
TEMPLATE = np.array([[4.0, 0, 0, -40], [0, 4, 0, -48], [0, 0, 4, -40], [0, 0, 0, 1]])


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
        ("timeseries", series, AFFINE),
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
    tables.write_table(tmp_path / "confounds.tsv", rows, {"framewise_displacement": "mm", "dvars": "percent"})
    names = [
        "cbf",
        "timeseries",
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
        **{name: tmp_path / f"{name}.nii.gz" for name in names}, confounds=tmp_path / "confounds.tsv"
    )


def run(scan, where, participant="sub-01", **bands):
    label = {"participant_id": participant, "session": "T1", "condition": "rest", "scan": "sub-01_ses-T1_asl"}
    output = SimpleNamespace(table=where / f"{participant}.tsv", figure=where / f"{participant}.png")
    params = SimpleNamespace(scan=label, bands=bands)
    script("scan_quality").main(SimpleNamespace(input=scan, output=output, params=params))
    return output


def test_scan_quality_writes_a_row_a_sidecar_and_a_picture(scan, tmp_path):
    output = run(scan, tmp_path)
    (row,) = tables.read_table(output.table)
    assert list(row) == list(COLUMNS)
    assert float(row["gm_cbf"]) == pytest.approx(0.95 * 60 + 0.02 * 20, abs=0.5)
    assert float(row["fd_mean"]) == pytest.approx(0.8)
    assert row["pairs"] == "5"
    assert float(row["template_correlation"]) == pytest.approx(1, abs=1e-5)
    assert "fd_mean:high" in row["flags"].split(",")
    sidecar = tables.read_json(output.table.with_suffix(".json"))
    assert sidecar["fd_mean"]["Units"] == "mm"
    assert set(sidecar) == set(COLUMNS)
    assert Image.open(output.figure).width == 1200


def test_bands_decide_the_flags(scan, tmp_path):
    output = run(scan, tmp_path, fd_mean=None, qei=[1.5, None], gm_wm_ratio=None)
    flags = tables.read_table(output.table)[0]["flags"].split(",")
    assert "qei:low" in flags
    assert not any(flag.startswith("fd_mean") for flag in flags)


def test_study_quality_keeps_the_order_and_every_row(scan, tmp_path):
    names = ("sub-02", "sub-01")
    inputs = [run(scan, tmp_path, name).table for name in names]
    output = SimpleNamespace(table=tmp_path / "scans.tsv", figure=tmp_path / "scans.png")
    snakemake = SimpleNamespace(input=SimpleNamespace(tables=inputs), output=output, params=SimpleNamespace(bands={}))
    script("study_quality").main(snakemake)
    rows = tables.read_table(output.table)
    assert [row["participant_id"] for row in rows] == list(names)
    assert rows[1] == tables.read_table(inputs[1])[0]
    first = output.figure.read_bytes()
    script("study_quality").main(snakemake)
    assert output.figure.read_bytes() == first
