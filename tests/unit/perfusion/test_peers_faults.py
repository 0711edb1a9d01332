"""Faults found in other programs, which must not occur here.

Those that another test covers already:

- ASLPrep's SCORE stops at the first repeat that is out already (and, its correlations starting at zero, may then pick one
  that is out): ``test_perfusion_artefacts.test_a_repeat_out_already_does_not_end_the_search``; it pools the variance where a
  tissue's share is exactly one: ``...test_no_share_need_be_exactly_one``; it does not take back the removal that raised the
  variance: ``...test_the_last_removal_is_undone``; all at once: ``...test_score_is_the_published_algorithm``.
- ASLPrep's SCRUB weighs by 1 / |x|, without bound: ``test_perfusion_robust.test_no_weight_exceeds_one``; its table ends at
  100 repeats: ``...test_the_prior_is_that_of_scrub[130]``, ``test_perfusion_estimation.test_more_than_a_hundred_pairs``.
- ASLPrep gives zero CBF where the repetition time is zero:
  ``test_perfusion_kinetics.test_a_repetition_time_of_zero_is_an_error_and_never_zero_cbf``.
- ASLPrep counts Q2TIPS to TI2: a choice here, ``test_perfusion_kinetics.test_decay_time_of_each_formula`` and
  ``test_perfusion_estimation.test_q2tips_as_the_manufacturer_counts``.
- pyasl's port of ASLtbx lost the step that keeps the alternation of control and label out of the motion:
  ``test_perfusion_motion.test_perfusion_is_not_mistaken_for_motion``.
- pyasl's port of MRICloud reads each slice one slice early: ``test_perfusion_kinetics.test_slice_delays_grow_from_the_first_slice``,
  ``test_perfusion_quantification.test_slice_timing_follows_the_slice_a_point_lies_in``.
- oxasl_bids ignores the labelling efficiency and background suppression:
  ``test_study_acquisition.test_suppression_pulses_cost_efficiency_unless_the_sidecar_knows_better``.
"""

import ast
import json

import complete_settings
import kinetic_models
import numpy as np
import pytest
import skeleton
from loading import ROOT
from pharmasl.errors import InputErrors
from pharmasl.perfusion import robust_average
from pharmasl.space import images
from quantified import ASL, Files

FACTOR = 6000 * 0.9 * np.exp(1.8 / 1.65) / (2 * 0.85 * 1.65 * (1 - np.exp(-1.8 / 1.65)))
STEM = "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest"


@pytest.fixture
def root(tmp_path):
    return skeleton.dataset(tmp_path / "bids", participants=4, conditions=("rest",))


def resolve(root, **fields):
    path = root / f"{STEM}_asl.json"
    content = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    config = {
        "bids_dir": str(root),
        "output_dir": "out",
        "conditions": {"rest": {"acquisition": "rest"}},
        "participants": ["01"],
        "perfusion": {},
    }
    return complete_settings.read(config).scans[STEM].acquisition.plain()


def quantified(folder, difference):
    """CBF within the brain, and the difference there, of pairs with M0 = 1000."""
    types = ["m0scan", "control", "label", "control", "label"]
    full = np.full(ASL.shape, 1000.0)
    files = Files(folder, acquisition={"volume_types": types}, volumes=[full, *[full, full - difference] * 2])
    made = files.quantify(outliers={"rules": []})
    inside = images.load(made["brain_mask"])[0] > 0
    return images.load(made["cbf"])[0][inside], difference[inside]


def test_cbf_is_not_cut_to_whole_numbers(tmp_path):
    """pyasl's port of ASLtbx: CBF goes into an array of integers and loses half a unit on average."""
    difference = np.round(np.linspace(2, 9, ASL.shape[0]))[:, None, None] * np.ones(ASL.shape)
    cbf, values = quantified(tmp_path, difference)
    assert cbf == pytest.approx(FACTOR * values / 1000, rel=1e-5)
    assert np.abs(cbf - np.trunc(cbf)).max() > 0.3


def test_negative_cbf_stays_negative(tmp_path):
    """pyasl's port of MRICloud: CBF is cut to 0 to 200, so that noise raises the mean of a region."""
    noise = np.random.default_rng(0).normal(0, 10, ASL.shape)
    cbf, values = quantified(tmp_path, noise)
    assert cbf.min() < -100
    assert cbf.mean() == pytest.approx(FACTOR * values.mean() / 1000, rel=1e-3)


