"""The reporting checklist: answered from the study where it can be, and left to the authors where it cannot."""

import pytest
from pharmasl.files import tables
from pharmasl.perfusion import kinetics
from pharmasl.report import checklist, checklist_imaging, methods_section
from pharmasl.report.checklist import Conduct
from pharmasl.report.checklist_imaging import Imaging
from pharmasl.report.checklist_item import UNKNOWN
from pharmasl.study import configuration, settings
from pharmasl.study.sheets import TEMPLATE_ANATOMY
from reported import CONFIG, constant, inference, sidecar

PCASL = {
    "labeling_type": "PCASL",
    "labeling_duration": "1.8",
    "post_labeling_delay": "1.8",
    "background_suppression": "true",
    "suppression_pulses": "2",
    "field_strength": "3.0",
    "repetition_time": "5.0",
    "echo_time": "0.012",
    "m0_type": "Included",
    "m0_repetition_time": "10.0",
}
PASL = {
    "labeling_type": "PASL",
    "post_labeling_delay": "1.8",
    "bolus_cutoff_technique": "Q2TIPS",
    "bolus_cutoff_delay": "0.7",
}


def study(**changes):
    asked = {name: value for name, value in {**CONFIG, **changes}.items() if value is not None}
    return settings.read(configuration.resolve(asked))


def scans(*acquisitions):
    return [
        {"participant_id": f"sub-{k}", "anatomy": "the participant's", **acquisition}
        for k, acquisition in enumerate(acquisitions)
    ]


def flow_row(stage, arm, n, of=None, cause=None):
    row = {"stage": stage, "of": of, "session_id": None, "arm": arm, "n": n, "cause": cause}
    return {**row, "reason": "no file /data/jane/x.nii", "participants": "sub-1"}


FLOW = [
    flow_row("randomised", "baclofen", 6),
    flow_row("randomised", "placebo", 5),
    flow_row("scanned", "baclofen", 6),
    flow_row("scanned", "placebo", 4),
    flow_row("not scanned", "placebo", 1, cause="not scanned"),
    flow_row("analysed", "baclofen", 5, of="rest_interaction"),
    flow_row("left out", "baclofen", 1, of="rest_interaction", cause="scan excluded"),
]
RECORD = [
    "The trial was unblinded on 1 May.",
    "This page does not use it; what changed: 1 file of the code (scripts/x.py).",
]


def answers(own, rows, *, sidecars=None, imported=(), flow=FLOW, allocation=RECORD, blocks=None):
    imaging = Imaging(
        scans=rows,
        sidecars=[sidecar()] * len(rows) if sidecars is None else sidecars,
        imported=imported,
        blocks=blocks or {},
        versions={"numpy": "2.4.0"},
    )
    lost = [{"participant_id": "sub-9", "reason": "poor"}]
    conduct = Conduct(flow=flow, exclusions=[], unusable=lost, allocation=allocation)
    return {item.topic: item for item in checklist.items(own, conduct, imaging)}


def words(items):
    return {topic: item.words.replace("\u00a0", " ") for topic, item in items.items()}


def test_a_trial_of_pcasl_is_answered_from_its_own_tables():
    filled = words(answers(study(), scans(PCASL, PCASL)))
    assert filled["Labelling type"] == "PCASL."
    assert filled["Labelling duration or bolus"] == "Labelling duration 1.8 s."
    assert filled["Post-labelling delay"] == "1.8 s."
    assert filled["Background suppression"].startswith("Suppressed: yes; pulses: 2. State also:")
    assert filled["Field strength"].startswith("3 T. State also: vendor")
    assert filled["Voxel size and matrix"] == "Voxels 3 x 3 x 5 mm; matrix 64 x 64 x 20."
    assert filled["Readout"].startswith("Repetition time 5 s; echo time 0.012 s; slice by slice")
    assert filled["M0"].startswith("M0 was taken from a separate M0 image")
    assert filled["M0"].endswith("Repetition time 10 s; type Included.")
    assert "labelling efficiency 0.81" in filled["Quantification model and constants"]
    assert "2 of 24 pairs" in filled["Motion and excluded pairs"]
    assert filled["Smoothing"].startswith("Gaussian kernel of 6 mm FWHM")
    assert filled["Software and versions"].startswith("Software: numpy 2.4.0")
    assert filled["Scans and exclusions"].startswith(
        "2 scans of 2 participants quantified; 1 scan excluded for quality"
    )


