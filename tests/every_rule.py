"""Small studies that together run every rule: a simulated trial with all that a configuration may ask for, and results of other programs."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coarse_scans
import fmriprep
import head_of_4mm
import nibabel
import numpy as np
import other_programs
import skeleton
import yaml
from loading import ROOT
from pharmasl.simulate import participant_anatomy
from pharmasl.space import images

from tests.cases import blocks as block_cases

SPACE = "MNI152NLin2009aSym"
ANATOMY = "sub-01/anat/sub-01"
FIELD = f"{ANATOMY}_from-T1w_to-{SPACE}_mode-image_xfm.nii.gz"
SESSIONS = ("T1", "T2")
# Three label-control pairs of the state at rest, each with a delay of its own.
DELAYS = (1.0, 1.0, 1.6, 1.6, 2.2, 2.2)
# The studies that need no trial to be simulated.
MADE = ("blocks", "planned_trial", "imported_anatomy", "imported_cbf", "imported_contrasts")


@dataclass(frozen=True)
class Study:
    """A configuration, and what Snakemake is asked of it."""

    config: dict[str, Any]
    asked: tuple[str, ...] = ()
    snakefile: str = "Snakefile"


def simulated() -> dict[str, Any]:
    """Four people in coarse images, asked what a configuration may ask of scans and their maps."""
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    config["inference"]["permutations"] = 100
    config["anatomy"]["registration"] |= {"affine_iterations": "20x0x0", "warp_iterations": "15x0x0"}
    config["anatomy"]["bias"] = {"iterations": [20, 20]}
    config["template"]["resolution"] = 4
    config["simulate"] |= {
        "people": {"treatment": 2, "control": 2},
        "anatomy": {"voxel_size": 4},
        "perfusion": {"pairs": 3, "matrix": [32, 40, 20], "voxel_size": [6, 6, 7.5], "slice_time": 0.03},
    }
    config["analyses"]["rest_adjusted"]["model"] = "change ~ arm + att"
    config["analyses"]["cue_interaction"] = {"contrast": "cue", "model": "change ~ arm + gm", "test": "arm"}
    config["conjunctions"] = {"both": ["rest_interaction", "cue_interaction"]}
    config["rois"]["vmpfc_native"] = {**config["rois"]["vmpfc"], "space": "native", "statistic": "gm_weighted"}
    config["craving"]["rois"].append("dlpfc_cluster")
    config["craving"]["mediation"] = {"mediators": [{"roi": "vmpfc", "contrast": "cue"}]}
    # Endpoints are asked for where there are more people.
    del config["endpoints"]
    config["primary"]["secondary"].remove("cigarettes")
    answers = {"dlpfc_rest": config["sensitivity"]["answers"]["dlpfc_rest"]}
    config["sensitivity"] = {"answers": answers, "partial_volume": [True], "permutations": 100}
    return config


def field_map(bids: Path) -> None:
    """A field map, in Hz, of the first person's first session for the scan during smoking cues."""
    session = bids / "sub-01/ses-T1"
    scan = session / "perf/sub-01_ses-T1_acq-smoking_asl.nii.gz"
    scanned = nibabel.load(scan)
    size = scanned.shape[:3]
    across = np.linspace(-1, 1, size[1])[:, None]
    name = session / "fmap/sub-01_ses-T1_fieldmap"
    fmriprep.save(f"{name}.nii.gz", np.broadcast_to(8 * (1 - across**2), size), scanned.affine)
    described = {"Units": "Hz", "IntendedFor": scan.relative_to(bids / "sub-01").as_posix()}
    name.with_suffix(".json").write_text(json.dumps(described))
    sidecar = scan.with_name(scan.name.replace(".nii.gz", ".json"))
    encoded = {"PhaseEncodingDirection": "j-", "TotalReadoutTime": 0.025}
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), **encoded}))


def trial(folder: Path) -> Study:
    """The simulated trial in a folder in which it was simulated, with several delays at rest and a field map."""
    field_map(folder / "demo/bids")
    for path in (folder / "demo/bids").glob("sub-*/ses-*/perf/*_acq-rest_asl.json"):
        sidecar = json.loads(path.read_text())
        path.write_text(json.dumps({**sidecar, "PostLabelingDelay": [0, *DELAYS]}))
    scan = "demo/results/sub-01/ses-T1/perf/sub-01_ses-T1_acq-smoking"
    on_request = (
        f"{scan}_desc-preproc_asl.nii.gz",
        f"{scan}_desc-timeseries_cbf.nii.gz",
        f"demo/results/{ANATOMY}_from-{SPACE}_to-T1w_mode-image_xfm.nii.gz",
    )
    return Study(simulated(), ("--", "all", "neurovault", *on_request))


def other_registration(folder: Path) -> Study:
    """One person of that trial, whose anatomy ANTs registers."""
    config = simulated()
    config["anatomy"]["registration"]["backend"] = "ants"
    config["output_dir"] = "ants"
    return Study(config, ("--", f"ants/{FIELD}"))


