"""Which scans are usable: the declared rule, and nothing else."""

import math

import complete_settings
import numpy as np
import pytest
import skeleton
import yaml
from loading import ROOT, shared_data
from pharmasl.errors import InputError, InputErrors
from pharmasl.files import tables
from pharmasl.perfusion import acceptance, across_repeats
from pharmasl.quality import flags, implausible, judgement, measure_columns, metrics
from pharmasl.quality.scan_maps import Motion, NativeMaps, Repeats, TemplateMaps
from pharmasl.space import images, resample, template, transforms
from pharmasl.study import configuration, settings
from scipy import ndimage, stats

DEFAULT = {
    "bands": {},
    "exclude": [],
    "least_pairs": 2,
    "exclude_failed_registration": True,
    "exclude_implausible": True,
}


def rules(**changes):
    return settings.build(settings.ScanRules, {**DEFAULT, **changes})


def reasons(rules, raised, used, acquired, **more):
    findings = judgement.Findings(flags=raised, pairs_used=used, pairs=acquired, registration_accepted=True, **more)
    return judgement.reasons(rules, findings)


def test_the_default_rule_is_that_of_the_schema(tmp_path):
    quality = configuration.resolve({"bids_dir": "a", "output_dir": "b", "conditions": {"rest": {}}})["quality"]
    assert quality == {**DEFAULT, "ratings": None, "exclude_scans": {}, "accept_scans": {}}
    assert settings.build(settings.QualityRules, quality).scan_rules == rules()


@pytest.mark.parametrize(
    ("used", "acquired", "usable"),
    [(2, 2, True), (2, 40, True), (1, 40, False), (1, 2, False), (0, 40, False), (1, 1, True), (0, 1, False)],
)
def test_repeats_that_must_be_left(used, acquired, usable):
    found = reasons(rules(), [], used, acquired)
    assert (found == []) is usable


def test_fewer_repeats_are_never_judged_better_and_the_cause_is_told():
    rule = rules(least_pairs=4)
    for acquired in range(1, 12):
        usable = [not reasons(rule, [], used, acquired) for used in range(acquired + 1)]
        assert usable == sorted(usable)
    found = reasons(rule, [], 1, 10, left_out_by="motion 8, far off 1")
    assert found == ["1 of 10 repeats usable, fewer than 4: motion, far off"]


def test_no_flag_excludes_by_default_and_each_does_where_listed():
    every = [f"{name}:{side}" for name in flags.BANDS for side in ("low", "high", "missing")]
    assert reasons(rules(), every, 30, 30) == []
    for name in flags.BANDS:
        rule = rules(exclude=[name])
        assert len(reasons(rule, every, 30, 30)) == 3
        assert reasons(rule, [], 30, 30) == []


def test_a_rule_that_could_never_exclude_is_refused():
    with pytest.raises(InputError, match=r"quality\.exclude: found 'temporal_snr'.*quality\.bands\.temporal_snr"):
        judgement.check(rules(exclude=["temporal_snr"]))
    judgement.check(rules(exclude=["temporal_snr"], bands={"temporal_snr": [1, None]}))
    with pytest.raises(InputError, match="gm_cbf"):
        judgement.check(rules(exclude=["gm_cbf"], bands={"gm_cbf": None}))


def test_the_rule_in_words():
    rule = rules(exclude=["fd_mean", "qei"], exclude_implausible=False)
    assert judgement.in_words(rule) == (
        "A scan was excluded if it was named in the configuration, or if fewer than 2 of its repeats were usable (if acquired as "
        "one repeat: none), or if its registration was not accepted, or if mean framewise displacement was outside its "
        "acceptance range, or if quality evaluation index was outside its acceptance range. The configuration may "
        "still accept a scan by name, with a reason."
    )
    assert f"or if {implausible.in_words()}. The" in judgement.in_words(rules())


