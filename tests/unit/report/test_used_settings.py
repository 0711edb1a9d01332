"""What the page prints of a configuration where another program's results take the place of stages."""

from types import SimpleNamespace

import complete_settings
import other_programs
import pytest
import skeleton
from pharmasl.report import used_settings
from pharmasl.study.derivatives import Derivatives

SOURCE = SimpleNamespace()
SPACE = "MNI152NLin2009aSym"
RUNS = [
    {"sub": f"{number:02d}", "ses": session, "acq": state}
    for number in range(1, 5)
    for session in ("T1", "T2")
    for state in ("rest", "smoking", "neutral")
]


def derivatives(anatomy=None, cbf=None, contrasts=None):
    return Derivatives(anatomy=anatomy, cbf=cbf, contrasts=contrasts)


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """The complete configuration of a study of imported CBF maps."""
    folder = tmp_path_factory.mktemp("study")
    root = skeleton.dataset(folder / "bids")
    maps = other_programs.aslprep(folder / "aslprep", other_programs.of_runs(RUNS))
    stated = {"cbf": {"dir": str(maps), "space": SPACE}}
    return complete_settings.read({**skeleton.config(root), "derivatives": stated}).config


def test_of_imported_cbf_the_smoothing_and_the_rules_of_quality_count(complete):
    used = used_settings.used(complete, derivatives(cbf=SOURCE))
    assert "anatomy" not in used
    assert used["perfusion"] == {"smoothing_fwhm": complete["perfusion"]["smoothing_fwhm"]}
    assert set(complete["quality"]) - set(used["quality"]) == {"least_pairs", "exclude_failed_registration"}
    rest = [name for name in complete if name not in ("anatomy", "perfusion", "quality")]
    assert [name for name in used if name in rest] == rest
    assert all(used[name] == complete[name] for name in rest)


def test_of_imported_contrasts_nothing_of_scans_counts(complete):
    used = used_settings.used(complete, derivatives(contrasts=SOURCE))
    assert set(complete) - set(used) == {"anatomy", "perfusion", "quality"}


@pytest.mark.parametrize(("own", "kept"), [([], {"per"}), (["registration"], {"per", "registration"})])
def test_of_imported_anatomies_the_steps_that_are_the_workflows_own_count(complete, own, kept):
    used = used_settings.used(complete, derivatives(anatomy=SimpleNamespace(own=own)))
    assert set(used["anatomy"]) == kept
    assert used["perfusion"] == complete["perfusion"]


def test_without_imports_all_is_printed(complete):
    assert used_settings.used(complete, derivatives()) == complete
