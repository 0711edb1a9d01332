"""Skeleton datasets to plan runs on."""

import pytest
import skeleton
import yaml
from calling import Workflow
from loading import ROOT


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """The 43 participants of the model study, as a skeleton, with the configuration that the project ships."""
    workflow = Workflow(tmp_path_factory.mktemp("trial"))
    skeleton.dataset(workflow.folder / "data/bids", participants=43)
    workflow.configure(yaml.safe_load((ROOT / "config/config.yaml").read_text()))
    return workflow


@pytest.fixture
def small(tmp_path):
    """Four participants and one analysis."""
    workflow = Workflow(tmp_path)
    skeleton.dataset(tmp_path / "bids")
    workflow.configure(skeleton.config("bids"))
    return workflow
