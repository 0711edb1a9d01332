"""The simulator's scripts on a trial of two and a head of 8 mm voxels."""

import copy
import dataclasses
import hashlib
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
import scanned
import simulation
import yaml
from loading import ROOT, script
from pharmasl.files import bids, tables
from pharmasl.perfusion import scan_field
from pharmasl.simulate import (
    dataset,
    distortion_comparison,
    participant_anatomy,
    planned_trial,
    susceptibility,
    trial_draws,
)
from pharmasl.simulate.accuracy import PersonFiles, RunFiles
from pharmasl.simulate.distortion_comparison import FieldFiles
from pharmasl.space import images, resample, transforms
from pharmasl.study import field_maps, scan_acquisition, schemas, settings
from pharmasl.study.distortion import Distortion

SMALL = {
    "exact": True,
    "people": {"treatment": 1, "control": 1},
    "anatomy": {"voxel_size": 8},
    "perfusion": {"matrix": [14, 16, 9], "voxel_size": [14, 14, 18], "pairs": 2, "slice_time": 0.05},
}

NO_FIELD = settings.build(susceptibility.Susceptibility, simulation.section()["distortion"])


class Namespace(SimpleNamespace):
    """A list with names, as Snakemake gives."""


def trial_outputs(root):
    for folder in ("bids/phenotype", "truth/regions"):
        (root / folder).mkdir(parents=True)
    return Namespace(
        description=root / "bids/dataset_description.json",
        readme=root / "bids/README",
        ignore=root / "bids/.bidsignore",
        participants=root / "bids/participants.tsv",
        craving=root / "bids/phenotype/craving.tsv",
        smoking=root / "bids/phenotype/smoking.tsv",
        plan=root / "truth/participants.tsv",
        scans=root / "truth/scans.tsv",
        effects=root / "truth/effects.tsv",
        **{name: root / f"truth/regions/{name}.nii.gz" for name in ("dlpfc", "insula", "vmpfc")},
    )


def participant_outputs(root, name, runs=range(6), field_names=()):
    head = root / "bids" / name / "ses-T1" / "anat"
    stems = [f"ses-{s}/perf/{name}_ses-{s}_acq-{c}" for s in ("T1", "T2") for c in trial_draws.CONDITIONS]
    stems = [stems[run] for run in runs]
    for folder in (
        head,
        root / "truth" / name,
        *(root / part / name / f"ses-{s}" / "perf" for part in ("bids", "truth") for s in ("T1", "T2")),
    ):
        folder.mkdir(parents=True)
    raw, truth = root / "bids" / name, root / "truth" / name
    maps = [raw / f"ses-{s}/fmap/{name}_ses-{s}_{own}" for s in ("T1", "T2") for own in field_names]
    for path in maps:
        path.parent.mkdir(exist_ok=True)
    return Namespace(
        t1w=head / f"{name}_ses-T1_T1w.nii.gz",
        t1w_sidecar=head / f"{name}_ses-T1_T1w.json",
        asl=[raw / f"{stem}_asl.nii.gz" for stem in stems],
        asl_sidecar=[raw / f"{stem}_asl.json" for stem in stems],
        aslcontext=[raw / f"{stem}_aslcontext.tsv" for stem in stems],
        events=[],
        states=[],
        field_map=[f"{path}.nii.gz" for path in maps],
        field_map_sidecar=[f"{path}.json" for path in maps],
        hertz=[truth / "fieldmap.nii.gz"] if maps else [],
        mask=truth / "mask.nii.gz",
        gm=truth / "gm.nii.gz",
        wm=truth / "wm.nii.gz",
        field=truth / "field.nii.gz",
        motion=[truth / f"{stem}_motion.txt" for stem in stems],
        coregistration=[truth / f"{stem}_placement.txt" for stem in stems],
        cbf=[truth / f"{stem}_cbf.nii.gz" for stem in stems],
        att=[],
    )


