"""Files by a pattern of their paths."""

import pytest
from pharmasl.errors import InputError
from pharmasl.study import file_patterns

NAMES = ("participant", "session", "run", "condition")
# As ExploreASL names its maps in standard space: participant, visit, run.
POPULATION = "Population/qCBF_sub-{participant}_{session}_ASL_{run}.nii"


def files(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return str(root)


def found(root, pattern):
    return [(file.path.removeprefix(f"{root}/"), file.labels) for file in file_patterns.find(root, pattern)]


def test_labels_are_read_from_names_and_both_kinds_of_nifti_are_taken(tmp_path):
    root = files(
        tmp_path,
        "Population/qCBF_sub-02_1_ASL_1.nii.gz",
        "Population/qCBF_sub-01_2_ASL_1.nii",
        "Population/qCBF_masked_sub-01_2_ASL_1.nii",
        "Population/ASLCheck/qCBF_sub-01_2_ASL_1.nii",
    )
    assert found(root, POPULATION) == [
        ("Population/qCBF_sub-01_2_ASL_1.nii", {"participant": "01", "session": "2", "run": "1"}),
        ("Population/qCBF_sub-02_1_ASL_1.nii.gz", {"participant": "02", "session": "1", "run": "1"}),
    ]


def test_a_name_that_occurs_twice_is_the_same_both_times(tmp_path):
    root = files(
        tmp_path, "sub-01/ses-T1/sub-01_ses-T1_perfusion.nii.gz", "sub-02/ses-T1/sub-01_ses-T1_perfusion.nii.gz"
    )
    pattern = "sub-{participant}/ses-{session}/sub-{participant}_ses-{session}_perfusion.nii.gz"
    assert [path for path, _ in found(root, pattern)] == ["sub-01/ses-T1/sub-01_ses-T1_perfusion.nii.gz"]


def test_what_is_no_name_is_taken_literally(tmp_path):
    root = files(tmp_path, "01/a.b/cbf.nii", "01/axb/cbf.nii")
    assert [path for path, _ in found(root, "{participant}/a.b/cbf.nii")] == ["01/a.b/cbf.nii"]


def test_a_pattern_is_filled_with_labels(tmp_path):
    labels = {"participant": "01", "session": "2", "run": "1"}
    assert file_patterns.filled(POPULATION, labels) == [
        "Population/qCBF_sub-01_2_ASL_1.nii.gz",
        "Population/qCBF_sub-01_2_ASL_1.nii",
    ]


@pytest.mark.parametrize(
    ("pattern", "found", "expected"),
    [
        ("{subject}/cbf.nii", "{subject}", "participant, session, run, condition"),
        ("sub-{particpant}.nii", "{particpant}", "participant"),
        ("qCBF.nii", "qCBF.nii", "{participant} where the path has the participant"),
        ("{participant}/cbf{.nii", "{participant}/cbf{.nii", "names between { and }"),
    ],
)
def test_a_pattern_that_means_nothing_is_refused(pattern, found, expected):
    with pytest.raises(InputError) as caught:
        file_patterns.check(pattern, "derivatives.cbf.files", NAMES)
    assert caught.value.found == found
    assert expected in caught.value.expected
    assert caught.value.field == "derivatives.cbf.files"


def test_a_misspelt_name_is_recognised():
    with pytest.raises(InputError, match="Did you mean participant"):
        file_patterns.check("{particpant}.nii", "derivatives.cbf.files", NAMES)
