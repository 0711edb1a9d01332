"""A configuration made from a dataset: what is seen, what is asked, and that it can be planned as it is."""

import json

import numpy as np
import other_programs
import pytest
import skeleton
import yaml
from other_trial import ONE_SESSION, WITHOUT_T1W, dataset
from pharmasl.commands import configuration_text, init
from pharmasl.errors import InputError


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def composed(root):
    """The configuration of a dataset, its questions, and what keeps it from being planned."""
    text = configuration_text.compose(init.look(str(root)))
    return yaml.safe_load(text), configuration_text.questions(text), init.plan_problems(text)


def scans(root, people, sessions=(None,), names=("",), t1w=True, sidecar=None):
    """Skeleton scans: of each person and session a run for each name, such as ``_acq-rest``."""
    for label in people:
        for session in sessions:
            folder = root / f"sub-{label}" / (f"ses-{session}" if session else "")
            stem = f"sub-{label}" + (f"_ses-{session}" if session else "")
            for name in names:
                skeleton.run(folder / "perf", f"{stem}{name}", sidecar=sidecar)
            if t1w:
                skeleton.image(folder / "anat" / f"{stem}_T1w.nii.gz", (3, 3, 3))
    return root


def table(path, *rows):
    skeleton.write(path, "".join("\t".join(map(str, row)) + "\n" for row in rows))


def test_a_trial_of_another_shape_plans_as_it_is(tmp_path):
    config, questions, problems = composed(dataset(tmp_path / "data"))
    assert problems == []
    # post sorts before pre.
    assert config["sessions"] == {"baseline": "pre", "followup": "post"}
    assert config["arms"] == {"column": "group", "treatment": "drug", "control": "sham"}
    assert config["conditions"] == {"rest": {"run": 1}, "cue_drug": {"run": 2}, "cue_neutral": {"run": 3}}
    assert config["contrasts"]["cue_drug_response"] == {"cue_drug": 1, "cue_neutral": -1}
    assert config["analyses"]["rest_by_arm"]["model"] == "followup ~ arm + baseline + age + sex"
    assert config["craving"] == {
        "table": "phenotype/ratings.tsv",
        "before": "vas_before",
        "after": "vas_after",
        "range": [0, 10],
    }
    assert config["anatomy"] == {"missing_t1w": "template"}
    asked = " ".join(questions)
    assert f"no T1w: sub-{WITHOUT_T1W}." in asked
    assert "is pre the session before treatment?" in asked
    assert "the runs 1, 2, 3 differ by their number alone" in asked
    assert "on a scale from 0 to 10 (the values are 3 to 9)?" in asked
    assert "which of them are the trial's endpoints?" in asked
    assert len(questions) == 8
    assert ONE_SESSION not in asked  # who came once is no question


