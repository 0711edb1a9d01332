"""A Snakemake with nibabel and pandas beside it, and nothing else, plans every kind of study."""

import json
import re
import subprocess
import sys

import fmriprep
import other_programs
import pytest
import skeleton
import yaml
from calling import Workflow
from distributions import needs
from loading import ROOT

# What the README asks for where rules compute in environments of their own.
BESIDE_SNAKEMAKE = ("snakemake", "nibabel", "pandas")
PEOPLE = [f"{number:02d}" for number in range(1, 7)]


def install(folder, *names):
    """Links to these distributions and to all that they need, in a folder to import from."""
    folder.mkdir()
    for dist in needs(*names):
        for top in {file.parts[0] for file in dist.files or ()} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(dist.locate_file(top))
    return folder


@pytest.fixture(scope="module")
def light(tmp_path_factory):
    """A trial's folder whose Snakemake finds those packages alone."""
    folder = tmp_path_factory.mktemp("light")
    packages = install(folder / "packages", *BESIDE_SNAKEMAKE)
    workflow = Workflow(folder)
    # Without its site module, Python does not see what else is installed here.
    workflow.python = [sys.executable, "-S"]
    workflow.environment["PYTHONPATH"] = str(packages)
    skeleton.dataset(folder / "bids", participants=len(PEOPLE))
    return workflow