def blocks(folder: Path) -> Study:
    """One person without a T1w, and a run in which two cues alternate."""
    skeleton.dataset(folder / "bids", participants=1, sessions=("T1",), conditions=("cues",))
    (folder / "bids/sub-01/ses-T1/anat/sub-01_ses-T1_T1w.nii.gz").unlink()
    perf, name = folder / "bids/sub-01/ses-T1/perf", "sub-01_ses-T1_acq-cues"
    skeleton.run(perf, name, context=["m0scan"] + ["control", "label"] * block_cases.PAIRS)
    coarse_scans.scan(perf / f"{name}_asl.nii.gz", 1, pairs=block_cases.PAIRS)
    skeleton.write(folder / "bids/blocks.tsv", block_cases.table())
    config = {
        "bids_dir": "bids",
        "output_dir": "results",
        "conditions": {cue: {"acquisition": "cues", "block": cue} for cue in dict.fromkeys(block_cases.ORDER)},
        "contrasts": {"cue": {"smoking": 1, "neutral": -1}},
        "blocks": {"table": "blocks.tsv"},
        "perfusion": {"tissue": {"transit_time": {"gm": 1.1, "wm": 1.5}, "t1": {"gm": 1.3, "wm": 0.9}}},
        "anatomy": {"missing_t1w": "template"},
        "template": {"resolution": 4},
    }
    return Study(config, ("--", "contrasts"))


def planned_trial(folder: Path) -> Study:
    """The power of a planned trial's maps, in coarse ones."""
    assumptions = yaml.safe_load((ROOT / "config/power.yaml").read_text())
    outcome = assumptions["outcomes"]["dlPFC at rest"]
    place = "sphere of 16 mm"
    outcome |= {"places": {place: outcome["places"][place]}}
    assumptions["outcomes"] = {"dlPFC at rest": outcome}
    assumptions["maps"] |= {"studies": 20, "relabellings": 100, "voxel_size": 8, "models": ["change"]}
    (folder / "power.yaml").write_text(yaml.safe_dump(assumptions))
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    return Study(config, ("--config", "assumptions=power.yaml"), "rules/power.smk")


def imported_anatomy(folder: Path) -> Study:
    """One person whose anatomy fMRIPrep made, of a simulated head."""
    skeleton.dataset(folder / "bids", participants=1)
    fine, _, shape, head = head_of_4mm.drawn(folder)
    t1w = participant_anatomy.scanned(np.random.default_rng(5), head, 0.0, 0.03)
    over = images.coarser(images.grid(fine.t1w), 2.0)
    fmriprep.of_head(folder / "fmriprep", "01", head, shape, t1w, over, SPACE)
    config = {**skeleton.config("bids"), "derivatives": {"anatomy": {"dir": "fmriprep"}}, "analyses": {}}
    return Study(config, ("--until", "import_segmentation"))


def imported_cbf(folder: Path) -> Study:
    """CBF maps of two visits of one person as ASLPrep writes them."""
    runs = [{"sub": "01", "ses": session, "acq": "rest"} for session in SESSIONS]
    skeleton.dataset(folder / "bids", participants=1)
    other_programs.aslprep(folder / "aslprep", other_programs.of_runs(runs))
    config = {**skeleton.config("bids"), "derivatives": {"cbf": {"dir": "aslprep", "space": SPACE}}}
    config |= {"conditions": {"rest": {"acquisition": "rest"}}, "contrasts": {"rest": {"rest": 1}}, "analyses": {}}
    return Study(config, ("--", "quality", "results/report/scans/sub-01_ses-T1_acq-rest.html"))


def imported_contrasts(folder: Path) -> Study:
    """Contrast maps of a trial of six that is blinded, with an endpoint."""
    people = [f"{number:02d}" for number in range(1, 7)]
    skeleton.dataset(folder / "bids", participants=len(people))
    rng = np.random.default_rng(7)
    for made in other_programs.of_runs([{"sub": who, "ses": session} for who in people for session in SESSIONS]):
        path = folder / f"maps/sub-{made.entities['sub']}_ses-{made.entities['ses']}.nii.gz"
        other_programs.save(path, made.data + rng.normal(0, 1, made.data.shape), made.affine)
    config = skeleton.config("bids")
    del config["conditions"], config["contrasts"]
    config |= {
        "blinded": True,
        "analyses": {"cue_change": {"contrast": "cue", "effect": "group_by_time"}},
        "inference": {"permutations": 100},
        "rois": {"vmpfc": {"sphere": [0, 44, -12], "radius": 10}},
        "endpoints": {
            "craving": {
                "table": "phenotype/craving.tsv",
                "score": "craving_post",
                "missing": {"deltas": [1, 2], "imputations": 5},
                "relations": {"rois": ["vmpfc"], "contrast": "cue", "resamples": 100},
            }
        },
    }
    config["derivatives"] = {
        "contrasts": {
            "dir": "maps",
            "generated_by": {"name": "FitLins", "version": "0.11.0"},
            "space": SPACE,
            "unit": "percent signal change",
            "measure": "BOLD response",
            "files": {"cue": "sub-{participant}_ses-{session}.nii.gz"},
        }
    }
    return Study(config)
