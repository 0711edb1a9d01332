"""Sheets and settings that people's bug reports led to, kept beside the checkout, laid over a small trial as they are."""

import contextlib
import shutil

import pytest
import skeleton
import wrong_input
import yaml
from loading import shared_data
from pharmasl.study import written

# Part of the folder's name, and of the only error.
REFUSED = {
    "01-": "arm .2 times",
    "02-": "craving_post .2 times",
    "03-": "5 cells in line 2",
    "04-": "cells in line 4",
    "05-": "NA",
    "06-": "sex",
    "07-": "decimal point",
    "08-": "NA",
    "09-": "UTF-8",
    "10-": "tabs between the columns",
    "12-": "another folder than bids_dir",
    "14-": "braces",
    "15-": "sessions",
    "16-": "contrasts",
    "17-": "craving.after",
    "18-": "Rest|rest",
    "32-": "run: none in any name",
    "34-": "60 at most",
    "38-": "air",
    "39-": "999",
}
ACCEPTED = ("13-", "30-", "35-", "36-")
CRAVING = {"table": "phenotype/craving.tsv", "before": "craving_pre", "after": "craving_post", "range": [0, 100]}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return skeleton.dataset(tmp_path_factory.mktemp("flow") / "bids", participants=6)


def _laid_over(prefix, good, folder):
    """The trial with the case's files; returns where its configuration is, if it has one."""
    source = next(path for path in sorted(shared_data("cases", "flow").iterdir()) if path.name.startswith(prefix))
    shutil.copytree(good, folder / "bids")
    for name, place in (("participants.tsv", "participants.tsv"), ("craving.tsv", "phenotype/craving.tsv")):
        if (source / name).exists():
            shutil.copy(source / name, folder / "bids" / place)
    return source / "study.yaml"


def _tried(prefix, good, folder):
    settings = _laid_over(prefix, good, folder)
    config = (
        yaml.safe_load(settings.read_text()) if settings.exists() else {**skeleton.config("bids"), "craving": CRAVING}
    )
    with contextlib.chdir(folder):
        return wrong_input.attempt(wrong_input.plan_study, config)


@pytest.mark.parametrize("prefix", REFUSED)
def test_a_sheet_or_setting_is_refused_for_its_own_cause(prefix, good, tmp_path):
    _, errors = _tried(prefix, good, tmp_path)
    assert len(errors) == 1, errors
    assert wrong_input.matches(REFUSED[prefix], str(errors[0]))


@pytest.mark.parametrize("prefix", ACCEPTED)
def test_a_harmless_one_is_accepted(prefix, good, tmp_path):
    study, errors = _tried(prefix, good, tmp_path)
    assert not errors
    assert study.scans


def test_keys_that_stand_twice_are_refused(good, tmp_path):
    errors = list(written.repeated_keys([_laid_over("11-", good, tmp_path)]))
    assert errors
    assert all("twice" in str(error) for error in errors)
