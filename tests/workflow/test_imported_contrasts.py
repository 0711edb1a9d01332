"""Ready-made contrast maps through every rule: a trial of BOLD maps with arms and sessions, and a sample of one visit each."""

import html
import re

import described_images
import numpy as np
import pytest
from calling import Workflow
from pharmasl.files import tables
from pharmasl.space import images
from scipy import ndimage, stats

from tests import skeleton

pytestmark = pytest.mark.slow

AFFINE = np.array([[-4.0, 0, 0, 80], [0, 4, 0, -112], [0, 0, 4, -72], [0, 0, 0, 1]])
SHAPE = (41, 49, 41)
INSULA = (30, 30, 18)  # about -40, 8, 0 mm
PEOPLE = [f"{number:02d}" for number in range(1, 9)]


def brain():
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"))
    return ((grid - np.reshape((20, 24, 20), (3, 1, 1, 1))) ** 2).sum(axis=0) <= 18**2


def made_maps(folder, sessions, effect):
    """Maps of everyone at each session: noise, and around INSULA what ``effect`` gives for a person and a session."""
    rng, inside = np.random.default_rng(4), brain()
    place = ndimage.binary_dilation(
        np.isin(np.arange(inside.size).reshape(SHAPE), np.ravel_multi_index(INSULA, SHAPE)), iterations=4
    )
    for number, who in enumerate(PEOPLE):
        for session in sessions:
            values = ndimage.gaussian_filter(rng.normal(size=SHAPE), 2) / 0.07 + effect(number, session) * place
            name = "_".join(
                filter(None, [f"sub-{who}", session and f"ses-{session}", "contrast-cue_stat-effect_statmap.nii.gz"])
            )
            (folder / f"sub-{who}").mkdir(parents=True, exist_ok=True)
            images.save(folder / f"sub-{who}" / name, np.where(inside, values, 0), AFFINE)
    images.save(folder / "mask.nii.gz", inside, AFFINE, dtype=np.uint8)
    generated = [{"Name": "FitLins", "Version": "0.11.0"}]
    skeleton.write(
        folder / "dataset_description.json",
        {"Name": "f", "BIDSVersion": "1.9.0", "DatasetType": "derivative", "GeneratedBy": generated},
    )


def config(folder, pattern, **sections):
    return {
        "output_dir": "results",
        "title": "Cues",
        "derivatives": {
            "contrasts": {
                "dir": str(folder / "maps"),
                "space": "MNI152NLin6Asym",
                "unit": "percent signal change",
                "measure": "BOLD response",
                "files": {"cue": f"sub-{{participant}}/{pattern}_contrast-cue_stat-effect_statmap.nii.gz"},
            }
        },
        "template": {"space": "MNI152NLin6Asym", "mask": str(folder / "maps/mask.nii.gz"), "resolution": 4},
        "inference": {"permutations": 100, "cluster_forming_p": 0.01},
        "rois": {"insula": {"atlas": ["Insula_L"]}},
        **sections,
    }


def text_of(page):
    """The words of a page, without its pictures and programs."""
    body = re.sub(r"<(script|style|svg).*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trial")
    made_maps(folder / "maps", ("T1", "T2"), lambda number, session: -6.0 * (number % 2 == 0 and session == "T2"))
    rows = [
        f"sub-{who}\t{'drug' if number % 2 == 0 else 'placebo'}\t{30 + number}" for number, who in enumerate(PEOPLE)
    ]
    skeleton.write(
        folder / "bids/participants.tsv", "\n".join(["participant_id\tarm\tage", *rows, "sub-99\tdrug\t40"]) + "\n"
    )
    workflow = Workflow(folder)
    workflow.configure(
        config(
            folder,
            "sub-{participant}_ses-{session}",
            bids_dir="bids",
            sessions={"baseline": "T1", "followup": "T2"},
            arms={"column": "arm", "treatment": "drug", "control": "placebo"},
            analyses={"cue_change": {"contrast": "cue", "effect": "group_by_time"}},
        )
    )
    workflow.snakemake("--cores", "1", forked=True)
    return folder / "results"


def test_trial_of_bold_maps_is_answered(trial):
    effect, _ = images.load(trial / "group/cue_change/contrast-cueChange_stat-effect_statmap.nii.gz")
    # The maps are stored from right to left, results from left to right.
    assert effect[::-1][INSULA] == pytest.approx(-6, abs=3.5)
    block = tables.read_json(trial / "group/cue_change/contrast-cueChange_inference.json")
    assert block["quantity"] == {"measure": "BOLD response", "unit": "percent signal change"}
    assert block["effect"]["unit"] == "percent signal change"
    assert np.isnan(images.load(trial / "group/cue_change/contrast-cueChange_stat-percent_statmap.nii.gz")[0]).all()
    assert block["percent"].startswith("none: ")