def test_a_trial_has_all_items_of_consort():
    items = answers(study(), scans(PCASL))
    numbers = {item.source.split("item ")[1].split(";")[0] for item in items.values() if "CONSORT" in item.source}
    lettered = {1: "ab", 5: "ab", 12: "ab", 16: "ab", 17: "ab", 20: "ab", 21: "abcd", 22: "ab", 23: "ab", 24: "ab"}
    every = {f"{number}{letter}" for number in range(1, 31) for letter in lettered.get(number, ("",))}
    # Of clinical endpoints and of a sensitivity analysis, which this study has not.
    assert every - numbers == {"21a", "21d"}
    assert not items["Background and rationale"].is_known


def test_a_pulsed_study_has_a_bolus_and_an_inversion_time():
    pulsed = {**sidecar(), "Equation": kinetics.PULSED, "Constants": {"bolus_duration": constant(0.7, "s")}}
    filled = words(answers(study(), scans(PASL, PASL), sidecars=[pulsed] * 2))
    assert filled["Labelling duration or bolus"] == "Bolus cut-off Q2TIPS; delay of the bolus cut-off 0.7 s."
    assert filled["Post-labelling delay (PASL: inversion time)"] == "1.8 s."
    assert "bolus duration 0.7 s" in filled["Quantification model and constants"]
    # Nothing is said of what no sidecar says.
    assert filled["Background suppression"] == UNKNOWN


def test_several_delays_are_listed_and_scans_that_differ_are_counted():
    many = {**PCASL, "post_labeling_delay": "0.5 1.0 1.5"}
    assert words(answers(study(), scans(many, many)))["Post-labelling delay"] == "0.5, 1, 1.5 s."
    filled = words(answers(study(), scans(PCASL, many, {**PCASL, "post_labeling_delay": None})))
    assert filled["Post-labelling delay"] == ("1.8 s (1 scan); 0.5, 1, 1.5 s (1 scan); not stated for 1 scan.")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([None, None], ""),
        (["1.50", "1.5"], "1.5 s"),
        (["1", "2", "2"], "1 s (1 scan); 2 s (2 scans)"),
        (["1", "5", "2", "4", "3"], "1 to 5 s (5 different values)"),
    ],
)
def test_values_of_scans_in_words(values, expected):
    assert checklist_imaging.tallied(values, "s") == expected


def test_numbers_of_each_arm_come_from_the_flow_without_names_or_paths():
    items = answers(study(), scans(PCASL))
    filled = words(items)
    assert filled["Numbers randomised, scanned and analysed, by arm"] == (
        "Randomised: 6 on baclofen and 5 on placebo. Scanned: 6 on baclofen and 4 on placebo. Analysed (rest interaction): 5 on "
        "baclofen."
    )
    assert filled["Losses and exclusions after randomisation, by arm"] == (
        "Not scanned: 1 on placebo (not scanned); left out of rest interaction: 1 on baclofen (scan excluded)."
    )
    assert filled["Who was blinded: data analysis"].startswith(
        "The trial was unblinded on 1 May. This page does not use it."
    )
    everything = " ".join(filled.values())
    assert not any(secret in everything for secret in ("jane", ".nii", "scripts", "sub-"))
    assert items["Losses and exclusions after randomisation, by arm"].source == "CONSORT 2025, item 22b"


def test_outcomes_inference_and_missing_data_come_from_what_was_declared_and_run():
    own = study(primary={"answers": ["rest_interaction", "craving"]})
    block = inference(CONFIG["analyses"]["rest_interaction"])
    filled = words(answers(own, scans(PCASL), blocks={"rest_interaction": block}))
    assert "Holm's step-down method" in filled["Primary and secondary outcomes, and multiplicity"]
    tested = filled["Inference: permutations, cluster-forming threshold, correction"]
    assert tested == (
        "All 70 relabellings; clusters formed at p < 0.001 with 18 neighbours; two-sided; cluster extent decides, at a "
        "family-wise error of 0.05."
    )
    assert filled["Models of whole-brain analyses"] == "Rest interaction: change ~ arm (8 participants)."
    assert "rest interaction: 1 participant left out, 8 analysed" in filled["Missing data"]
    assert "Declared: cluster one and insula." in filled["Regions of interest"]


