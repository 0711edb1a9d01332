"""Datasets that people's bug reports led to, kept beside the checkout: one error each that names what is wrong, or accepted."""

import contextlib
import os
import shutil

import pytest
import wrong_input
import yaml
from loading import shared_data

# Part of the folder's name, and of the only error.
REFUSED = {
    "04-rtp-zero": "RepetitionTime is 4 s",
    "100-participants-latin1": "UTF-8",
    "106-unit1": "UNIT1",
    "110-m0-absent": "Absent.*m0scan",
    "121-pasl": "leave the run out",
    "13-2d-type": "MRAcquisitionType",
    "14-nan": "NaN",
    "141-rec": "reconstruction",
    "162-sform": "mirror images",
    "163-nan": "srow_x",
    "164-zero": "srow_x",
    "168-series": "sform_code",
    "25-json": "JSON object",
    "26-json": "UTF-8",
    "36-m0": "repetition time",
    "40-multi": "echo",
    "44-nii": "one image of this name",
    "46-name": "contradict",
    "63-context": "add the line volume_type",
    "80-annex": "datalad get",
    "81-annex": "datalad get",
    "83-annex": "datalad get",
    "84-annex": "m0scan.*datalad get",
    "85-annex": "pointer",
    "86-zero": "T1w.*empty file",
    "87-trunc": "cut off",
    "95-single": "single slice",
    "97-complex": "complex",
    "98-rgb": "RGB",
}
# The others of these are seen in the images' data, by the jobs, or combine several causes.
ACCEPTED = (
    "11-slice",
    "12-slice",
    "130-intended",
    "139-phase",
    "161-header",
    "17-pasl",
    "27-json",
    "33-m0",
    "39-m0",
    "42-run",
    "48-desc",
    "49-t1w",
    "90-5d",
)


def _tried(prefix, folder):
    source = next(path for path in sorted(shared_data("cases", "asl").iterdir()) if path.name.startswith(prefix))
    shutil.copytree(source, folder / "case")
    links = folder / "case" / "LINKS"
    for line in links.read_text().splitlines() if links.exists() else ():
        name, target = line.split(" -> ")
        path = folder / "case" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.symlink(target, path)
    with contextlib.chdir(folder / "case"):
        return wrong_input.attempt(
            wrong_input.plan_study, yaml.safe_load((folder / "case" / "config.yaml").read_text())
        )


@pytest.mark.parametrize("prefix", REFUSED)
def test_a_dataset_is_refused_with_one_error(prefix, tmp_path):
    _, errors = _tried(prefix, tmp_path)
    assert len(errors) == 1
    assert wrong_input.matches(REFUSED[prefix], str(errors[0]))


@pytest.mark.parametrize("prefix", ACCEPTED)
def test_a_dataset_is_accepted(prefix, tmp_path):
    study, errors = _tried(prefix, tmp_path)
    assert not errors
    assert study.scans
