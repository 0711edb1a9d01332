import pytest
import skeleton
from pharmasl.errors import InputError
from pharmasl.files import bids


def test_parse_splits_a_name():
    assert bids.parse("sub-01_ses-T1_acq-rest_asl.nii.gz") == (
        {"sub": "01", "ses": "T1", "acq": "rest"},
        "asl",
        ".nii.gz",
    )
    assert bids.parse("T1w.json") == ({}, "T1w", ".json")


@pytest.mark.parametrize("name", ["notes.txt~", "sub-01 asl.nii", "sub-a_b-_asl.nii", ".hidden", "README"])
def test_parse_refuses_what_is_no_bids_name(name):
    assert bids.parse(name) is None


@pytest.mark.parametrize(
    ("label", "entity", "bare"),
    [
        ("sub-01", "sub", "01"),
        ("01", "sub", "01"),
        ("ses-T1", "ses", "T1"),
        (1, "ses", "1"),
        ("sub-sub-1", "sub", "sub-1"),
    ],
)
def test_a_label_is_read_with_and_without_its_entity(label, entity, bare):
    assert bids.bare_label(label, entity) == bare


def test_the_labels_of_a_row_name_its_scan():
    assert bids.scan_labels({"participant_id": "sub-01", "session_id": "T1"}) == ("01", "T1")


def test_images_are_found_with_and_without_sessions(tmp_path):
    skeleton.run(tmp_path / "sub-01" / "perf", "sub-01")
    skeleton.run(tmp_path / "sub-02" / "ses-a" / "perf", "sub-02_ses-a_run-1")
    dataset = bids.read_dataset(tmp_path)
    assert dataset.subjects == ("01", "02")
    assert [file.entities for file in dataset.images("asl")] == [{"sub": "01"}, {"sub": "02", "ses": "a", "run": "1"}]


def test_metadata_are_inherited_nearest_last(tmp_path):
    folder = tmp_path / "sub-01" / "ses-a" / "perf"
    skeleton.run(folder, "sub-01_ses-a_acq-rest")
    skeleton.write(tmp_path / "asl.json", {})
    skeleton.write(tmp_path / "acq-rest_asl.json", {})
    skeleton.write(tmp_path / "acq-cue_asl.json", {})
    skeleton.write(tmp_path / "sub-01" / "sub-01_asl.json", {})
    skeleton.write(tmp_path / "sub-02" / "sub-02_asl.json", {})
    dataset = bids.read_dataset(tmp_path)
    found = dataset.metadata(dataset.images("asl")[0], "asl", ".json")
    assert [file.path[len(str(tmp_path)) + 1 :] for file in found] == [
        "asl.json",
        "acq-rest_asl.json",
        "sub-01/sub-01_asl.json",
        "sub-01/ses-a/perf/sub-01_ses-a_acq-rest_asl.json",
    ]


def test_a_missing_dataset_is_named():
    with pytest.raises(InputError, match=r"bids_dir.*nowhere"):
        bids.read_dataset("nowhere")


def test_an_empty_dataset_is_named(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        bids.read_dataset(tmp_path)


def test_stems_keep_the_raw_entities_in_order():
    entities = {"acq": "rest", "ses": "T1", "sub": "01", "run": "02"}
    assert bids.stem(entities, "perf") == "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_run-02"
    assert bids.stem({"sub": "01", "ses": None}, "contrasts") == "sub-01/contrasts/sub-01"


def test_derived_names_are_those_of_the_design():
    path = bids.derivative("results", "sub-01/anat/sub-01", "xfm", mode="image", to="MNI", from_="T1w")
    assert path == "results/sub-01/anat/sub-01_from-T1w_to-MNI_mode-image_xfm.nii.gz"
    assert (
        bids.derivative("r", "a", "statmap", stat="logpfwe", desc="voxel")
        == "r/a_desc-voxel_stat-logpfwe_statmap.nii.gz"
    )
    assert bids.derivative("r", "a", "timeseries", desc="confounds") == "r/a_desc-confounds_timeseries.tsv"
    with pytest.raises(KeyError, match="hue"):
        bids.derivative("r", "a", "cbf", hue="red")


def test_a_name_becomes_a_label_in_camel_case():
    labels = {
        "rest": "rest",
        "rest_interaction": "restInteraction",
        "dlpfc_to_cue": "dlpfcToCue",
        "a_": "a",
        "B_2": "B2",
    }
    assert {name: bids.entity_label(name) for name in labels} == labels
    assert all(bids.parse(f"contrast-{label}_stat-t_statmap.nii.gz") for label in labels.values())
    assert bids.entity_label("{contrast}") == "{contrast}"


def test_images_are_found_by_folder_and_by_visit(tmp_path):
    for session in "ab":
        folder = tmp_path / "sub-01" / f"ses-{session}"
        skeleton.run(folder / "perf", f"sub-01_ses-{session}")
        skeleton.image(folder / "perf" / f"sub-01_ses-{session}_m0scan.nii.gz", (3, 3, 3))
        skeleton.image(folder / "fmap" / f"sub-01_ses-{session}_dir-PA_m0scan.nii.gz", (3, 3, 3))
    dataset = bids.read_dataset(tmp_path)
    asl = dataset.images("asl")[1]
    assert [file.path for file in dataset.images_beside(asl, "m0scan")] == [asl.path.replace("_asl", "_m0scan")]
    visit = [file.path.rsplit("/", 1)[1] for file in dataset.images_of_visit(asl)]
    assert visit == ["sub-01_ses-b_dir-PA_m0scan.nii.gz", "sub-01_ses-b_asl.nii.gz", "sub-01_ses-b_m0scan.nii.gz"]