def test_a_study_without_arms_is_asked_for_no_randomisation():
    alone = {"arms": None, "analyses": {}, "conjunctions": {}, "craving": None, "rois": {}}
    items = answers(study(**alone), scans({**PCASL, "anatomy": TEMPLATE_ANATOMY}), flow=[], allocation=[])
    assert not any("CONSORT" in item.source for item in items.values())
    assert "Concealment of the allocation" not in items
    assert "Models of whole-brain analyses" not in items
    assert items["Ethics approval and consent"].words == UNKNOWN
    assert "greedy" not in items["Template and registration"].words


def test_a_blinded_run_says_so_and_shows_nothing_of_the_allocation():
    items = answers(study(blinded=True), scans(PCASL), allocation=[])
    assert items["Who was blinded: data analysis"].words.startswith(
        "This run is blinded: its arms are a sham allocation"
    )
    assert not items["Changes after the trial began"].is_known
    assert not any("unblinded" in item.words for item in items.values())


def test_what_is_left_to_the_authors_stands_out_and_the_file_has_the_same_words(tmp_path):
    rows = list(answers(study(), scans(PCASL)).values())
    table = checklist.table(rows, tmp_path / checklist.NAME)
    unknown = [place for place, row in enumerate(table.rows) if row[2] == UNKNOWN]
    assert unknown == sorted(table.marked)
    assert table.rows[unknown[0]][0] == "Identification as a randomised trial in the title"
    checklist.write(tmp_path / checklist.NAME, rows)
    written = tables.read_table(tmp_path / checklist.NAME)
    assert [list(row.values()) for row in written] == [list(row) for row in table.rows]
    assert set(tables.read_json(tmp_path / "checklist.json")) == {"item", "source", "study"}


def test_a_study_of_craving_answers_the_checklist_of_cue_reactivity_and_others_are_not_asked():
    own = study(
        craving={"table": "phenotype/craving.tsv", "before": "pre", "after": ["post_1", "post_2"], "range": [0, 100]},
        conditions={name: {"acquisition": name} for name in ("rest", "smoking", "neutral")},
        contrasts={"rest": {"rest": 1}, "cue": {"smoking": 1, "neutral": -1}},
        analyses={"cue_interaction": {"contrast": "cue", "effect": "group_by_time"}},
        conjunctions=None,
        rois=None,
    )
    blocks = {"cue_interaction": inference({"name": "cue_interaction", "contrast": "cue", "effect": "group_by_time"})}
    filled = answers(own, scans(PCASL), blocks=blocks)
    asked = {topic: item for topic, item in filled.items() if "ENIGMA-ACRI" in item.source}
    categories = {item.source.partition("), ")[2] for item in asked.values()}
    assert len(categories) == 7
    assert asked["Handedness"].words == UNKNOWN
    response = asked["Whole-brain response to drug cues"].words
    assert response == "Contrast of states: cue; tested over the whole brain in cue interaction."
    inside = asked["Craving inside the scanner: whether, when and by which instrument it was assessed"].words
    assert inside.startswith(
        "Rated before the cues (pre) and after them (post_1 and post_2), from 0 to 100. State also: "
    )
    assert not any("ENIGMA-ACRI" in item.source for item in answers(study(craving=None), scans(PCASL)).values())


def test_a_program_that_fitted_nothing_is_not_named_as_software():
    versions = {"numpy": "2.4.0", "picsl-greedy": "1.4"}
    on_template = [{**row, "anatomy": TEMPLATE_ANATOMY} for row in scans(PCASL)]
    assert "picsl-greedy" in methods_section.software(versions, study(), scans(PCASL))
    assert "picsl-greedy" not in methods_section.software(versions, study(), on_template)
    ready_made = [{"participant_id": "sub-1", "condition": "pain"}]
    assert "picsl-greedy" not in methods_section.software(versions, study(), ready_made)
