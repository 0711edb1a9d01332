"""CBF maps on the scans' own grids through every rule: two transforms of ASLPrep and one to the study's template, with planted truth."""

import html
import re
from pathlib import Path

import described_images
import fmriprep
import numpy as np
import other_programs
import pytest
import skeleton
from calling import Workflow
from pharmasl.files import tables
from pharmasl.space import images, transforms

pytestmark = pytest.mark.slow

ASLPREPS, OURS = "MNI152NLin6Asym", "MNI152NLin2009aSym"
PEOPLE = [f"{number:02d}" for number in range(1, 7)]
RUNS = [{"sub": who, "ses": session} for who in PEOPLE for session in ("T1", "T2")]
PLACE = np.array([-40.0, 8, 0])
POOR = "sub-06_ses-T2"


def truth(points, who, session):
    """CBF at points of the study's template: a slope of each scan's own, and a fall of those on drug at T2 around a place."""
    number = PEOPLE.index(who)
    at_t2 = session == "T2"
    slope = np.array([0.10 + 0.01 * number * at_t2, -0.05, 0.08])
    fall = 12.0 * (number % 2 == 0 and at_t2) * np.exp(-((points - PLACE) ** 2).sum(axis=-1) / (2 * 15.0**2))
    return 55 + number + points @ slope - fall


def matrices(who, session):
    """Points of the study's template to those of ASLPrep's, from there to the T1w, and from there to the scan."""
    number = PEOPLE.index(who) + 10 * (session == "T2")
    between = transforms.rigid_matrix([2, -3, 4], [0.03, 0, -0.02], [0, 0, 0])
    to_t1w = transforms.rigid_matrix([3 + number / 5, -2, 4], [0.02, -0.05, 0.04], [0, 0, 0])
    to_scan = transforms.rigid_matrix([-6, 5 - number / 4, 1], [-0.1, 0.06, 0.02], [0, -20, 10])
    # A T1w is of the participant, not of the session.
    if session == "T2":
        to_t1w = matrices(who, "T1")[1]
    return between, to_t1w, to_scan


def made(root):
    """ASLPrep's folder, with the maps on the scans' own grids that the truth gives."""
    other_programs.aslprep(root, other_programs.of_runs(RUNS, ASLPREPS), ASLPREPS)
    coarse = images.Grid(*other_programs.grid(ASLPREPS, 12.0))
    still = transforms.points(coarse)
    for run in RUNS:
        who, session = run["sub"], run["ses"]
        between, to_t1w, to_scan = matrices(who, session)
        stem = root / f"sub-{who}" / f"ses-{session}" / "perf" / f"sub-{who}_ses-{session}"
        grid = images.Grid((54, 66, 54), to_scan @ images.Grid(*other_programs.grid(OURS, 4.0)).affine)
        own = transforms.apply(np.linalg.inv(to_scan @ to_t1w @ between), transforms.points(grid))
        other_programs.save(Path(f"{stem}_cbf.nii.gz"), truth(own, who, session), grid.affine)
        other_programs.save(Path(f"{stem}_desc-brain_mask.nii.gz"), np.ones(grid.shape), grid.affine, np.uint8)
        transforms.write_affines(f"{stem}_from-aslref_to-T1w_mode-image_xfm.txt", to_scan)
        anatomy = root / f"sub-{who}" / "anat" / f"sub-{who}_from-T1w_to-{ASLPREPS}_mode-image_xfm.h5"
        fmriprep.composite(anatomy, transforms.apply(to_t1w, still), coarse, np.eye(4))
    transforms.write_affines(root / f"from-{ASLPREPS}_to-{OURS}_xfm.txt", between)


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trial")
    made(folder / "aslprep")
    rows = [f"sub-{who}\t{'drug' if number % 2 == 0 else 'placebo'}" for number, who in enumerate(PEOPLE)]
    skeleton.write(folder / "bids/participants.tsv", "\n".join(["participant_id\tarm", *rows]) + "\n")
    skeleton.write(folder / "ratings.tsv", f"scan\trating\treason\trater\n{POOR}\tpoor\tvessels\tjd\n")
    workflow = Workflow(folder)
    source = {
        "dir": "aslprep",
        "space": ASLPREPS,
        "grid": "scan",
        "transform": f"aslprep/from-{ASLPREPS}_to-{OURS}_xfm.txt",
    }
    workflow.configure(
        {
            "bids_dir": "bids",
            "output_dir": "results",
            "title": "Rest",
            "sessions": {"baseline": "T1", "followup": "T2"},
            "arms": {"column": "arm", "treatment": "drug", "control": "placebo"},
            "conditions": {"rest": {}},
            "contrasts": {"rest": {"rest": 1}},
            "analyses": {"change": {"contrast": "rest", "effect": "group_by_time"}},
            "inference": {"permutations": 100, "cluster_forming_p": 0.01},
            "derivatives": {"cbf": source},
            "perfusion": {"smoothing_fwhm": 0},
            "quality": {"ratings": "ratings.tsv"},
            "template": {"resolution": 4},
        }
    )
    workflow.snakemake("--cores", "1")
    return folder / "results"


