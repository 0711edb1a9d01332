"""What lies in a dataset and is not what it seems: used, refused or listed, and nothing replaces anything silently."""

import json
import os
import shutil

import complete_settings
import pytest
import skeleton
from pharmasl.errors import InputErrors

STEM = "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest"


@pytest.fixture
def root(tmp_path):
    return skeleton.dataset(tmp_path / "bids", participants=2, conditions=("rest", "smoking"))


def read(root, **changes):
    config = {"bids_dir": str(root), "output_dir": "out", "conditions": {"rest": {"acquisition": "rest"}}}
    return complete_settings.read({**config, **changes})


def only(root, **changes):
    with pytest.raises(InputErrors) as caught:
        read(root, **changes)
    (error,) = caught.value.errors
    return error


def reasons(root, **changes):
    return [row["reason"] for row in read(root, **changes).exclusions if "smoking" not in row["reason"]]


def run(root, stem, **sidecar):
    """Another run beside the skeleton's."""
    folder, name = (root / stem).parent, stem.rsplit("/", 1)[-1]
    skeleton.run(folder, name, {**skeleton.SIDECAR, **sidecar})


class TestNames:
    def test_a_file_of_another_participant_is_refused(self, root):
        run(root, "sub-02/ses-T1/perf/sub-01_ses-T1_acq-rest")
        error = only(root)
        assert (error.field, error.found) == ("sub", "sub-01 in the name")
        assert error.expected.startswith("sub-02")

    @pytest.mark.parametrize("name", ["sub-01_ses-T2_acq-rest_run-2", "sub-01_acq-rest_run-2"])
    def test_a_file_of_another_session_or_none_is_refused(self, root, name):
        run(root, f"sub-01/ses-T1/perf/{name}")
        assert only(root).field == "ses"

    @pytest.mark.parametrize("suffix", ["T1w", "m0scan"])
    def test_so_are_t1w_and_m0(self, root, suffix):
        folder = "anat" if suffix == "T1w" else "perf"
        skeleton.image(root / f"sub-02/ses-T1/{folder}/sub-01_ses-T1_{suffix}.nii.gz", (3, 3, 3))
        assert only(root).field == "sub"

    def test_two_images_of_one_name_are_refused(self, root):
        image = root / f"{STEM}_asl.nii.gz"
        skeleton.image(root / f"{STEM}_asl.nii", (3, 3, 3, 7))
        error = only(root)
        assert error.field == "name"
        assert image.name in error.found

    def test_run_1_and_run_01_are_one(self, root):
        for label in ("1", "01"):
            run(root, f"{STEM}_run-{label}")
        assert only(root).field == "name"

    def test_two_t1w_of_one_name_are_refused(self, root):
        skeleton.image(root / "sub-01/ses-T1/anat/sub-01_ses-T1_T1w.nii", (3, 3, 3))
        assert only(root).field == "name"

    def test_capital_letters_in_an_extension_are_read(self, root):
        path = root / f"{STEM}_asl.nii.gz"
        path.rename(path.with_name(path.name.replace(".nii.gz", ".NII.GZ")))
        assert read(root).scans[STEM].asl.endswith(".NII.GZ")

    @pytest.mark.parametrize(("folder", "right", "wrong"), [("perf", "asl", "ASL"), ("anat", "T1w", "t1w")])
    def test_a_suffix_in_other_capitals_is_refused(self, root, folder, right, wrong):
        path = next((root / "sub-01/ses-T1" / folder).glob(f"*_{right}.nii.gz"))
        path.rename(str(path).replace(f"_{right}.", f"_{wrong}."))
        with pytest.raises(InputErrors) as caught:
            read(root)
        assert ("suffix", wrong, right) in [(error.field, error.found, error.expected) for error in caught.value.errors]

    @pytest.mark.parametrize("name", ["Sub-06", "sub_06", "SUB-06"])
    def test_a_folder_named_almost_right_is_refused(self, root, name):
        (root / name).mkdir()
        error = only(root)
        assert (error.field, error.found) == ("folder", name)

    def test_a_session_named_almost_right_is_refused(self, root):
        (root / "sub-01/Ses-T3").mkdir()
        assert only(root).found == "Ses-T3"

    def test_folders_that_differ_in_capital_letters_are_refused(self, root):
        for label in ("a", "A"):
            (root / f"sub-{label}").mkdir()
        table = root / "participants.tsv"
        table.write_text(table.read_text() + "sub-a\tplacebo\t3\tM\nsub-A\tplacebo\t3\tM\n")
        assert only(root).found == "sub-A and sub-a"