def test_the_schema_knows_the_measures():
    schema = yaml.safe_load((ROOT / "config/schemas/config.schema.yaml").read_text(encoding="utf-8"))
    assert schema["$defs"]["measure"]["enum"] == list(measure_columns.METRICS)
    base = {"bids_dir": "a", "output_dir": "b", "conditions": {"rest": {}}}
    for quality in ({"bands": {"qie": [0, 1]}}, {"exclude": ["qie"]}, {"least_pairs": 0}, {"exclude_scans": {"a": ""}}):
        with pytest.raises(InputErrors, match="quality"):
            configuration.resolve({**base, "quality": quality})


def read(root, names, **changes):
    config = {**skeleton.config(root), "quality": {"exclude_scans": names}, **changes}
    return complete_settings.read(config)


def test_a_scan_excluded_by_name_stays_in_the_plan_with_its_reason(tmp_path):
    root = skeleton.dataset(tmp_path / "bids")
    study = read(root, {"sub-01_ses-T1_acq-rest": "label lost halfway"})
    assert len(study.scans) == len(complete_settings.read(skeleton.config(root)).scans)
    assert study.members("rest_interaction") == ["01", "02", "03", "04"]
    targets = complete_settings.targets(study)

    def reason(name):
        return targets.scans.exclusion_reason(f"sub-01/ses-T1/perf/{name}")

    assert reason("sub-01_ses-T1_acq-rest") == "label lost halfway"
    assert reason("sub-01_ses-T1_acq-smoking") is None


def test_scans_rated_poor_have_their_reason_and_are_on_record(tmp_path):
    root = skeleton.dataset(tmp_path / "bids")
    poor, good = "sub-01_ses-T1_acq-rest", "sub-02_ses-T1_acq-rest"
    table = tmp_path / "ratings.tsv"
    table.write_text(f"scan\trating\treason\trater\n{poor}\tpoor\tghosts\tAB\n{good}\tgood\tn/a\tAB\n")
    study = read(root, {}, quality={"ratings": str(table)})
    targets = complete_settings.targets(study)
    assert targets.scans.rating_reason(f"sub-01/ses-T1/perf/{poor}") == "rated poor: ghosts"
    assert targets.scans.rating_reason(f"sub-02/ses-T1/perf/{good}") is None
    assert study.declared["quality"]["rated_poor"] == {poor: "rated poor: ghosts"}
    # Another table under the same name is another declaration.
    table.write_text("scan\trating\treason\n")
    later = read(root, {}, quality={"ratings": str(table)})
    assert later.config == study.config
    assert later.declared != study.declared
    assert read(root, {}, quality={}).declared == read(root, {}, quality={}).config


def test_a_misspelt_name_is_an_error_with_close_names(tmp_path):
    root = skeleton.dataset(tmp_path / "bids")
    with pytest.raises(InputErrors, match=r"exclude_scans.*Did you mean .*sub-01_ses-T1_acq-rest") as caught:
        read(root, {"sub-01_ses-T1_acq-rset": "motion"})
    assert len(caught.value.errors) == 1
    with pytest.raises(InputErrors, match=r"study/scans\.tsv"):
        read(root, {"xyz": "motion"})


def test_scans_accepted_by_name_are_the_studys_own_and_not_excluded_too(tmp_path):
    root = skeleton.dataset(tmp_path / "bids")
    name = "sub-01_ses-T1_acq-rest"
    study = read(root, {}, quality={"accept_scans": {name: "seen by eye"}})
    assert complete_settings.targets(study).scans.acceptance_reason(f"sub-01/ses-T1/perf/{name}") == "seen by eye"
    with pytest.raises(InputErrors, match=r"quality\.accept_scans\.sub-01_ses-T1_acq-rset.*Did you mean"):
        read(root, {}, quality={"accept_scans": {"sub-01_ses-T1_acq-rset": "seen"}})
    with pytest.raises(InputErrors, match=r"accept_scans\.sub-01_ses-T1_acq-rest: found 'in exclude_scans too'"):
        read(root, {}, quality={"accept_scans": {name: "good"}, "exclude_scans": {name: "bad"}})