def simulate(root, asked=SMALL, runs=range(6), field_names=()):
    params = Namespace(
        settings=simulation.params(simulation.TRIAL, **copy.deepcopy(asked)),
        atlas=simulation.ATLAS,
        arms=simulation.ARMS,
        sessions=simulation.SESSIONS,
    )
    drawn = trial_outputs(root)
    drawn.planted = [root / f"truth/regions/{name}.nii.gz" for name in asked.get("planted", {})]
    script("simulate_trial").main(Namespace(input=Namespace(), output=drawn, params=params, threads=1))
    made = participant_outputs(root, "sub-01", runs, field_names)
    script("simulate_participant").main(
        Namespace(
            input=Namespace(plan=drawn.plan, scans=drawn.scans),
            output=made,
            params=Namespace(
                subject="01",
                settings=simulation.params(simulation.PARTICIPANT, **copy.deepcopy(asked)),
                atlas=simulation.ATLAS,
            ),
            threads=1,
        )
    )
    return drawn, made


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    root = tmp_path_factory.mktemp("trial")
    whole, small = participant_anatomy.read_template, participant_anatomy.read_template(step=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(participant_anatomy, "read_template", lambda: small)
        made = simulate(root), simulate(tmp_path_factory.mktemp("again"))
    assert participant_anatomy.read_template is whole
    return root, *made, small


def test_same_seed_same_bytes(simulated):
    _, first, second, _ = simulated
    for one, two in zip(first, second):
        for key, value in vars(one).items():
            paths = value if isinstance(value, list) else [value]
            others = vars(two)[key] if isinstance(value, list) else [vars(two)[key]]
            for path, other in zip(paths, others):
                assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest(), key


def at_random(tmp_path, small, name, **changes):
    """A trial of two drawn at random: its outputs and the rows of the first person's scans."""
    asked = {**SMALL, "exact": False, "missing": {"scan": 0.3}, **changes}
    section = {"truth_dir": "truth", **copy.deepcopy(asked)}
    groups = planned_trial.groups(planned_trial.complete(section), simulation.arms(), simulation.sessions())
    (runs,) = [group.runs for group in groups if "01" in group.subjects]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(participant_anatomy, "read_template", lambda: small)
        drawn, made = simulate(tmp_path / name, asked, runs)
    return drawn, made, runs


def test_a_trial_at_random_has_its_own_effects_and_lacks_what_is_missing(simulated, tmp_path):
    planted = {
        "drug": {"everywhere": True, "amount": 12.0, "arm": "both", "conditions": ["rest"], "session": "baseline"}
    }
    drawn, made, runs = at_random(tmp_path, simulated[3], "with", planted=planted)
    without = at_random(tmp_path, simulated[3], "without")[1]
    assert 0 < len(runs) < 6
    assert all(path.is_file() for path in made.asl)
    scans = [row for row in tables.read_table(drawn.scans) if row["participant_id"] == "sub-01"]
    assert [int(row["run"]) for row in scans if row["present"] == "yes"] == list(runs)
    np.testing.assert_array_equal(images.load(drawn.planted[0]).data, 1)
    for run, one, two in zip(runs, made.cbf, without.cbf):
        with_effect, plain = images.load(one).data, images.load(two).data
        inside = np.isfinite(plain)
        # Of grey matter's 60; the regional variation is the same with and without.
        gain = np.median((with_effect - plain)[inside] / plain[inside])
        assert gain == pytest.approx(12 / float(scans[run]["gm_cbf"]) if run == 0 else 0, abs=0.05)
    assert made.motion[0].read_bytes() == without.motion[0].read_bytes()
    for one, two in zip(made.asl[1:], without.asl[1:]):
        assert one.read_bytes() == two.read_bytes()


def test_a_scan_whose_labelling_failed_has_a_tenth_of_the_signal(simulated, tmp_path):
    quiet = {
        "perfusion": {
            **SMALL["perfusion"],
            "noise": 0.0,
            "fluctuation": 0.0,
            "perfusion_fluctuation": 0.0,
            "slice_time": 0,
        }
    }
    quiet |= {"missing": {"scan": 0.0}}
    good = at_random(tmp_path, simulated[3], "good", **quiet)[1]
    bad = at_random(tmp_path, simulated[3], "bad", **{**quiet, "missing": {"failed": 1.0}})[1]
    signal = []
    for made in (good, bad):
        data = images.load(made.asl[0]).data
        signal.append((data[..., 1::2].mean(-1) - data[..., 2::2].mean(-1))[data[..., 0] > 500].mean())
    assert signal[1] / signal[0] == pytest.approx(0.1, abs=0.02)


def test_dataset_is_read_by_its_names(simulated):
    found = bids.read_dataset(simulated[0] / "bids")
    assert found.subjects == ("01",)
    assert len(found.images("T1w")) == 1
    runs = found.images("asl")
    assert [(f.entities["ses"], f.entities["acq"]) for f in runs] == sorted(
        (session, condition) for session in ("T1", "T2") for condition in trial_draws.CONDITIONS
    )


def test_runs_and_their_metadata_agree(simulated):
    made = simulated[1][1]
    for image, sidecar, context in zip(made.asl, made.asl_sidecar, made.aslcontext):
        header = nibabel.load(image)
        fields = tables.read_json(sidecar)
        types = [row["volume_type"] for row in tables.read_table(context)]
        assert header.shape == (14, 16, 9, 5)
        assert header.header.get_zooms()[:3] == pytest.approx((14, 14, 18))
        assert types == ["m0scan", "control", "label", "control", "label"]
        assert len(fields["RepetitionTimePreparation"]) == 5
        assert len(fields["SliceTiming"]) == 9
        assert fields["TotalAcquiredPairs"] == 2
        assert fields["BackgroundSuppression"] is True
        assert fields["AcquisitionVoxelSize"] == [14, 14, 18]
        assert not schemas.check(fields, "asl", sidecar)
        data = np.asarray(header.dataobj)
        brain = data[..., 0] > 500
        # Label lies below control, by what 60 mL/100 g/min at this delay make of M0: near 0.7 %.
        share = (data[..., 1::2].mean(-1) - data[..., 2::2].mean(-1))[brain].mean() / data[..., 0][brain].mean()
        assert 0.002 < share < 0.01


def test_sidecar_tells_the_readout():
    scanner = simulation.participant(**copy.deepcopy(SMALL)).perfusion
    fields = dataset.asl_sidecar(scanner, NO_FIELD)
    assert fields["MRAcquisitionType"] == "2D"
    assert fields["SliceTiming"][-1] == pytest.approx(0.4)
    fields = dataset.asl_sidecar(dataclasses.replace(scanner, slice_time=0, static_signal=1), NO_FIELD)
    assert fields["MRAcquisitionType"] == "3D"
    assert "SliceTiming" not in fields
    assert fields["BackgroundSuppression"] is False
    assert "BackgroundSuppressionNumberPulses" not in fields


def test_truth_lies_where_the_images_lie(simulated):
    """The planted transform carries the template's grey matter onto the participant's, in the T1w frame."""
    made = simulated[1][1]
    grey, affine = images.load(made.gm)
    field, grid = transforms.read_field(made.field)
    template = simulated[3]
    where = template.fractions["gm"] > 0.99
    points = transforms.points(template.grid)[where]
    # The field's grid is the template's at 4 mm, voxel for voxel.
    np.testing.assert_allclose(grid.affine, template.grid.affine)
    found = resample.resample(grey, affine, field[where])
    assert points.shape[0] > 500
    assert np.median(found) > 0.6


def test_truth_map_is_brain_of_plausible_flow(simulated):
    made = simulated[1][1]
    cbf, _ = images.load(made.cbf[0])
    inside = np.isfinite(cbf)
    assert 10_000 < inside.sum() < 40_000
    assert 20 < cbf[inside].mean() < 60
    assert len(transforms.read_affines(made.motion[0])) == 5
    np.testing.assert_array_equal(transforms.read_affines(made.motion[0])[0], np.eye(4))


def test_participants_table_tells_nothing_of_the_truth(simulated):
    rows = tables.read_table(simulated[1][0].participants)
    assert set(rows[0]) == {"participant_id", "arm", "age", "sex"}
    assert {row["arm"] for row in rows} == {"baclofen", "placebo"}


def test_demo_names_regions_and_analyses_that_it_defines():
    demo = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text(encoding="utf-8"))
    simulate_section = {**demo["simulate"]}
    assert not schemas.check(simulate_section, "simulate", "config", fill=True)
    compare = simulate_section["compare"]
    assert {compare["rest"], compare["association"]} <= set(demo["analyses"])
    assert {compare["insula"], compare["vmpfc"]} <= set(demo["rois"])