def test_units_and_m0_of_the_fit():
    """asltk: a factor of 3.6e6 in place of 6e6 from mL/g/ms to mL/100 g/min, and M0 not divided by the partition coefficient."""
    delays = np.array([0.25, 0.75, 1.25, 1.75])
    # Label that has wholly arrived at 0.1 s: equation 1 of Alsop 2015 backwards, of 60 mL/100 g/min, by hand.
    relative = 60 / 6000 / 0.9 * 2 * 0.85 * 1.65 * np.exp(-delays / 1.65) * (1 - np.exp(-1.8 / 1.65))
    found = kinetic_models.fit(
        relative[None],
        delays,
        kind="continuous",
        bolus=1.8,
        labeling_efficiency=0.85,
        t1_blood=1.65,
        partition_coefficient=0.9,
    )
    assert found.cbf[0] == pytest.approx(60, rel=1e-9)


def test_label_in_tissue_decays_with_the_t1_of_tissue_where_it_is_given():
    """asltk: the T1 of blood stands for that of tissue."""
    # Arrived at 0.8 s, seen 1 s after the last label came in, by hand.
    expected = 2 * 0.85 * 60 / 6000 / 0.9 * np.exp(-0.8 / 1.65) * 1.33 * np.exp(-1 / 1.33) * (1 - np.exp(-1.8 / 1.33))
    found = kinetic_models.continuous_difference(60, 0.8, 1.8, 1.8, 0.85, 1.65, 0.9, t1_tissue=1.33)
    assert found == pytest.approx(expected, rel=1e-12)


def test_delays_count_from_the_end_of_labelling():
    """osipy's fit of several delays: they are counted from the start, so that half the label is not there yet."""
    # Half of a bolus of 1.8 s has come in 0.2 s after labelling, if it takes 1.1 s.
    expected = 2 * 0.85 * 60 / 6000 / 0.9 * np.exp(-1.1 / 1.65) * 1.65 * (1 - np.exp(-0.9 / 1.65))
    assert kinetic_models.continuous_difference(60, 1.1, 0.2, 1.8, 0.85, 1.65, 0.9) == pytest.approx(
        expected, rel=1e-12
    )


def test_no_weight_exceeds_one_beside_the_prior_either():
    """ASLPrep's SCRUB: a repeat at a hundredth of the scale from the estimate gets a weight of 100."""
    series = np.random.default_rng(1).normal(60, 20, (300, 24))
    series[:30] += np.random.default_rng(2).normal(0, 300, (30, 24))
    series[:, 4] = series.mean(axis=1)
    grey = np.ones(300)
    prior = robust_average.tissue_prior(series, np.ones(24, dtype=bool), grey, 0 * grey, 0 * grey)
    _, _, weight = robust_average.mean(series, prior=prior)
    assert weight.max() <= 1


def test_a_repetition_time_of_zero_stops_the_study(root):
    """ASLPrep, issue 654: RepetitionTimePreparation of 0 gives CBF of zero everywhere, and no word."""
    with pytest.raises(InputErrors, match="RepetitionTimePreparation"):
        resolve(root, RepetitionTimePreparation=0)


def test_the_bolus_follows_its_field(root):
    """oxasl_bids: a misspelt name of the field is never found, so that the bolus is the default's."""
    pasl = {"ArterialSpinLabelingType": "PASL", "LabelingDuration": None, "BolusCutOffFlag": True}
    pasl["BolusCutOffTechnique"] = "QUIPSSII"
    assert resolve(root, **pasl, BolusCutOffDelayTime=0.8)["bolus_cutoff_delay"] == 0.8
    assert resolve(root, **pasl, BolusCutOffDelayTime=0.6)["bolus_cutoff_delay"] == 0.6
    with pytest.raises(InputErrors, match="BolusCutOffDelayTime"):
        resolve(root, **pasl, BolusCutOffDelayTime=None)


def test_no_file_of_tests_is_skipped_as_a_whole():
    """oxasl: its tests of calibration and of the fit are skipped at the top of their files."""
    lock = (ROOT / "requirements.lock").read_text()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            text = ast.unparse(node)
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                continue
            assert "pytest.skip" not in text, path
            assert "mark.skip" not in text, path
            if "importorskip" in text:
                # What the lock holds is always there.
                package = ast.literal_eval(node.value.args[0]).split(".")[0]
                assert f"\n{package}==" in lock, path
