"""A real scan through every rule."""

import pytest
import yaml
from calling import Workflow
from loading import ROOT, shared_data
from pharmasl.files import tables
from pharmasl.space import images


@pytest.mark.slow
def test_a_real_scan_goes_the_whole_way(tmp_path):
    """Raw BIDS to template CBF and the page of one real scan, by the same rules."""
    dataset = shared_data("data", "siemens-xa30-pcasl")
    workflow = Workflow(tmp_path)
    config = yaml.safe_load((ROOT / "config/single_scan.yaml").read_text())
    workflow.configure(
        {**config, "bids_dir": str(dataset), "output_dir": "results", "anatomy": {"registration": {"resolution": 2}}}
    )
    workflow.snakemake("--cores", "2", forked=True)
    cbf, _ = images.load(tmp_path / "results/sub-01/perf/sub-01_space-MNI152NLin2009aSym_desc-smooth_cbf.nii.gz")
    assert cbf.shape == (99, 117, 95)
    (row,) = tables.read_table(tmp_path / "results/quality/scans.tsv")
    # Three pairs only: the plausible range of grey matter is all that can be asked.
    assert 20 < float(row["gm_cbf"]) < 80
    assert (tmp_path / "results/report/index.html").is_file()