def test_a_study_cut_down_to_some_participants_keeps_its_list(tmp_path):
    root = skeleton.dataset(tmp_path / "bids", participants=5)
    named = {"sub-05_ses-T1_acq-rest": "motion"}
    assert len(read(root, named, participants=["01", "02", "03", "04"]).scans) == 4 * 6
    with pytest.raises(InputErrors, match="exclude_scans"):
        read(root, {"sub-06_ses-T1_acq-rest": "motion"}, participants=["01", "02", "03", "04"])


def test_the_overlap_that_is_flagged_is_the_one_that_is_not_accepted():
    assert flags.BANDS["registration_overlap"] == (acceptance.LEAST_OVERLAP, None)


def test_signal_over_its_error_is_the_normal_quantile_of_t():
    rng = np.random.default_rng(0)
    for n in (2, 3, 40):
        values = rng.normal(3, 5, n)
        test = stats.ttest_1samp(values, 0, alternative="greater")
        assert across_repeats.repeats_z(values) == pytest.approx(stats.norm.isf(test.pvalue), rel=1e-8)
        assert across_repeats.repeats_z(-values) == -across_repeats.repeats_z(values)
    assert across_repeats.repeats_z(np.full(99, 60.0) + 1e-9 * rng.normal(size=99)) > 30
    for values in ([], [5.0], [5.0, 5.0]):
        assert math.isnan(across_repeats.repeats_z(values))


def test_without_signal_one_scan_in_twenty_passes_however_few_the_repeats():
    rng = np.random.default_rng(1)
    low, _ = flags.BANDS["gm_cbf_z"]
    for n in (2, 3, 30):
        passed = np.mean([across_repeats.repeats_z(values) >= low for values in rng.normal(size=(4000, n))])
        # Four binomial standard errors of 4000 draws at 0.05.
        assert abs(passed - 0.05) < 0.014


def test_a_single_repeat_by_acquisition_is_not_flagged_for_what_it_cannot_have():
    measures = dict.fromkeys(measure_columns.METRICS, math.nan)
    bands = {"gm_cbf_z": (1.645, None)}
    assert flags.flags({**measures, "pairs": 1, "delays": 1}, bands) == []
    assert flags.flags({**measures, "pairs": 6, "delays": 6}, bands) == []
    assert flags.flags({**measures, "pairs": 2, "delays": 1}, bands) == ["gm_cbf_z:missing"]


def test_what_differs_between_delays_is_no_noise():
    delays = np.repeat([0.5, 1.5, 2.5], 4)
    level = np.repeat([20.0, 60.0, 40.0], 4)
    noise = np.tile([-3.0, -1, 1, 3], 3)
    # Sum of squares 3 x 20 with 12 - 3 degrees of freedom.
    spread, freedom = across_repeats.spread_across(level + noise, delays)
    assert (float(spread), freedom) == (pytest.approx(math.sqrt(60 / 9), rel=1e-12), 9)
    assert across_repeats.temporal_snr((level + noise)[np.newaxis], delays) == pytest.approx(
        40 / math.sqrt(60 / 9), rel=1e-12
    )
    t = 40 / (math.sqrt(60 / 9) / math.sqrt(12))
    assert across_repeats.repeats_z(level + noise, delays) == pytest.approx(stats.norm.isf(stats.t.sf(t, 9)), rel=1e-9)
    one_each = np.arange(12.0)
    assert across_repeats.spread_across(level + noise, one_each) == (None, 0)
    assert math.isnan(across_repeats.repeats_z(level + noise, one_each))
    # One delay for all is a plain standard deviation, to the bit.
    assert across_repeats.spread_across(noise, np.full(12, 1.8))[0] == noise.std(ddof=1)