def test_the_file_is_written_once_and_says_what_to_check(tmp_path, capsys):
    dataset(tmp_path / "data")
    assert init.main(["data"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "Wrote study.yaml: 10 people with scans, sessions pre, post, arms drug and sham (group), states"
    )
    assert "8 things to check" in out
    text = (tmp_path / "study.yaml").read_text()
    assert "#   cigarettes_per_day: 10 to 19 in phenotype/ratings.tsv" in text
    assert max(map(len, text.splitlines())) <= 120
    with pytest.raises(InputError, match=r"a file of this name.*Nothing is overwritten"):
        init.main(["data"])
    assert (tmp_path / "study.yaml").read_text() == text
    assert init.main(["data", "-o", "other.yaml"]) == 0


def test_dates_decide_the_order_of_the_sessions(tmp_path):
    root = scans(tmp_path / "data", ["01"], sessions=("a", "b"))
    table(
        root / "sub-01/sub-01_sessions.tsv",
        ("session_id", "acq_time"),
        ("ses-a", "2020-03-01"),
        ("ses-b", "2020-01-01"),
    )
    config, questions, problems = composed(root)
    assert (config["sessions"], problems) == ({"baseline": "b", "followup": "a"}, [])
    assert "before treatment" not in " ".join(questions)


def test_numbered_sessions_are_in_the_order_of_their_numbers(tmp_path):
    config, _, problems = composed(scans(tmp_path / "data", ["01"], sessions=("V10", "V2", "V1")))
    assert (config["sessions"], problems) == ({"baseline": "V1", "followup": "V2", "others": ["V10"]}, [])


def test_scans_alone_make_a_study_of_scans(tmp_path):
    config, questions, problems = composed(scans(tmp_path / "data", ["01", "02"]))
    assert problems == []
    assert config["conditions"] == {"cbf": {}}
    assert not {"sessions", "arms", "analyses", "craving"} & set(config)
    assert "there is no participants.tsv" in questions[0]


def test_runs_of_one_state_are_repetitions_and_echoes_are_chosen_from(tmp_path):
    root = scans(tmp_path / "a", ["01"], names=("_acq-rest_run-1", "_acq-rest_run-2", "_acq-tms_run-1"))
    config, questions, problems = composed(root)
    assert (config["conditions"], problems) == ({"rest": {"acquisition": "rest"}, "tms": {"acquisition": "tms"}}, [])
    assert "their CBF is averaged. Are they repetitions?" in " ".join(questions)
    config, questions, problems = composed(scans(tmp_path / "b", ["01"], names=("_echo-1", "_echo-2")))
    assert (config["conditions"], problems) == ({"cbf": {"echo": 1}}, [])
    assert "one has to be chosen. Is it 1?" in " ".join(questions)


def test_runs_without_a_name_are_states_until_somebody_says_otherwise(tmp_path):
    config, questions, problems = composed(scans(tmp_path / "data", ["01"], names=("_run-1", "_run-2")))
    assert (config["conditions"], problems) == ({"state_1": {"run": 1}, "state_2": {"run": 2}}, [])
    assert "If they are repetitions of one state, write one line, such as rest: {}" in " ".join(questions)


def alternating(root, people, rows, names=("_acq-cues",)):
    """Runs long enough for blocks, with a table of events beside each."""
    for label in people:
        for name in names:
            folder, stem = root / f"sub-{label}" / "perf", f"sub-{label}{name}"
            skeleton.run(folder, stem, context=["m0scan"] + ["control", "label"] * 40)
            table(folder / f"{stem}_events.tsv", ("onset", "duration", "trial_type"), *rows)
        skeleton.image(root / f"sub-{label}" / "anat" / f"sub-{label}_T1w.nii.gz", (3, 3, 3))
    return root


CUES = [(6 + 48 * k, 40, ("Smoking cue", "neutral")[k % 2]) for k in range(10)]


@pytest.mark.parametrize("names", [("_acq-cues",), ("_run-1", "_run-2"), ("",)])
def test_events_of_several_conditions_are_suggested_as_blocks(tmp_path, names):
    rows = [*CUES, *[(46 + 48 * k, 8, "fixation") for k in range(9)], (100, 0, "button")]
    config, questions, problems = composed(alternating(tmp_path / "data", ["01", "02"], rows, names))
    own = {"acquisition": "cues"} if "cues" in names[0] else {}
    assert config["conditions"] == {
        "smoking_cue": {**own, "block": "Smoking cue"},
        "neutral": {**own, "block": "neutral"},
    }
    assert config["contrasts"]["smoking_cue_response"] == {"smoking_cue": 1, "neutral": -1}
    assert config["blocks"] == {"ignore": ["button", "fixation"]}
    assert "blocks of Smoking cue (at least 5 a run), neutral (at least 5 a run)" in " ".join(questions)
    assert problems == []


def test_events_of_some_runs_are_asked_about_and_those_without_blocks_are_none(tmp_path):
    root = alternating(tmp_path / "a", ["01", "02"], CUES)
    next(root.rglob("sub-02*_events.tsv")).unlink()
    config, questions, problems = composed(root)
    assert (config["conditions"], problems) == ({"cues": {"acquisition": "cues"}}, [])
    assert "1 of 2 runs have no table of events that can be read" in " ".join(questions)
    config, questions, problems = composed(alternating(tmp_path / "b", ["01"], [(6, 480, "film"), (60, 0, "button")]))
    assert (config["conditions"], problems) == ({"cues": {"acquisition": "cues"}}, [])
    assert "table of events" not in " ".join(questions)


def test_codes_of_arms_are_understood_by_the_data_dictionary_or_asked(tmp_path):
    people = [f"{k:02d}" for k in range(8)]
    root = scans(tmp_path / "data", people, sessions=("1", "2"))
    table(root / "participants.tsv", ("participant_id", "drug"), *((f"sub-{who}", 1 + int(who) % 2) for who in people))
    config, questions, problems = composed(root)
    assert (config["arms"]["treatment"], problems) == ("2", [])
    assert "which of 1, 2 is the control?" in " ".join(questions)
    skeleton.write(root / "participants.json", json.dumps({"drug": {"Levels": {"1": "active", "2": "placebo"}}}))
    config, questions, problems = composed(root)
    assert (config["arms"], problems) == ({"column": "drug", "treatment": "1", "control": "2"}, [])
    assert "is the control?" not in " ".join(questions)


def test_several_columns_that_could_be_the_arm_are_asked(tmp_path):
    people = [f"{k:02d}" for k in range(8)]
    root = scans(tmp_path / "data", people, sessions=("1", "2"))
    rows = [(f"sub-{who}", "ab"[int(who) % 2], "xy"[int(who) // 4]) for who in people]
    table(root / "participants.tsv", ("participant_id", "group", "treatment"), *rows)
    config, questions, problems = composed(root)
    assert problems == []
    assert not {"arms", "analyses"} & set(config)
    assert "which column is the arm? It could be group, treatment" in " ".join(questions)


def test_wide_tables_strangers_and_people_without_a_row(tmp_path):
    people = [f"{k:02d}" for k in range(8)]
    root = scans(tmp_path / "data", people, sessions=("1", "2"))
    rows = [(f"sub-{who}", ("drug", "placebo")[int(who) % 2]) for who in people[:7]]
    table(root / "participants.tsv", ("participant_id", "arm"), *rows)
    table(root / "phenotype/bdi.tsv", ("participant_id", "bdi_1", "bdi_2"), *((f"sub-{k:02d}", k, k) for k in range(9)))
    text = configuration_text.compose(init.look(str(root)))
    assert init.plan_problems(text) == []
    assert yaml.safe_load(text)["participants"] == people[:7]
    endpoint = next(line for line in text.splitlines() if line.startswith("#   bdi: {"))
    written = yaml.safe_load(endpoint.removeprefix("#   "))["bdi"]
    assert (written["score"], written["unknown"]) == ({"1": "bdi_1", "2": "bdi_2"}, "ignore")
    # With the number signs taken off, it is planned.
    assert init.plan_problems(text.replace("# endpoints:", "endpoints:").replace(endpoint, endpoint[2:])) == []


def test_what_only_the_user_can_know_is_said(tmp_path, capsys):
    sidecar = {name: value for name, value in skeleton.SIDECAR.items() if name != "PostLabelingDelay"}
    scans(tmp_path / "data", ["01"], sidecar=sidecar)
    assert init.main(["data"]) == 1
    assert "PostLabelingDelay: found 'nothing'" in capsys.readouterr().out
    assert (tmp_path / "study.yaml").exists()


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("bidz", "no such folder.*Did you mean bids"),
        ("above", "Did you mean above/bids"),
        ("empty", "no perfusion series; images of T1w"),
        ("nothing", "no such folder', expected one folder per participant"),
    ],
)
def test_a_folder_that_is_no_dataset_is_explained(tmp_path, folder, message):
    (tmp_path / "bids").mkdir()
    scans(tmp_path / "above/bids", ["01"])
    skeleton.image(tmp_path / "empty/sub-01/anat/sub-01_T1w.nii.gz", (3, 3, 3))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match=message):
        init.look(folder)


def test_a_run_from_within_the_dataset_puts_its_results_among_the_derivatives(tmp_path, monkeypatch):
    scans(tmp_path / "data", ["01"])
    monkeypatch.chdir(tmp_path / "data")
    config, _, problems = composed(".")
    assert (config["output_dir"], problems) == ("./derivatives/pharmasl", [])


STATES = ("rest", "smoking", "neutral")
MAPS = [
    {"sub": f"{number:02d}", "ses": session, "acq": state}
    for number in range(1, 5)
    for session in ("T1", "T2")
    for state in STATES
]


def test_maps_of_aslprep_beside_raw_data_plan_as_they_are(tmp_path):
    skeleton.dataset(tmp_path / "bids")
    folder = other_programs.aslprep(tmp_path / "bids/derivatives/aslprep", other_programs.of_runs(MAPS))
    config, questions, problems = composed(folder)
    assert problems == []
    assert config["bids_dir"] == "bids"
    assert config["derivatives"] == {"cbf": {"dir": str(folder), "space": "MNI152NLin2009aSym"}}
    assert set(config["conditions"]) == set(STATES)
    assert config["conditions"]["rest"] == {"acquisition": "rest"}
    assert config["sessions"] == {"baseline": "T1", "followup": "T2"}
    assert "anatomy" not in config
    assert not any("maps" in question for question in questions)


def test_maps_without_raw_data_plan_with_the_table_beside_them(tmp_path):
    raw = skeleton.dataset(tmp_path / "bids")
    folder = other_programs.aslprep(tmp_path / "aslprep", other_programs.of_runs(MAPS), version="0.5.1")
    (raw / "participants.tsv").rename(folder / "participants.tsv")
    for path in folder.rglob("*_space-*"):
        path.unlink()
    config, _, problems = composed(folder)
    assert problems == []
    assert config["bids_dir"] == "aslprep"
    assert config["derivatives"]["cbf"]["grid"] == "scan"


def test_maps_on_a_template_that_is_not_at_hand_ask_for_its_files(tmp_path):
    skeleton.dataset(tmp_path / "bids")
    maps = other_programs.of_runs(MAPS, "MNI152NLin2009cAsym")
    folder = other_programs.aslprep(tmp_path / "bids/derivatives/aslprep", maps, "MNI152NLin2009cAsym")
    _, questions, problems = composed(folder)
    assert any("the maps lie on MNI152NLin2009cAsym" in question for question in questions)
    assert any("MNI152NLin2009cAsym" in str(problem) for problem in problems)


def test_maps_of_exploreasl_ask_for_the_version(tmp_path):
    raw = skeleton.dataset(tmp_path / "bids")
    maps = other_programs.of_runs(MAPS, "MNI152NLin2009cAsym")
    folder = other_programs.exploreasl(raw / "derivatives/ExploreASL", maps, {"rest": 1, "smoking": 2, "neutral": 3})
    config, questions, problems = composed(folder)
    assert config["derivatives"]["cbf"]["files"] == "Population/qCBF_sub-{participant}_{session}_ASL_{run}.nii"
    assert len(config["conditions"]) == 3
    assert any("which program made the maps" in question for question in questions)
    assert problems


@pytest.mark.parametrize("prefixed", [False, True])
def test_maps_of_oxasl_plan_with_their_version_and_the_templates_files(tmp_path, prefixed):
    raw = skeleton.dataset(tmp_path / "bids")
    space = "MNI152NLin6Asym"
    folder = other_programs.oxasl(raw / "derivatives/oxasl", other_programs.of_runs(MAPS, space))
    if prefixed:
        for person in list(folder.iterdir()):
            for session in list(person.iterdir()):
                session.rename(session.with_name(f"ses-{session.name}"))
            person.rename(person.with_name(f"sub-{person.name}"))
    config, questions, problems = composed(folder)
    start = "sub-{participant}/ses-{session}" if prefixed else "{participant}/{session}"
    assert config["derivatives"]["cbf"] == {
        "dir": str(folder),
        "files": f"{start}/{{acquisition}}/output/std/calib_voxelwise/perfusion.nii.gz",
        "units": "mL/100 g/min",
        "space": space,
        "mask": f"{start}/{{acquisition}}/output/std/mask.nii.gz",
    }
    assert config["bids_dir"] == "bids"
    assert set(config["conditions"]) == set(STATES)
    assert config["sessions"] == {"baseline": "T1", "followup": "T2"}
    asked = " ".join(questions)
    for words in ("those of oxasl", "participant / session / acquisition", "in which version?", f"lie on {space}"):
        assert words in asked
    assert problems
    # What only the user can know, and no word else.
    shape, affine = other_programs.grid(space, 4.0)
    template = {"space": space}
    for kind in ("t1w", "mask", "gm", "wm"):
        template[kind] = str(other_programs.save(tmp_path / f"{kind}.nii.gz", np.ones(shape), affine))
    config["derivatives"]["cbf"]["generated_by"] = {"name": "oxasl", "version": "0.2.3"}
    assert init.plan_problems(yaml.safe_dump({**config, "template": template})) == []


def test_maps_of_oxasl_in_folders_of_several_depths_are_refused(tmp_path):
    folder = other_programs.oxasl(tmp_path / "oxasl", other_programs.of_runs(MAPS[:2]))
    (folder / "01/T1/rest").rename(folder / "rest")
    with pytest.raises(InputError, match="folders of several depths"):
        init.look(str(folder))


def test_maps_that_no_transform_leads_to_a_template_are_refused(tmp_path):
    folder = other_programs.aslprep(tmp_path / "aslprep", other_programs.of_runs(MAPS[:1]))
    for path in [*folder.rglob("*_space-*"), *folder.rglob("*.h5")]:
        path.unlink()
    with pytest.raises(InputError, match="no transform of an anatomy to a template"):
        init.look(str(folder))
