"""A run in which scans fail."""

import nibabel
import numpy as np
import pytest


@pytest.mark.slow
def test_one_bad_image_stops_nobody_else_and_is_told_once(small):
    for number in (1, 3):
        name = f"sub-{number:02d}"
        path = small.folder / f"bids/{name}/ses-T1/anat/{name}_ses-T1_T1w.nii.gz"
        nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 3), np.float32), np.diag([4.0, 4, 4, 1])), path)
    target = [f"results/sub-0{number}/anat/sub-0{number}_desc-preproc_T1w.nii.gz" for number in (1, 3)]
    done = small.snakemake("--cores", "1", "results/study/scans.tsv", *target, check=False)
    assert done.returncode != 0
    assert (small.folder / "results/study/scans.tsv").exists()
    assert "Traceback" not in done.stdout + done.stderr
    summary = (small.folder / "results/logs/failures.txt").read_text()
    assert summary in done.stderr
    assert summary.startswith("2 jobs failed")
    for number in (1, 3):
        assert f"prepare_anatomy sub-0{number}\n  bids/sub-0{number}/ses-T1/anat/" in summary
        log = small.folder / f"results/logs/prepare_anatomy/sub-0{number}/anat/sub-0{number}.log"
        assert "Traceback" not in log.read_text()
        assert max(map(len, log.read_text().splitlines())) <= 120
    assert max(map(len, summary.splitlines())) <= 120
    # What failed before and is not asked for any more is not told again.
    small.snakemake("--cores", "1", "results/study/exclusions.tsv", "-f")
    assert not list((small.folder / "results/logs").rglob("*fail*"))
