"""The demo is an exact trial, and stays what it was to the byte: sums of what its dataset held when this was written."""

import hashlib
from dataclasses import fields

import numpy as np
import pytest
import simulation
import yaml
from loading import ROOT
from pharmasl.files import tables
from pharmasl.simulate import dataset, participant_anatomy
from pharmasl.simulate.scanned_person import Person
from pharmasl.space import images

TABLES = {
    "participants": "360e4aac6032fc625f6dd33ed3fe4ba294182d102b8caad265448d009fa0680f",
    "craving": "c134d8437d30a1ee10c84c56e2feeb195107198626c183c42110e9b53e99197b",
    "smoking": "7dd387dfcc08beac18b49d2d49ad75bf8ae46fe30cc899257881d5b6b88324d8",
}
T1W = "4bf977ff45fede4a2ae8003b8021e3d939cbc0bd17a7dcb4c81b81b2a6a179dc"
REST = "0a6efc35ed8551b8deec82bc9485788e80d37fc08f4e9cc115f8f184a99ff58d"


@pytest.fixture(scope="module")
def section():
    asked = yaml.safe_load((ROOT / "config/demo.yaml").read_text())["simulate"]
    assert asked["exact"] is True
    return asked


@pytest.fixture(scope="module")
def written(section, tmp_path_factory):
    """The trial's tables."""
    folder = tmp_path_factory.mktemp("demo")
    files = {field.name: folder / f"{field.name}.tsv" for field in fields(dataset.TrialFiles)}
    dataset.write_trial(
        simulation.trial(**section), simulation.arms(), simulation.sessions(), dataset.TrialFiles(**files)
    )
    return files


@pytest.mark.parametrize("name", TABLES)
def test_the_datasets_tables(written, name):
    assert hashlib.sha256(written[name].read_bytes()).hexdigest() == TABLES[name]


@pytest.mark.slow
def test_the_voxels_of_a_head_and_a_run(section, written, tmp_path):
    """Each run has a stream of random numbers of its own: the others of the person need not be made."""
    settings = simulation.participant(**section)
    person = Person.draw(settings, 1, participant_anatomy.read_template(), {})
    scan = next(row for row in tables.read_table(written["scans"]) if row["participant_id"] == "sub-01")
    assert (scan["session_id"], scan["condition"]) == ("T1", "rest")
    run = person.run(scan, person.session(0))
    for data, digest in ((person.t1w, T1W), (np.minimum(run.data, 32767), REST)):
        images.save(tmp_path / "one.nii.gz", data, np.eye(4), dtype=np.int16)
        voxels = images.load(tmp_path / "one.nii.gz", dtype=np.int16).data
        assert hashlib.sha256(np.ascontiguousarray(voxels).astype("<i2").tobytes()).hexdigest() == digest
