"""Sidecars as people's data have them: encodings, units, spelling, contradictions; each cause is told once."""

import datetime
import json

import complete_settings
import pytest
import skeleton
from pharmasl.errors import InputErrors
from pharmasl.study import sidecar

STEM = "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest"


@pytest.fixture
def root(tmp_path):
    return skeleton.dataset(tmp_path / "bids", participants=1, sessions=("T1",), conditions=("rest",))


def path(root, ending="_asl.json"):
    return root / f"{STEM}{ending}"


def edit(root, stem=STEM, **fields):
    file = root / f"{stem}_asl.json"
    content = {**json.loads(file.read_text()), **fields}
    file.write_text(json.dumps({key: value for key, value in content.items() if value != "gone"}))


def series(root, types, stem=STEM, shape=(3, 3, 3)):
    skeleton.image(root / f"{stem}_asl.nii.gz", (*shape, len(types)))
    skeleton.write(root / f"{stem}_aslcontext.tsv", "\n".join(["volume_type", *types]) + "\n")


def read(root, **perfusion):
    config = {"bids_dir": str(root), "output_dir": "out", "conditions": {"rest": {}}, "perfusion": perfusion}
    return complete_settings.read(config)


def resolve(root, **perfusion):
    return read(root, **perfusion).scans[STEM].acquisition.plain()


def only(root, **perfusion):
    """The one error that the study's reading gives."""
    with pytest.raises(InputErrors) as caught:
        read(root, **perfusion)
    (error,) = caught.value.errors
    return error


class TestFiles:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_encodings_that_can_be_told(self, root, encoding):
        text = json.dumps({**skeleton.SIDECAR, "InstitutionName": "Universität"}, ensure_ascii=False)
        path(root).write_bytes(text.encode(encoding))
        assert resolve(root)["post_labeling_delay"] == 1.8

    def test_latin1_is_one_error(self, root):
        text = json.dumps({"InstitutionName": "Universität", **skeleton.SIDECAR}, ensure_ascii=False, indent=1)
        path(root).write_bytes(text.encode("latin-1"))
        error = only(root)
        assert (error.file, error.field) == (str(path(root)), "line 2")
        assert "UTF-8" in error.fix

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("[]", "a list"),
            ("3", "a int"),
            ("", "an empty file"),
            ("{", "Expecting"),
            ('{"PostLabelingDelay": NaN}', "NaN"),
            ('{"PostLabelingDelay": [1.8, -Infinity]}', "-Infinity"),
            ('{"M0Estimate": 1e999}', "1e999"),
            ('{"M0Estimate": 1' + 400 * "0" + "}", "1000"),
            ('{"a": ' + 100000 * "[", "thousands of nested brackets"),
        ],
    )
    def test_what_is_no_object_is_one_error(self, root, text, found):
        path(root).write_text(text)
        error = only(root)
        assert (error.file, error.field) == (str(path(root)), "(whole file)")
        assert str(error.found).startswith(found)

    def test_a_sidecar_that_is_not_there_or_is_a_folder_is_one_error(self, root):
        path(root).unlink()
        assert (only(root).field, only(root).found) == ("(whole file)", "no such file")
        path(root).mkdir()
        assert (only(root).field, only(root).found) == ("(whole file)", "no such file")

    def test_a_field_twice_is_refused(self, root):
        text = json.dumps(skeleton.SIDECAR)
        path(root).write_text(text[:-1] + ', "PostLabelingDelay": 0.7}')
        assert (only(root).field, only(root).expected) == ("PostLabelingDelay", "each field once")

    def test_null_is_not_known(self, root):
        text = json.dumps({**skeleton.SIDECAR, "LabelingEfficiency": None, "BackgroundSuppressionNumberPulses": None})
        path(root).write_text(text)
        assert resolve(root)["labeling_efficiency"] == 0.85
        path(root).write_text(json.dumps({**skeleton.SIDECAR, "PostLabelingDelay": None}))
        assert (only(root).field, only(root).found) == ("PostLabelingDelay", "nothing")

    def test_a_shared_sidecar_is_wrong_once(self, tmp_path):
        root = skeleton.dataset(tmp_path / "many", participants=3, conditions=("rest",))
        for file in root.rglob("*_asl.json"):
            file.unlink()
        (root / "asl.json").write_text(json.dumps({**skeleton.SIDECAR, "LabelingEfficiency": 85}))
        error = only(root)
        assert error.file == str(root / "asl.json")


