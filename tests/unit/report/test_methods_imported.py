"""The methods text of CBF maps that another program made."""

from pharmasl.perfusion import imported_map
from pharmasl.report import methods_imported


def sidecar(name="ASLPrep", version="26.0.3", transforms=(), factor=1.0, units="mL/100 g/min"):
    imported = {
        "GeneratedBy": {"Name": name, "Version": version},
        "Units": {"Value": units, "Factor": factor},
        "Space": "MNI152NLin2009cAsym",
        "Transforms": list(transforms),
        "Resampling": imported_map.SAMPLED,
        "Missing": imported_map.OUTSIDE,
    }
    return {"Imported": imported, "TemplateSmoothingFWHM": {"Value": 6, "Unit": "mm"}}


def test_program_space_sampling_and_smoothing_are_stated():
    text = methods_imported.perfusion([sidecar(), sidecar()])
    assert "maps of ASLPrep 26.0.3 (Adebimpe et al. 2022) were taken (2 scans), in MNI152NLin2009cAsym space." in text
    assert "CBF was taken to be missing outside the brain mask of each map." in text
    assert "The maps were sampled once, trilinearly, on the grid of the analyses. They were smoothed" in text
    assert "Gaussian kernel of 6 mm FWHM" in text
    assert "converted" not in text


def test_transforms_and_units_are_named_where_there_were_any():
    names = ["sub-01_from-T1w_to-X_mode-image_xfm.h5", "sub-01_from-aslref_to-T1w_mode-image_xfm.txt"]
    text = methods_imported.perfusion([sidecar("oxasl", "0.2.3", names, factor=100.0, units="mL/g/min")])
    assert (
        "on the grid of the analyses, through the transform from T1w to X and the transform from aslref to T1w." in text
    )
    assert "Their unit, mL/g/min, was converted to mL/100 g/min." in text
    assert "maps of oxasl 0.2.3 were taken (1 scan)" in text


def test_a_study_of_the_workflows_own_has_none():
    assert methods_imported.made_by([{"Equation": "x"}]) is None