def raw_measures(folder):
    """Measures of a raw series of M0 and pairs on its own grid, all of the object taken for grey matter."""
    (path,) = folder.glob("sub-*/perf/*_asl.nii.gz")
    data, affine = images.load(path)
    context = tables.read_table(str(path).replace("_asl.nii.gz", "_aslcontext.tsv"))
    kinds = np.array([row["volume_type"] for row in context])
    m0 = data[..., kinds == "m0scan"].mean(axis=3)
    inside = ndimage.binary_erosion(m0 > 0.3 * np.percentile(m0, 99), iterations=2)
    difference = data[..., kinds == "control"] - data[..., kinds == "label"]
    # Alsop 2015 with a labelling duration and delay of 1.8 s at 3 T.
    series = np.where(inside[..., np.newaxis], 8630 * difference / np.where(inside, m0, 1)[..., np.newaxis], 0)
    grey, nothing = inside.astype(np.float32), np.zeros(inside.shape, dtype=np.float32)
    cbf, kept, delays = series.mean(axis=3), np.ones(series.shape[3], dtype=bool), np.zeros(series.shape[3])
    across = across_repeats.measure(cbf[inside], series[inside], grey[inside], kept, delays)
    return metrics.scan_metrics(
        native=NativeMaps(cbf=cbf, brain=inside, gm=grey, wm=nothing, csf=nothing, affine=affine),
        repeats=Repeats(passed=kept, delays=delays, gm_cbf_z=across.gm_cbf_z, temporal_snr=across.temporal_snr),
        motion=Motion(displacement=np.array([0.1]), dvars=np.array([1.0])),
        template=TemplateMaps(cbf=cbf, coverage=inside, brain=inside, gm=grey, affine=affine),
        overlap=0.9,
    )


def test_a_water_phantom_has_no_perfusion_signal_and_a_brain_of_the_same_protocol_has():
    water = raw_measures(shared_data("data", "phantom-xa30-pcasl"))
    brain = raw_measures(shared_data("data", "siemens-xa30-pcasl"))
    assert abs(water["gm_cbf_z"]) < 1.96
    found = {flag.split(":")[0]: flag for flag in flags.flags(water, flags.BANDS)}
    assert found["gm_cbf_z"] == "gm_cbf_z:low"
    assert abs(water["gm_cbf"]) < 1
    assert brain["gm_cbf_z"] > 2
    assert "gm_cbf_z:low" not in flags.flags(brain, flags.BANDS)


def test_the_mean_of_291_people_is_within_the_bands_and_the_same_map_displaced_is_not():
    folder = shared_data("data", "rcbf-template-mni")
    cbf, affine = images.load(folder / "rCBF_291control_MNI_s12mm_ave.nii.gz")
    brain = images.load(folder / "rCBF_291control_MNI_brainmask.nii.gz")[0] > 0
    # Relative to the whole brain's mean; smoothed by 12 mm, so every second voxel tells all.
    cbf, brain = 50 * np.nan_to_num(cbf)[::2, ::2, ::2], brain[::2, ::2, ::2]
    grid = images.Grid(cbf.shape, affine @ np.diag([2, 2, 2, 1]))
    _, mask, maps, fine = template.tissue_maps()
    points = transforms.points(grid)
    gm, wm, csf = (resample.resample(maps[name], fine, points, fill=0) for name in ("GM", "WM", "CSF"))
    inside = resample.resample(mask.astype(np.float32), fine, points, fill=0) > 0.5

    def found(values):
        one = np.ones(1, dtype=bool)
        measures = metrics.scan_metrics(
            native=NativeMaps(cbf=values, brain=brain, gm=gm, wm=wm, csf=csf, affine=grid.affine),
            repeats=Repeats(passed=one, delays=np.zeros(1)),
            motion=Motion(displacement=np.array([0.1]), dvars=np.array([1.0])),
            template=TemplateMaps(cbf=values, coverage=values > 0, brain=inside, gm=gm, affine=grid.affine),
            overlap=0.9,
        )
        return flags.flags(measures, flags.BANDS)

    # Its field of view has fewer slices than the template; all else is as it should be.
    assert found(cbf) == ["coverage:low"]
    for wrong in (np.roll(cbf, 4, axis=2), np.ascontiguousarray(cbf[:, :, ::-1])):
        assert {"qei:low", "template_correlation:low"} <= set(found(wrong))