class TestListed:
    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("perf/sub-01_ses-T1_acq-rest_desc-mc_asl.nii.gz", "the entity desc"),
            ("perf/sub-01_ses-T1_acq-rest_space-T1w_asl.nii.gz", "the entity space"),
            ("perf/sub-01_ses-T1_acq-rest_part-phase_asl.nii.gz", "no magnitude"),
            ("perf/sub-01_ses-T1_acq-rest_part-imag_m0scan.nii.gz", "no magnitude"),
            ("perf/sub-01_ses-T1_asl (1).nii.gz", "no name of BIDS"),
            ("perf/sub-01_ses-T1_acq-rest_acq-smoking_asl.nii.gz", "no name of BIDS"),
            ("perf/sub-01_ses-T1_asl.final.nii.gz", "no name of BIDS"),
            ("anat/sub-01_ses-T1_part-phase_T1w.nii.gz", "no magnitude"),
            ("anat/sub-01_ses-T1_desc-defaced_T1w.nii.gz", "the entity desc"),
            ("anat/sub-01_ses-T1_UNIT1.nii.gz", "UNIT1"),
            ("anat/sub-01_ses-T1_acq-rest_run-2_asl.nii.gz", "lies in anat"),
            ("func/sub-01_ses-T1_acq-rest_run-2_asl.nii.gz", "lies in func"),
            ("sub-01_ses-T1_acq-rest_run-2_asl.nii.gz", "no folder of a datatype"),
        ],
    )
    def test_what_is_not_read_is_listed_with_the_reason(self, root, name, reason):
        before = read(root)
        skeleton.image(root / "sub-01/ses-T1" / name, (3, 3, 3, 7))
        study = read(root)
        assert study.scans == before.scans
        assert study.t1w == before.t1w
        (row,) = [row for row in study.exclusions if row not in before.exclusions]
        assert (row["participant_id"], row["session_id"]) == ("sub-01", "T1")
        assert name.rsplit("/", 1)[-1] in row["reason"]
        assert reason in row["reason"]

    def test_a_unit1_alone_is_named_where_the_t1w_is_missed(self, root):
        for path in root.glob("sub-01/ses-T1/anat/*"):
            path.unlink()
        skeleton.image(root / "sub-01/ses-T1/anat/sub-01_ses-T1_UNIT1.nii.gz", (3, 3, 3))
        error = only(root)
        assert error.field == "anat/*_T1w.nii.gz"
        assert "UNIT1" in error.found

    def test_perfusion_above_the_sessions_is_listed_or_used(self, root):
        run(root, "sub-01/perf/sub-01_acq-rest")
        sessions = {"baseline": "T1", "followup": "T2"}
        assert "sub-01_acq-rest_asl.nii.gz lies in none of the sessions (T1, T2)" in reasons(root, sessions=sessions)
        assert "sub-01/perf/sub-01_acq-rest" in read(root).scans

    def test_a_t1w_above_the_sessions_is_used(self, root):
        for path in root.glob("sub-01/ses-*/anat/*"):
            path.unlink()
        above = skeleton.image(root / "sub-01/anat/sub-01_T1w.nii.gz", (3, 3, 3))
        assert read(root).t1w["sub-01/anat/sub-01"] == (str(above),)


class TestConditions:
    @pytest.mark.parametrize("label", [1, "1", "01", "001"])
    @pytest.mark.parametrize("name", ["1", "01"])
    def test_a_run_is_a_number(self, root, label, name):
        run(root, f"sub-01/ses-T1/perf/sub-01_ses-T1_acq-index_run-{name}")
        run(root, "sub-01/ses-T1/perf/sub-01_ses-T1_acq-index_run-10")
        study = read(root, conditions={"rest": {"acquisition": "index", "run": label}})
        assert list(study.scans) == [f"sub-01/ses-T1/perf/sub-01_ses-T1_acq-index_run-{name}"]

    @pytest.mark.parametrize(
        ("labels", "selector"),
        [
            (("echo-1", "echo-2"), "echo: 1"),
            (("rec-moco", "rec-orig"), "reconstruction: moco"),
            (("part-mag", "part-real"), None),
            (("chunk-1", "chunk-2"), "Join the chunks"),
        ],
    )
    def test_images_of_one_acquisition_are_no_repetitions(self, root, labels, selector):
        for label in labels:
            run(root, f"sub-01/ses-T1/perf/sub-01_ses-T1_acq-one_{label}")
        conditions = {"rest": {"acquisition": "one"}}
        if selector is None:
            # The real part is left out, with a word.
            assert len(read(root, conditions=conditions).scans) == 1
            assert any("no magnitude" in reason for reason in reasons(root, conditions=conditions))
            return
        error = only(root, conditions=conditions)
        assert error.field == "conditions.rest"
        assert selector in error.fix

    def test_one_of_them_can_be_chosen(self, root):
        for label in ("rec-moco_echo-1", "rec-orig_echo-1", "rec-orig_echo-02"):
            run(root, f"sub-01/ses-T1/perf/sub-01_ses-T1_acq-one_{label}")
        conditions = {"rest": {"acquisition": "one", "reconstruction": "orig", "echo": 2}}
        assert list(read(root, conditions=conditions).scans) == [
            "sub-01/ses-T1/perf/sub-01_ses-T1_acq-one_rec-orig_echo-02"
        ]

    def test_repeated_runs_are_repetitions(self, root):
        for number in (1, 2):
            run(root, f"sub-01/ses-T1/perf/sub-01_ses-T1_acq-one_run-{number}")
        assert len(read(root, conditions={"rest": {"acquisition": "one"}}).scans) == 2

    def test_a_label_that_matches_nothing_comes_first_with_those_there_are(self, root):
        (root / f"{STEM}_asl.json").write_text("[]")
        with pytest.raises(InputErrors) as caught:
            read(root, conditions={"rest": {"acquisition": "rest"}, "cue": {"acquisition": "smokin"}})
        first = caught.value.errors[0]
        assert first.field == "conditions.cue"
        assert "rest, smoking" in first.expected
        assert first.fix == "Did you mean smoking?"

    def test_a_session_that_is_not_there_comes_with_those_that_are(self, root):
        error = only(root, sessions={"baseline": "T1", "followup": "T02"})
        assert error.field == "sessions.followup"
        assert "T1, T2" in error.expected