def test_the_packages_that_compute_are_out_of_reach(light):
    code = "import snakemake, nibabel, pandas, sys, importlib.util as u\nprint(*(n for n in sys.argv[1:] if u.find_spec(n)))"
    names = ("numba", "scipy", "matplotlib", "SimpleITK", "onnxruntime", "nilearn", "PIL", "statsmodels", "llvmlite")
    done = subprocess.run(
        [*light.python, "-c", code, *names], env=light.environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def shipped(**changes):
    """The configuration that the project ships, for the skeleton."""
    return yaml.safe_load((ROOT / "config/config.yaml").read_text()) | {"bids_dir": "bids"} | changes


def sensitivity():
    config = shipped()
    config["sensitivity"] = {
        "answers": {
            "rest": {"analysis": "rest_interaction", "roi": "dlpfc_cluster"},
            "craving": {"roi": "vmpfc", "contrast": "cue"},
        },
        "scaling": ["global"],
        "smoothing_fwhm": [4],
        "partial_volume": [True],
        "covariates": {"none": []},
        "quality": {"strict": {"exclude": ["fd_mean"]}},
    }
    return config, "specification_curve"


def native_regions():
    config = shipped()
    for region in config["rois"].values():
        region |= {"space": "native", "statistic": "gm_weighted"}
    return config, "native_regions"


def left_out_and_mediated():
    config = shipped(conjunctions={"both": ["rest_interaction", "cue_interaction"]})
    config["craving"]["rois"].append("dlpfc_cluster")
    config["craving"]["mediation"] = {"mediators": [{"roi": "vmpfc", "contrast": "cue"}]}
    return config, "roi_left_out"


def blinded():
    return shipped(blinded=True), "allocation_log"


def other_models():
    config = shipped()
    config["analyses"] |= {
        "published": {"contrast": "rest", "effect": "group_by_time", "method": "full_factorial"},
        "mixed": {"contrast": "rest", "effect": "group_by_time", "method": "mixed_model"},
        "slopes": {
            "contrast": "cue",
            "effect": "association_by_arm",
            "seed": {"roi": "dlpfc_cluster", "contrast": "rest"},
        },
        "within": {"contrast": "cue", "effect": "group_by_time", "within": "anterior_ventral_insula"},
    }
    config["anatomy"] = {"registration": {"backend": "ants"}}
    return config, "seed_slopes"


def own_template():
    files = {kind: str(skeleton.image(f"own/{kind}.nii.gz", (5, 6, 7))) for kind in ("t1w", "gm", "wm", "mask")}
    return {**skeleton.config("bids"), "template": {"space": "Own", "resolution": 2, **files}}, "template"


def endpoints():
    config = shipped()
    config["endpoints"] = {
        "wishes": {
            "table": "phenotype/craving.tsv",
            "score": "craving_post",
            "unit": "points",
            "missing": {"deltas": [1, 2], "imputations": 5},
            "relations": {"rois": ["vmpfc"], "contrast": "rest", "resamples": 100},
        }
    }
    return config, "endpoint_relations"


def anatomies_of_another_program():
    fmriprep.skeleton("bids/derivatives/fmriprep", PEOPLE, spaces=("MNI152NLin2009aSym",))
    return shipped(derivatives={"anatomy": {"dir": "bids/derivatives/fmriprep"}}), "import_registration"


def maps_of_another_program():
    runs = [
        {"sub": who, "ses": session, "acq": condition}
        for who in PEOPLE
        for session in ("T1", "T2")
        for condition in ("rest", "smoking", "neutral")
    ]
    other_programs.aslprep("bids/derivatives/aslprep", other_programs.of_runs(runs))
    stated = {"dir": "bids/derivatives/aslprep", "space": "MNI152NLin2009aSym"}
    return {**skeleton.config("bids"), "derivatives": {"cbf": stated}}, "import_cbf"


def contrast_maps():
    name = "sub-{participant}_ses-{session}_contrast-cue_stat-effect_statmap.nii.gz"
    for who in PEOPLE:
        for session in ("T1", "T2"):
            skeleton.image(f"maps/sub-{who}/{name.format(participant=who, session=session)}", (5, 6, 7))
    mask = str(skeleton.image("maps/mask.nii.gz", (5, 6, 7)))
    stated = {
        "dir": "maps",
        "space": "MNI152NLin6Asym",
        "unit": "percent signal change",
        "measure": "BOLD response",
        "generated_by": {"name": "SPM", "version": "12"},
        "files": {"cue": f"sub-{{participant}}/{name}"},
    }
    return {
        "bids_dir": "bids",
        "output_dir": "results",
        "sessions": {"baseline": "T1", "followup": "T2"},
        "arms": {"column": "arm", "treatment": "baclofen", "control": "placebo"},
        "derivatives": {"contrasts": stated},
        "template": {"space": "MNI152NLin6Asym", "mask": mask, "resolution": 4},
        "analyses": {"cue_change": {"contrast": "cue", "effect": "group_by_time"}},
    }, "import_contrast"


def one_scan():
    config = yaml.safe_load((ROOT / "config/single_scan.yaml").read_text())
    return {**config, "bids_dir": "bids", "conditions": {"rest": {"acquisition": "rest"}}}, "study_quality"


@pytest.mark.parametrize(
    "study",
    [
        sensitivity,
        native_regions,
        left_out_and_mediated,
        blinded,
        other_models,
        own_template,
        endpoints,
        anatomies_of_another_program,
        maps_of_another_program,
        contrast_maps,
        one_scan,
    ],
    ids=lambda f: f.__name__,
)
def test_it_plans(light, study, monkeypatch):
    monkeypatch.chdir(light.folder)
    config, rule = study()
    light.configure(config)
    assert f"\n{rule} " in light.snakemake("-n", "--quiet", "rules").stdout


def test_it_plans_several_delays(light):
    delays = [1.2, 1.2, 1.2, 1.8, 1.8, 2.4, 2.4]
    runs = list(light.folder.glob("bids/sub-*/ses-*/perf/*_acq-rest_asl.json"))
    before = {path: path.read_text() for path in runs}
    try:
        for path in runs:
            skeleton.write(path, json.dumps({**skeleton.SIDECAR, "PostLabelingDelay": [0, *delays[1:]]}))
        light.configure(shipped())
        assert "\nfit_perfusion " in light.snakemake("-n", "--quiet", "rules").stdout
    finally:
        for path, text in before.items():
            path.write_text(text)


def test_it_plans_the_simulation(light):
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    for name in [name for name, analysis in config["analyses"].items() if "model" in analysis]:
        del config["analyses"][name]
        config["primary"]["secondary"].remove(name)
        config["labels"]["analyses"].pop(name, None)
    light.configure(config)
    plan = light.snakemake("-n", "--quiet", "rules", "--", "trial", snakefile="rules/simulate.smk").stdout
    assert "\nsimulate_participant " in plan


def test_it_plans_the_maps_of_a_planned_trial(light):
    light.configure(shipped())
    (light.folder / "power.yaml").write_text((ROOT / "config/power.yaml").read_text())
    options = ("-n", "--quiet", "rules", "--config", "assumptions=power.yaml")
    plan = light.snakemake(*options, snakefile="rules/power.smk").stdout
    assert re.search(r"^power_studies +20$", plan, re.MULTILINE)
    assert re.search(r"^power_ground +1$", plan, re.MULTILINE)


def test_what_reads_a_formula_is_named(light):
    config = shipped()
    config["analyses"]["adjusted"] = {"contrast": "rest", "model": "followup ~ arm + baseline", "test": "arm"}
    light.configure(config)
    done = light.snakemake("-n", check=False)
    assert done.returncode != 0
    assert "the package formulaic beside Snakemake" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_missing_package_is_named(tmp_path):
    workflow = Workflow(tmp_path)
    workflow.python = [sys.executable, "-S"]
    workflow.environment["PYTHONPATH"] = str(install(tmp_path / "packages", "snakemake"))
    skeleton.dataset(tmp_path / "bids", participants=1)
    workflow.configure(one_scan()[0])
    done = workflow.snakemake("-n", check=False)
    assert done.returncode != 0
    assert re.search("Planning needs the package (nibabel|numpy) beside Snakemake", done.stdout + done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