def test_the_table_of_the_study_names_the_measure_and_its_unit(trial):
    codebook = {row["column"]: row for row in tables.read_table(trial / "tables/codebook.tsv")}
    region = codebook["bold_response_cue_insula"]
    assert (region["description"], region["unit"]) == (
        "BOLD response of the region insula: cue",
        "percent signal change",
    )
    assert {row["unit"] for name, row in codebook.items() if name.startswith("parcel_")} == {"percent signal change"}
    assert [name for name in codebook if name.startswith("cbf_")] == []


def test_images_name_the_maps_as_their_sources(trial):
    assert described_images.faults(trial) == []
    stem = "sub-01_ses-T1"
    (effect,) = (trial / "sub-01/ses-T1/contrasts").glob("*_stat-effect_statmap.json")
    maps = f"sub-01/{stem}_contrast-cue_stat-effect_statmap.nii.gz"
    assert tables.read_json(effect)["Sources"][0] == f"bids:contrasts:{maps}"
    description = tables.read_json(trial / "dataset_description.json")
    assert description["DatasetLinks"] == {"raw": "../bids", "contrasts": "../maps"}
    assert description["SourceDatasets"][1]["GeneratedBy"] == [{"Name": "FitLins", "Version": "0.11.0"}]


def test_page_of_the_trial_names_source_unit_and_flow(trial):
    text = text_of(trial / "report/index.html")
    source = "16 contrast maps (cue) of 8 participants, at 2 sessions (T1 and T2) were made by FitLins 0.11.0 (BOLD response, "
    assert source + "percent signal change; space MNI152NLin6Asym)." in text
    assert "Group-by-time interaction in BOLD response (cue)" in text
    assert "The contrast maps were made by FitLins 0.11.0" in text
    assert "9 participants randomised (5 to drug and 4 to placebo), 8 of them scanned." in text
    assert "CBF" not in text.partition("Reporting checklist")[0].partition("Methods")[0]
    for absent in ("Image quality", "Global CBF", "deepbet", "quantified"):
        assert absent not in text
    assert "0 scans excluded" not in text


def test_flow_of_the_trial_counts_maps(trial):
    rows = tables.read_table(trial / "study/flow.tsv")
    lost = [row for row in rows if row["stage"] == "not scanned" and row["session_id"] is None]
    assert [(row["participants"], row["reason"]) for row in lost] == [("sub-99", "no contrast map")]
    analysed = [row for row in rows if row["stage"] == "analysed"]
    assert {row["arm"]: row["n"] for row in analysed} == {"drug": "4", "placebo": "4"}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    made_maps(folder / "maps", (None,), lambda number, _: 4.0 + number / 10)
    workflow = Workflow(folder)
    workflow.configure(
        config(
            folder,
            "sub-{participant}",
            analyses={
                "cue_mean": {"contrast": "cue", "model": "baseline ~ 1", "test": "1", "inference": {"primary": "voxel"}}
            },
        )
    )
    workflow.snakemake("--cores", "1", forked=True)
    return folder


def test_one_sample_is_the_mean_of_the_maps_as_they_are(sample):
    paths = sorted((sample / "maps").glob("sub-*/*.nii.gz"))
    # Stored from right to left; results are written from left to right.
    maps = np.stack([images.load(path)[0][::-1] for path in paths]).astype(float)
    inside = brain()
    t, _ = images.load(sample / "results/group/cue_mean/contrast-cueMean_stat-t_statmap.nii.gz")
    np.testing.assert_allclose(t[inside], stats.ttest_1samp(maps[:, inside], 0).statistic, rtol=2e-5)
    assert (
        images.load(sample / "results/group/cue_mean/contrast-cueMean_desc-brain_mask.nii.gz")[0].sum() == inside.sum()
    )
    values = tables.read_table(sample / "results/rois/insula_values.tsv")
    assert [row["participant_id"] for row in values] == [f"sub-{who}" for who in PEOPLE]
    described = tables.read_json(sample / "results/rois/insula_values.json")["cbf"]
    assert described["UnitsByContrast"] == {"cue": "percent signal change"}


def test_maps_that_are_all_there_is_are_no_raw_dataset(sample):
    assert described_images.faults(sample / "results") == []
    assert tables.read_json(sample / "results/dataset_description.json")["DatasetLinks"] == {"contrasts": "../maps"}


def test_page_of_one_sample_knows_no_arm_and_no_baseline(sample):
    text = text_of(sample / "results/report/index.html")
    assert "BOLD response (cue): mean; baseline ~ 1" in text
    assert "One-sample test: mean of one session over all participants, against zero, signs flipped" in text
    assert re.search(r"mean BOLD response was [0-9.]+ percent signal change higher than zero", text)
    assert "8 participants" in text
    assert "arms of a randomised trial" not in text
    assert "Table 1" not in text
    assert not (sample / "results/study/flow.tsv").exists()
