"""Links to the files of the results."""

import dataclasses
from types import SimpleNamespace

from pharmasl.report import files_section, templates
from pharmasl.report.report_files import ReportFiles


def study(**changes):
    names = [field.name for field in dataclasses.fields(ReportFiles)]
    nothing = dict.fromkeys(names, ())
    single = dict.fromkeys(("participant_flow", "trial_verdict", "craving_scores", "craving_model", "seed_slopes"))
    return ReportFiles(**{**nothing, **single, "scans": "r/study/scans.tsv", **changes})


def test_every_file_is_linked_once_with_what_it_is():
    maps = [
        f"r/group/{name}/contrast-{label}_{end}"
        for name, label in (("one", "one"), ("one_more", "oneMore"))
        for end in ("stat-t_statmap.nii.gz", "odd_new.tsv")
    ]
    files = study(analyses_maps=maps, analyses_tables=["r/group/one/contrast-one_clusters.tsv"])
    settings = SimpleNamespace(analyses={"one": None, "one_more": None})
    whole, one, more = files_section.section(files, settings, ["First", "Second"])
    assert [file.path for file in whole.files] == ["r/study/scans.tsv"]
    assert [(str(file.path), file.words) for file in one.files[:2]] == [
        ("r/group/one/contrast-one_clusters.tsv", "Clusters and their peaks"),
        ("r/group/one/contrast-one_stat-t_statmap.nii.gz", "Map of t"),
    ]
    # A file without words has its own name.
    assert one.files[2].words == "Odd new.tsv"
    assert (more.heading, len(more.files)) == ("Second", 2)
    assert not {file.path for file in one.files} & {file.path for file in more.files}


def test_links_are_relative_and_quoted():
    assert templates.beside("r/group/a b/x#1.tsv", "r/report") == "../group/a%20b/x%231.tsv"
