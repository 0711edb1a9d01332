"""Folders of other programs' results: which program made them, and what is refused."""

import json

import pytest
from pharmasl.errors import InputError
from pharmasl.study import derivative_datasets
from pharmasl.study.derivatives import Program, Source

FIELD = "derivatives.cbf"
DESCRIPTION = {
    "Name": "ASLPrep - Arterial Spin Labeling PREProcessing workflow",
    "BIDSVersion": "1.10.0",
    "DatasetType": "derivative",
    "GeneratedBy": [{"Name": "ASLPrep", "Version": "26.0.3"}, {"Name": "nipreps", "Version": "1"}],
}
OXASL = Program(name="oxasl", version="0.2.3")


def described(folder, **changes):
    content = {key: value for key, value in {**DESCRIPTION, **changes}.items() if value is not None}
    (folder / "dataset_description.json").write_text(json.dumps(content))
    return Source(dir=str(folder), generated_by=None)


def test_description_names_program_and_version(tmp_path):
    dataset = derivative_datasets.read(described(tmp_path), FIELD)
    assert dataset.program == Program(name="ASLPrep", version="26.0.3")
    assert dataset.words == "ASLPrep 26.0.3"
    assert dataset.bids_version == "1.10.0"
    assert dataset.name.startswith("ASLPrep - ")


def test_drafts_of_bids_had_one_program_under_another_name(tmp_path):
    old = described(
        tmp_path, GeneratedBy=None, DatasetType=None, PipelineDescription={"Name": "fMRIPrep", "Version": "20.0.5"}
    )
    assert derivative_datasets.read(old, FIELD).words == "fMRIPrep 20.0.5"


def test_configuration_names_the_program_where_no_file_does(tmp_path):
    named = Source(dir=str(tmp_path), generated_by=OXASL)
    assert derivative_datasets.read(named, FIELD).program == OXASL
    described(tmp_path, GeneratedBy=[{"Name": "ExploreASL"}])
    assert derivative_datasets.read(named, FIELD).program == OXASL


def test_absent_folder_is_refused_with_its_setting(tmp_path):
    (tmp_path / "aslprep").mkdir()
    with pytest.raises(InputError, match=r"Did you mean .*aslprep\?") as caught:
        derivative_datasets.read(Source(dir=str(tmp_path / "aslprp"), generated_by=None), FIELD)
    assert caught.value.field == "derivatives.cbf.dir"


@pytest.mark.parametrize(
    ("changes", "field", "found"),
    [
        ({"DatasetType": "raw"}, "DatasetType", "raw"),
        ({"GeneratedBy": None}, "GeneratedBy", "no program"),
        ({"GeneratedBy": []}, "GeneratedBy", "no program"),
        ({"GeneratedBy": ["ASLPrep"]}, "GeneratedBy", "no program"),
        ({"GeneratedBy": [{"Name": "ASLPrep"}]}, "GeneratedBy", "a name without a version"),
    ],
)
def test_description_of_no_derivative_is_refused(tmp_path, changes, field, found):
    with pytest.raises(InputError) as caught:
        derivative_datasets.read(described(tmp_path, **changes), FIELD)
    assert (caught.value.field, caught.value.found) == (field, found)
    assert caught.value.file == str(tmp_path / "dataset_description.json")


@pytest.mark.parametrize(("content", "found"), [("{", "Expecting"), ("[]", "a list"), ("", "an empty file")])
def test_damaged_description_is_refused(tmp_path, content, found):
    source = described(tmp_path)
    (tmp_path / "dataset_description.json").write_text(content)
    with pytest.raises(InputError) as caught:
        derivative_datasets.read(source, FIELD)
    assert found in caught.value.found


def test_folder_without_description_needs_the_program(tmp_path):
    with pytest.raises(InputError, match=r"name the program by derivatives.cbf.generated_by") as caught:
        derivative_datasets.read(Source(dir=str(tmp_path), generated_by=None), FIELD)
    assert caught.value.file == str(tmp_path / "dataset_description.json")


def test_two_programs_are_not_chosen_from(tmp_path):
    described(tmp_path)
    with pytest.raises(InputError, match=r"ASLPrep 26.0.3, as .*dataset_description.json says"):
        derivative_datasets.read(Source(dir=str(tmp_path), generated_by=OXASL), FIELD)