class TestValues:
    def test_all_missing_fields_come_in_one_round(self, root):
        path(root).write_text("{}")
        with pytest.raises(InputErrors) as caught:
            read(root)
        fields = [error.field for error in caught.value.errors]
        wanted = {
            "ArterialSpinLabelingType",
            "PostLabelingDelay",
            "M0Type",
            "BackgroundSuppression",
            "MagneticFieldStrength",
            "MRAcquisitionType",
        }
        assert set(fields) == wanted
        assert len(fields) == len(wanted)

    @pytest.mark.parametrize(
        ("field", "value", "hint"),
        [
            ("PostLabelingDelay", 1800, "1.8"),
            ("PostLabelingDelay", [0] + [1800] * 6, "1.8"),
            ("LabelingDuration", 1800, "1.8"),
            ("RepetitionTimePreparation", 4000, "seconds it is 4"),
            ("EchoTime", 12, "0.012"),
            ("LabelingEfficiency", 85, "0.85"),
            ("MagneticFieldStrength", 30000, "gauss"),
            ("MagneticFieldStrength", 3000, "millitesla"),
            ("PostLabelingDelay", "1,8", "without quotation marks"),
            ("BackgroundSuppression", "true", "without quotation marks"),
            ("ArterialSpinLabelingType", "pCASL", "Write PCASL"),
            ("M0Type", "included", "Write Included"),
            ("PostLabelingDelay", -1, "Correct"),
            # One value of 0 or below it says nothing of the others' unit.
            ("RepetitionTimePreparation", [0] + [4.0] * 6, "Correct"),
            ("PostLabelingDelay", [-1] + [1.8] * 6, "Correct"),
            ("SliceTiming", [-0.04, 0, 0.04], "Correct"),
            ("SliceTiming", [0, 400, 800], "0.8"),
        ],
    )
    def test_a_wrong_unit_or_type_is_guessed(self, root, field, value, hint):
        edit(root, **{field: value})
        error = only(root)
        assert (error.file, error.field) == (str(path(root)), field)
        assert hint in error.fix

    @pytest.mark.parametrize(
        ("wrong", "right"),
        [("PostLabellingDelay", "PostLabelingDelay"), ("labelingduration", "LabelingDuration"), ("M0type", "M0Type")],
    )
    def test_a_misspelt_field_is_named(self, root, wrong, right):
        edit(root, **{right: "gone", wrong: skeleton.SIDECAR[right]})
        error = only(root)
        assert (error.field, error.fix) == (right, f"Is {wrong} meant to be {right}? Rename it.")

    @pytest.mark.parametrize(
        ("wrong", "right", "value"),
        [
            ("LabellingEfficiency", "LabelingEfficiency", 0.6),
            ("BackgroundSuppressionNumberOfPulses", "BackgroundSuppressionNumberPulses", 4),
            ("SliceEncodingDirecton", "SliceEncodingDirection", "k-"),
            ("looklocker", "LookLocker", True),
        ],
    )
    def test_a_misspelt_field_that_a_default_would_replace_is_refused(self, root, wrong, right, value):
        edit(root, **{right: "gone", wrong: value})
        error = only(root)
        assert (error.field, error.expected) == (wrong, f"the field {right}")
        edit(root, **{right: "gone", wrong: "gone"})
        resolve(root)

    def test_fields_of_the_scanner_that_are_spelt_alike_are_left_alone(self, root):
        alike = {
            "PhaseEncodingDirection": "j-",
            "PostLabelDelay": 1.7,
            "PCASLType": "balanced",
            "EchoTime1": 0.01,
            "RepetitionTimeExcitation": 0.01,
            "BackgroundSuppressionPulseDuration": 0.01,
        }
        edit(root, LabelingEfficiency="gone", **alike)
        assert resolve(root)["post_labeling_delay"] == 1.8

    def test_the_likely_repetition_time_is_named(self, root):
        edit(root, RepetitionTimePreparation=0, RepetitionTime=4.0)
        assert "RepetitionTime is 4 s" in only(root).fix

    def test_whether_the_readout_is_2d_is_asked_for(self, root):
        edit(root, MRAcquisitionType="gone")
        assert only(root).field == "MRAcquisitionType"

    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [
            ({"LabelingDuration": 3.0, "PostLabelingDelay": 3.5}, "RepetitionTimePreparation"),
            ({"MRAcquisitionType": "2D", "SliceTiming": [0, 3.0, 6.5]}, "SliceTiming"),
            ({"MRAcquisitionType": "2D", "SliceTiming": [0, 1.2, 2.5]}, "RepetitionTimePreparation"),
            ({"MRAcquisitionType": "2D", "SliceTiming": [0, 0.5]}, "SliceTiming"),
            ({"EchoTime": [0.012, 0.03, 0.012, 0.03, 0.012, 0.03, 0.012]}, "EchoTime"),
            ({"TimeEncodedMatrixSize": 8}, "TimeEncodedMatrixSize"),
            ({"HadamardMatrixType": "Walsh"}, "HadamardMatrixType"),
            ({"LookLocker": True}, "LookLocker"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, root, fields, wrong):
        edit(root, **fields)
        assert only(root).field == wrong

    def test_equal_echo_times_are_one(self, root):
        edit(root, EchoTime=[0.012] * 7)
        assert resolve(root)["echo_time"] == 0.012

    @pytest.mark.parametrize(
        ("direction", "shape", "axis", "times"),
        [
            (None, (3, 3, 4), 2, [0, 0.04, 0.08, 0.12]),
            ("k", (3, 3, 4), 2, [0, 0.04, 0.08, 0.12]),
            ("k-", (3, 3, 4), 2, [0.12, 0.08, 0.04, 0]),
            ("j", (3, 4, 3), 1, [0, 0.04, 0.08, 0.12]),
            ("j-", (3, 4, 3), 1, [0.12, 0.08, 0.04, 0]),
            ("i", (4, 3, 3), 0, [0, 0.04, 0.08, 0.12]),
            ("i-", (4, 3, 3), 0, [0.12, 0.08, 0.04, 0]),
        ],
    )
    def test_slices_run_as_their_direction_says(self, root, direction, shape, axis, times):
        series(root, skeleton.CONTEXT, shape=shape)
        edit(
            root, MRAcquisitionType="2D", SliceTiming=[0, 0.04, 0.08, 0.12], SliceEncodingDirection=direction or "gone"
        )
        acquisition = resolve(root)
        assert (acquisition["slice_axis"], acquisition["slice_timing"]) == (axis, times)

    def test_the_length_is_that_of_the_slices_axis(self, root):
        series(root, skeleton.CONTEXT, shape=(3, 3, 4))
        edit(root, MRAcquisitionType="2D", SliceTiming=[0, 0.04, 0.08, 0.12], SliceEncodingDirection="j")
        assert only(root).field == "SliceTiming"


class TestContext:
    @pytest.mark.parametrize(
        ("lines", "field", "hint"),
        [
            (skeleton.CONTEXT, "header", "add the line volume_type"),
            (["type", *skeleton.CONTEXT], "header", "Name the column"),
            (["volume_type", "M0scan", *["Control", "Label"] * 3], "volume_type", "lower case"),
            (["volume_type", "m0scan", *["control", "tag"] * 3], "volume_type", "Correct the table"),
            (["volume_type", *["control", "label"] * 3], "volume_type", "cut short"),
            (["volume_type", *["control"] * 7], "volume_type", "a run without them"),
            ([], "(whole file)", "Fill in"),
        ],
    )
    def test_one_cause_is_one_error(self, root, lines, field, hint):
        path(root, "_aslcontext.tsv").write_text("\n".join([*lines, ""]))
        error = only(root)
        assert (error.file, error.field) == (str(path(root, "_aslcontext.tsv")), field)
        assert hint in error.fix


class TestPulsed:
    @pytest.fixture
    def pulsed(self, root):
        edit(
            root,
            ArterialSpinLabelingType="PASL",
            LabelingDuration="gone",
            BolusCutOffFlag=True,
            BolusCutOffTechnique="QUIPSSII",
            BolusCutOffDelayTime=0.8,
        )
        return root

    def test_inversion_times_before_the_cut_off_are_fitted(self, pulsed):
        edit(pulsed, PostLabelingDelay=[0, 0.6, 0.6, 1.2, 1.2, 1.8, 1.8])
        assert resolve(pulsed)["post_labeling_delay"] == [None, 0.6, 0.6, 1.2, 1.2, 1.8, 1.8]

    def test_all_before_it_are_not(self, pulsed):
        edit(pulsed, PostLabelingDelay=0.7)
        assert only(pulsed).field == "BolusCutOffDelayTime"

    def test_no_cut_off_is_no_missing_field(self, pulsed):
        edit(pulsed, BolusCutOffFlag=False, PASLType="PICORE", BolusCutOffTechnique="gone", BolusCutOffDelayTime="gone")
        error = only(pulsed)
        assert error.field == "BolusCutOffFlag"
        assert "leave the run out" in error.fix

    def test_what_a_cut_off_lacks_is_asked_for_at_once(self, pulsed):
        edit(pulsed, BolusCutOffTechnique="gone", BolusCutOffDelayTime="gone")
        with pytest.raises(InputErrors) as caught:
            read(pulsed)
        assert {error.field for error in caught.value.errors} == {"BolusCutOffTechnique", "BolusCutOffDelayTime"}


class TestM0:
    @pytest.fixture
    def separate(self, root):
        series(root, ["control", "label"] * 3)
        edit(root, M0Type="Separate")
        return root

    @staticmethod
    def m0(root, name="sub-01_ses-T1", session="T1", **fields):
        folder = root / f"sub-01/ses-{session}/perf"
        skeleton.image(folder / f"{name}_m0scan.nii.gz", (3, 3, 3))
        skeleton.write(folder / f"{name}_m0scan.json", {"RepetitionTimePreparation": 10, **fields})
        return str(folder / f"{name}_m0scan.nii.gz")

    @pytest.mark.parametrize(
        "target",
        [
            f"{STEM}_asl.nii.gz",
            "ses-T1/perf/sub-01_ses-T1_acq-rest_asl.nii.gz",
            "sub-01_ses-T1_acq-rest_asl.nii.gz",
            f"bids::{STEM}_asl.nii.gz",
            f"bids:raw:{STEM}_asl.nii.gz",
            "ses-T1\\perf\\sub-01_ses-T1_acq-rest_asl.nii.gz",
            ["elsewhere.nii.gz", f"./{STEM}_asl.nii.gz"],
        ],
    )
    def test_it_is_named_in_every_form(self, separate, target):
        wanted = self.m0(separate, "sub-01_ses-T1_acq-m0", IntendedFor=target)
        self.m0(separate, "sub-01_ses-T1_acq-rest")
        assert read(separate).scans[STEM].m0 == wanted

    @pytest.mark.parametrize("target", [None, [], "", [""]])
    def test_a_name_that_is_not_there_leaves_the_only_one(self, separate, target):
        wanted = self.m0(separate, IntendedFor=target)
        study = read(separate)
        assert study.scans[STEM].m0 == wanted
        assert "only M0" in study.scans[STEM].acquisition.plain()["sources"]["m0_image"]

    def test_one_that_names_another_run_is_not_this_ones(self, separate):
        self.m0(separate, IntendedFor="ses-T1/perf/sub-01_ses-T1_acq-other_asl.nii.gz")
        error = only(separate)
        assert error.field == "M0Type"
        assert (
            "name other runs: sub-01_ses-T1_m0scan.nii.gz is for ses-T1/perf/sub-01_ses-T1_acq-other" in error.expected
        )

    def test_a_name_in_another_folder_is_not_the_runs(self, separate):
        self.m0(separate, IntendedFor="ses-T2/perf/sub-01_ses-T1_acq-rest_asl.nii.gz")
        assert "name other runs" in only(separate).expected

    def test_of_another_session_it_is_taken_where_it_is_meant(self, separate):
        wanted = self.m0(separate, "sub-01_ses-T0", "T0", IntendedFor=[f"bids::{STEM}_asl.nii.gz"])
        assert read(separate).scans[STEM].m0 == wanted

    def test_of_another_session_it_is_not_taken_unasked(self, separate):
        self.m0(separate, "sub-01_ses-T0", "T0")
        assert only(separate).field == "M0Type"

    def test_of_two_directions_the_runs_own_is_taken(self, separate):
        stem = "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_dir-AP"
        for ending in ("_asl.nii.gz", "_asl.json", "_aslcontext.tsv"):
            path(separate, ending).rename(separate / f"{stem}{ending}")
        target = f"{stem}_asl.nii.gz"
        wanted = self.m0(separate, "sub-01_ses-T1_dir-AP", IntendedFor=target)
        self.m0(separate, "sub-01_ses-T1_dir-PA", IntendedFor=target)
        assert read(separate).scans[stem].m0 == wanted

    def test_two_of_one_direction_are_refused(self, separate):
        for run in (1, 2):
            self.m0(separate, f"sub-01_ses-T1_run-{run}", IntendedFor=f"{STEM}_asl.nii.gz")
        assert only(separate).field == "m0scan"

    def test_absent_beside_volumes_or_an_image_is_a_contradiction(self, root):
        edit(root, M0Type="Absent")
        assert "Included" in only(root).expected
        series(root, ["control", "label"] * 3)
        assert resolve(root)["m0_type"] == "Absent"
        self.m0(root, IntendedFor=f"{STEM}_asl.nii.gz")
        assert "Separate" in only(root).expected

    def test_its_repetition_time_is_asked_for_only_where_it_is_used(self, separate):
        self.m0(separate, RepetitionTimePreparation=None)
        assert only(separate).field == "RepetitionTimePreparation"
        assert resolve(separate, m0={"t1_recovery": False})["m0_repetition_time"] is None
        edit(separate, M0Type="Estimate", M0Estimate=1000.0)
        assert resolve(separate)["m0_repetition_time"] is None

    def test_a_misspelt_repetition_time_is_named(self, separate):
        self.m0(separate, RepetitionTimePreparation=None, RepetitionTimePreperation=10)
        assert "RepetitionTimePreperation" in only(separate).fix

    def test_a_saturation_recovery_says_that_it_is_one(self, separate):
        self.m0(separate, RepetitionTimePreparation=[0.5, 2.0, 6.0])
        assert "saturation recovery" in only(separate).fix.lower()
        assert resolve(separate, m0={"t1_recovery": False})["m0_repetition_time"] is None

    def test_an_unreadable_sidecar_of_m0_is_one_error(self, separate):
        image = self.m0(separate)
        file = image.replace(".nii.gz", ".json")
        with open(file, "w") as stream:
            stream.write("[]")
        assert only(separate).file == file


class TestOverride:
    def test_an_unknown_field_is_named_with_the_nearest(self, root):
        error = only(root, override={"LabellingDuration": 1.8})
        assert (error.file, error.field) == ("config", "perfusion.override.LabellingDuration")
        assert "LabelingDuration?" in error.fix

    def test_a_wrong_value_blames_the_configuration_once(self, tmp_path):
        root = skeleton.dataset(tmp_path / "many", participants=4, conditions=("rest",))
        error = only(root, override={"PostLabelingDelay": 1800})
        assert (error.file, error.field) == ("config", "perfusion.override.PostLabelingDelay")
        assert "1.8" in error.fix
        error = only(root, override={"SliceTiming": [0.0, 0.1], "MRAcquisitionType": "2D"})
        assert (error.file, error.field) == ("config", "perfusion.override.SliceTiming")

    def test_a_field_can_be_taken_away(self, root):
        edit(root, LabelingEfficiency=0.5)
        assert resolve(root, override={"LabelingEfficiency": None})["labeling_efficiency"] == 0.85

    def test_a_contradiction_or_a_field_taken_away_blames_the_configuration_once(self, tmp_path):
        root = skeleton.dataset(tmp_path / "many", participants=4, conditions=("rest",))
        for value in (None, 5.9, 0):
            error = only(root, override={"PostLabelingDelay": value})
            assert (error.file, error.field) == ("config", "perfusion.override.PostLabelingDelay")

    def test_what_a_sidecar_never_had_is_not_blamed_on_the_configuration(self, root):
        edit(root, MRAcquisitionType="gone")
        assert only(root, override={"MRAcquisitionType": None}).file == str(path(root))

    def test_a_field_of_m0_images_is_not_one_of_a_series(self, root):
        assert only(root, override={"IntendedFor": "x"}).field == "perfusion.override.IntendedFor"

    def test_a_field_that_the_sidecar_lacks_can_be_given(self, root):
        edit(root, MRAcquisitionType="gone")
        assert resolve(root, override={"MRAcquisitionType": "3D"})["slice_timing"] is None

    def test_it_can_be_for_some_scans_alone(self, tmp_path):
        root = skeleton.dataset(tmp_path / "many", participants=2, conditions=("rest", "smoking"))
        where = {"session": "T2", "acquisition": "rest"}
        study = read(root, override=[{"where": where, "fields": {"PostLabelingDelay": 1.5}}])
        changed = {stem for stem, scan in study.scans.items() if scan.acquisition.plain()["post_labeling_delay"] == 1.5}
        assert changed == {f"sub-0{n}/ses-T2/perf/sub-0{n}_ses-T2_acq-rest" for n in (1, 2)}
        source = study.scans[min(changed)].acquisition.plain()["sources"]["post_labeling_delay"]
        assert source == "PostLabelingDelay of config perfusion.override[0]"

    def test_one_that_matches_nothing_is_refused(self, root):
        error = only(root, override=[{"where": {"session": "T9"}, "fields": {"PostLabelingDelay": 1.5}}])
        assert error.field == "perfusion.override[0].where"

    def test_an_index_has_no_zeros(self):
        assert sidecar.Override("x", {"run": 1}).applies({"run": "01"})
        assert not sidecar.Override("x", {"run": "1"}).applies({"run": "10"})

    def test_other_labels_keep_theirs(self):
        # Participants 1 and 01 are two people.
        for label in ("01", "sub-01"):
            assert sidecar.Override("x", {"sub": label}).applies({"sub": "01"})
            assert not sidecar.Override("x", {"sub": label}).applies({"sub": "1"})
        assert sidecar.Override("x", {"ses": "ses-T1"}).applies({"ses": "T1"})
        assert not sidecar.Override("x", {"acq": "a"}).applies({})


def test_what_was_possible_once_says_nothing_of_other_values():
    possible = {"EchoTime": 0.012, "SeriesNumber": 3}
    assert sidecar.impossible(possible) == []
    assert sidecar.impossible({**possible, "SeriesNumber": "x"}) == []
    for value in (12, "0.012", True, None, [0.012, -1], datetime.date(2026, 1, 1)):
        wrong = {**possible, "EchoTime": value}
        for _ in range(2):
            assert [error.field for error in sidecar.impossible(wrong)] == ["EchoTime"]
    assert sidecar.impossible(possible) == []