class TestLinks:
    @staticmethod
    def dangle(path):
        path.unlink()
        os.symlink(".git/annex/objects/XX/SHA256E-s1--ab.nii.gz", path)
        return path

    @pytest.mark.parametrize("ending", ["_asl.nii.gz", "_asl.json", "_aslcontext.tsv"])
    def test_a_scan_that_was_not_fetched_is_no_lost_scan(self, root, ending):
        path = self.dangle(root / f"{STEM}{ending}")
        error = only(root)
        assert error.file == str(path)
        assert str(error.found).startswith("a link to")
        assert "datalad get" in error.fix

    def test_nor_is_its_t1w_or_m0(self, root):
        path = self.dangle(root / "sub-01/ses-T1/anat/sub-01_ses-T1_T1w.nii.gz")
        assert only(root).file == str(path)
        shutil.rmtree(path.parent)
        skeleton.image(root / "sub-01/ses-T2/anat/sub-01_ses-T2_T1w.nii.gz", (3, 3, 3))
        skeleton.run(
            root / "sub-01/ses-T1/perf",
            "sub-01_ses-T1_acq-rest",
            {**skeleton.SIDECAR, "M0Type": "Separate"},
            ["control", "label"] * 3,
        )
        m0 = skeleton.image(root / f"{STEM}_m0scan.nii.gz", (3, 3, 3))
        skeleton.write(root / f"{STEM}_m0scan.json", {"RepetitionTimePreparation": 9})
        self.dangle(m0)
        assert only(root).file == str(m0)

    def test_what_the_study_does_not_need_may_be_elsewhere(self, root):
        self.dangle(root / f"{STEM.replace('rest', 'smoking')}_asl.nii.gz")
        assert STEM in read(root).scans

    def test_hundreds_are_summed_up(self, tmp_path):
        root = skeleton.dataset(tmp_path / "many", participants=10, conditions=("rest",))
        for path in root.rglob("*_asl.nii.gz"):
            self.dangle(path)
        with pytest.raises(InputErrors) as caught:
            read(root)
        assert len(caught.value.errors) == 6
        assert str(caught.value.errors[-1].found).startswith("15 more links")
        assert f"datalad get -d {root}" in caught.value.errors[-1].fix


class TestCopies:
    def test_a_scan_under_two_names_is_refused(self, root):
        shutil.copy(root / f"{STEM}_asl.nii.gz", root / f"{STEM.replace('T1', 'T2')}_asl.nii.gz")
        error = only(root)
        assert error.file == str(root / f"{STEM}_asl.nii.gz")
        assert "ses-T2_acq-rest_asl.nii.gz" in error.found

    def test_so_is_one_of_another_participant(self, root):
        shutil.copy(root / f"{STEM}_asl.nii.gz", root / f"{STEM.replace('sub-01', 'sub-02')}_asl.nii.gz")
        assert "sub-02" in only(root).found

    def test_one_that_enters_nothing_is_no_matter(self, root):
        shutil.copy(root / f"{STEM}_asl.nii.gz", root / f"{STEM.replace('rest', 'smoking')}_asl.nii.gz")
        assert STEM in read(root).scans

    def test_equal_sizes_and_ends_are_not_enough(self, root, tmp_path):
        from pharmasl.study import copies

        for name, content in (("a", b"1" * 100), ("b", b"2" + b"1" * 99), ("c", b"1" * 100)):
            (tmp_path / name).write_bytes(content)
        (error,) = copies.find([str(tmp_path / name) for name in "abc"])
        assert error.found.endswith(str(tmp_path / "c"))


def test_sidecars_of_no_use_are_not_asked_for(root):
    """A run that no condition takes may lack everything."""
    path = root / f"{STEM.replace('rest', 'smoking')}_asl.json"
    path.write_text(json.dumps({}))
    assert STEM in read(root).scans