@pytest.mark.parametrize("field_map", ["phasediff", "opposed"])
def test_a_field_that_is_planted_is_in_dataset_and_truth(simulated, tmp_path, field_map):
    """The dataset is read as the workflow reads it: each run has the session's field map."""
    asked = {**SMALL, "distortion": {"hertz": 68, "field_map": field_map}}
    planted = settings.build(susceptibility.Susceptibility, simulation.section(**asked)["distortion"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(participant_anatomy, "read_template", lambda: simulated[3])
        _, made = simulate(tmp_path, asked, field_names=susceptibility.field_names(planted))
    (truth,) = made.hertz
    assert 50 < np.abs(images.load(truth).data).max() < 3000
    study = bids.read_dataset(str(tmp_path / "bids"))
    for number, path in enumerate(made.asl):
        (asl,) = (file for file in study.images("asl") if file.path == str(path))
        fields = tables.read_json(made.asl_sidecar[number])
        assert (fields["PhaseEncodingDirection"], fields["TotalReadoutTime"]) == ("j-", 0.025)
        chosen, errors = field_maps.choose(study, asl, None, fields, str(made.asl_sidecar[number]))
        assert errors == []
        assert chosen.kind == field_map
        assert f"ses-{asl.entities['ses']}" in chosen.images[0]
        if field_map == "opposed":
            assert [own.direction for own in chosen.encodings] == ["j-", "j"]
        else:
            assert chosen.echo_difference == pytest.approx(0.00246)
    # The runs are other ones, but of the same draws: without the field they are the trial's without one.
    plain = images.load(simulated[2][1].asl[0]).data
    assert 0.01 < np.abs(images.load(made.asl[0]).data - plain).mean() / plain.mean() < 0.5


def test_a_planted_field_is_had_back_from_the_sessions_map_of_it(tmp_path):
    """The workflow's own job on the simulator's images, judged by the comparison's own rows; by tissues that are the truth."""
    perfusion = {"matrix": [48, 56, 30], "voxel_size": [4, 4, 5], "pairs": 2, "slice_time": 0.03}
    still = {"translation": 0, "rotation": 0}
    asked = {
        **SMALL,
        "anatomy": {"voxel_size": 4},
        "perfusion": perfusion | still,
        "distortion": {"hertz": 68, "field_map": "phasediff"},
    }
    planted = settings.build(susceptibility.Susceptibility, simulation.section(**asked)["distortion"])
    small = participant_anatomy.read_template(step=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(participant_anatomy, "read_template", lambda: small)
        _, made = simulate(tmp_path, asked, field_names=susceptibility.field_names(planted))
    maps = [images.load(path) for path in (made.gm, made.wm, made.mask)]
    fluid = np.clip(maps[2].data - maps[0].data - maps[1].data, 0, 1)
    tissues = [made.gm, made.wm, tmp_path / "csf.nii.gz"]
    images.save(tissues[2], fluid, maps[0].affine)
    sidecar = tables.read_json(made.asl_sidecar[0])
    study = bids.read_dataset(str(tmp_path / "bids"))
    (asl,) = (file for file in study.images("asl") if file.path == str(made.asl[0]))
    chosen, _ = field_maps.choose(study, asl, None, sidecar, str(made.asl_sidecar[0]))
    types = [row["volume_type"] for row in tables.read_table(made.aslcontext[0])]
    written = {name: tmp_path / f"{name}.nii.gz" for name in ("field", "displacement")}
    scan_field.write(
        {**written, "sidecar": tmp_path / "field.json"},
        chosen,
        made.asl[0],
        tissues,
        acquisition=scan_acquisition.build(scanned.acquisition(types, slice_timing=sidecar["SliceTiming"])),
        distorted=Distortion(series=planted.encoding),
        tesla=3.0,
    )
    transforms.write_affines(tmp_path / "still", np.eye(4)[None])
    person = PersonFiles(made.mask, made.field, made.mask, None)
    run = RunFiles(made.motion[0], made.coregistration[0], tmp_path / "still", made.coregistration[0], person=0)
    images.save(tmp_path / "grey.nii.gz", np.ones(images.grid(made.cbf[0]).shape), images.grid(made.cbf[0]).affine)

    def row(hertz):
        field = FieldFiles(made.hertz, [hertz], susceptibility.millimetres(planted, perfusion["voxel_size"]))
        maps = [(made.cbf[0], made.cbf[0])]
        rows = distortion_comparison.distortion_rows(field, [person], [run], maps, tmp_path / "grey.nii.gz")
        (own,) = (each for each in rows if (each.region, each.unit) == (distortion_comparison.VMPFC, "mm"))
        return own

    right = row(written["field"])
    assert right.planted > 6
    assert right.found < 0.4
    assert right.verdict.startswith("corrected")
    # Of the opposite sign, more is left than there was.
    turned = images.load(written["field"])
    images.save(tmp_path / "turned.nii.gz", -turned.data, turned.affine)
    wrong = row(tmp_path / "turned.nii.gz")
    assert wrong.found > 1.5 * wrong.planted
    assert wrong.verdict.startswith("in part")
