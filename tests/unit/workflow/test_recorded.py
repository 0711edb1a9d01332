"""Files that an earlier run made and that are gone."""

import base64
import os
from types import SimpleNamespace

import complete_settings
import pytest
import skeleton
from pharmasl.workflow import recorded


def record(folder, path, piece=250):
    """Snakemake's record of a file, as it names it."""
    code = base64.urlsafe_b64encode(path.encode()).decode()
    pieces = [code[start : start + piece] for start in range(0, len(code), piece)]
    file = folder.joinpath(*[f"@{each}" for each in pieces[:-1]], pieces[-1])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}")


@pytest.mark.parametrize("piece", [5, 7, 250])
def test_records_are_read_whole_or_in_pieces(tmp_path, piece):
    paths = ["results/group/a/a_stat-t_statmap.nii.gz", "results/sub-ä/perf/x~y.tsv", "@/b"]
    for path in paths:
        record(tmp_path / "metadata", path, piece)
    assert sorted(recorded.names(tmp_path / "metadata")) == sorted(paths)


def test_what_is_no_record_is_passed_over(tmp_path):
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata/a.b").write_text("")
    assert list(recorded.names(tmp_path / "metadata")) == []
    assert list(recorded.names(tmp_path / "absent")) == []


def rule(name, pattern, flags=(), **wildcards):
    output = SimpleNamespace(flags=dict.fromkeys(flags, True), match=lambda path: path.startswith(pattern))
    return SimpleNamespace(name=name, is_producer=output.match, get_wildcards=lambda path: wildcards, output=[output])


def test_what_is_asked_for_and_gone_is_lost(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    skeleton.dataset("bids")
    (tmp_path / "results/group").mkdir(parents=True)
    (tmp_path / "results/group/there.tsv").touch()
    os.symlink("nowhere", "results/group/link.tsv")
    found = complete_settings.targets(complete_settings.read(skeleton.config("bids")))
    scan = next(iter(found.study.scans))
    rules = [
        rule("cluster_table", "results/group/", analysis="rest_interaction"),
        rule("quantify_perfusion", "results/known", scan=scan),
        rule("quantify_perfusion", "results/stranger", scan="sub-99/perf/sub-99_acq-rest"),
        rule("craving_scores", "results/craving/"),
        rule("alternative_maps", "results/sensitivity/maps/", flags=["temp"]),
        rule("quantify_perfusion", "results/removed", flags=["temp"], scan=scan),
        rule("realigned_series", "results/series", scan=scan),
        rule("cbf_series", "results/of_repeats", scan=scan),
        rule("neurovault", "results/neurovault/"),
    ]
    made = [
        "results/group/gone.tsv",
        "results/group/there.tsv",
        "results/group/link.tsv",
        "results/known_cbf.nii.gz",
        "results/stranger_cbf.nii.gz",
        "results/removed_timeseries.nii.gz",
        "results/series_asl.nii.gz",
        "results/of_repeats_cbf.nii.gz",
        "results/craving/scores.tsv",
        "results/sensitivity/maps/a.nii.gz",
        "results/neurovault/metadata.tsv",
        "results/of_an_older_version.tsv",
        "elsewhere/group/gone.tsv",
        "resultsgroup/gone.tsv",
    ]
    assert recorded.lost(found, rules, made) == ["results/group/gone.tsv", "results/known_cbf.nii.gz"]