def words(path):
    body = re.sub(r"<(script|style|svg).*?</\1>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


def test_images_name_aslpreps_files_as_their_sources(trial):
    assert described_images.faults(trial) == []
    stem = "sub-01/ses-T1/perf/sub-01_ses-T1"
    smooth = tables.read_json(trial / f"{stem}_space-{OURS}_desc-smooth_cbf.json")
    assert f"bids:cbf:{stem}_cbf.nii.gz" in smooth["Sources"]
    description = tables.read_json(trial / "dataset_description.json")
    assert [source.get("GeneratedBy") for source in description["SourceDatasets"]] == [
        None,
        [{"Name": "ASLPrep", "Version": "26.0.3"}],
    ]


def test_maps_lie_where_the_three_transforms_bring_them(trial):
    for run in RUNS:
        who, session = run["sub"], run["ses"]
        (path,) = (trial / f"sub-{who}/ses-{session}/perf").glob(f"*_space-{OURS}_cbf.nii.gz")
        cbf, affine = images.load(path)
        points = transforms.points(images.Grid(cbf.shape, affine))
        known = cbf != 0
        assert known.sum() > 20000
        # Linear samples 4 mm apart miss the top of the fall by at most 0.32, by its second derivative.
        assert np.abs(cbf - truth(points, who, session))[known].max() < 0.32


def test_the_planted_fall_is_answered_without_the_scan_that_was_rated_poor(trial):
    effect, affine = images.load(trial / "group/change/contrast-change_stat-effect_statmap.nii.gz")
    points = transforms.points(images.Grid(effect.shape, affine))

    def mean_change(people):
        return np.mean([truth(points, who, "T2") - truth(points, who, "T1") for who in people], axis=0)

    expected = mean_change(PEOPLE[::2]) - mean_change([who for who in PEOPLE[1::2] if f"sub-{who}_ses-T2" != POOR])
    inside = np.isfinite(effect)
    assert np.abs(effect - expected)[inside].max() < 0.3
    assert expected[inside].min() < -11


def test_pages_say_where_the_maps_come_from_and_what_counts(trial):
    page = trial / "report/index.html"
    source = page.read_text(encoding="utf-8")
    assert 'href="scans/index.html"' in source
    assert f'href="scans/{POOR}.html"' in source
    printed = words(page)
    assert "ASLPrep 26.0.3" in printed
    assert "labeling_efficiency" not in printed
    assert len(list((trial / "report/scans").glob("sub-*.html"))) == len(RUNS)
    own = words(trial / f"report/scans/{POOR}.html")
    assert "Excluded rated poor: vessels" in own
    assert (
        f"brought there by {POOR}_from-aslref_to-T1w_mode-image_xfm.txt, sub-06_from-T1w_to-{ASLPREPS}_mode-image_xfm.h5 "
        f"and from-{ASLPREPS}_to-{OURS}_xfm.txt" in own
    )
    assert "drug" not in own
    (row,) = [row for row in tables.read_table(trial / "quality/scans.tsv") if row["scan"] == POOR]
    assert row["usable"] == "no"
