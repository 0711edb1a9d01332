"""What a run has read of its study is there for its own jobs alone: of this user, this configuration and this code."""

import os

import pytest
import skeleton
from pharmasl.records import provenance
from pharmasl.workflow import kept_reading, plan


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    skeleton.dataset(tmp_path / "bids", participants=4)
    return skeleton.config("bids")


@pytest.fixture
def reading(config):
    return plan.read(config)


def test_it_is_what_was_read(config, reading):
    kept_reading.KeptReading(config).save(reading)
    again = kept_reading.KeptReading(config).load()
    assert again == reading
    assert again is not reading
    assert list(again.study.scans) == list(reading.study.scans)


def test_another_configuration_or_folder_has_its_own(config, reading, tmp_path, monkeypatch):
    kept_reading.KeptReading(config).save(reading)
    assert kept_reading.KeptReading(config | {"output_dir": "others"}).load() is None
    monkeypatch.chdir(tmp_path.parent)
    assert kept_reading.KeptReading(config).load() is None


def test_other_code_has_its_own(config, reading, monkeypatch):
    kept_reading.KeptReading(config).save(reading)
    monkeypatch.setattr(provenance, "digest", lambda script: "0" * 16)
    assert kept_reading.KeptReading(config).load() is None


def test_nothing_is_taken_from_another_user(config, reading, monkeypatch):
    kept = kept_reading.KeptReading(config)
    kept.save(reading)
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    assert kept.load() is None


def test_a_reading_with_errors_is_not_kept(config):
    path = "bids/participants.tsv"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("baclofen", "baclofne"))
    reading = plan.read(config)
    assert reading.trial_errors
    kept = kept_reading.KeptReading(config)
    kept.save(reading)
    assert kept.load() is None


def test_it_goes_when_the_run_ends_and_damage_does_no_harm(config, reading, tmp_path):
    kept = kept_reading.KeptReading(config)
    kept.remove()
    kept.save(reading)
    (file,) = tmp_path.glob(".snakemake/pharmasl/*")
    file.write_bytes(file.read_bytes()[:-100])
    assert kept.load() is None
    kept.remove()
    assert list(tmp_path.glob(".snakemake/pharmasl/*")) == []
