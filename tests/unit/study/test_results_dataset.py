"""What the results say of themselves to readers of BIDS."""

import json

import pytest
from pharmasl.study import results_dataset, results_readme

CONTENT = {"title": "A trial", "authors": [], "license": None, "sources": {"raw": {"place": "../bids"}}}


def test_the_description_names_title_source_and_program():
    raw = {"place": "../bids", "DOI": "10.1/x", "Version": "1.2"}
    content = results_dataset.description({**CONTENT, "sources": {"raw": raw}})
    assert (content["Name"], content["DatasetType"]) == ("A trial", "derivative")
    assert content["GeneratedBy"][0]["Name"] == "pharmasl"
    assert content["SourceDatasets"] == [{"URL": "file:../bids", "DOI": "10.1/x", "Version": "1.2"}]
    assert content["DatasetLinks"] == {"raw": "../bids"}


def test_the_folders_of_other_programs_are_sources_too_each_once():
    made = {"place": "../aslprep", "DOI": "10.2/y", "program": {"name": "ASLPrep", "version": "26.0.0"}}
    content = results_dataset.description(
        {**CONTENT, "sources": {**CONTENT["sources"], "anatomy": made, "cbf": made, "contrasts": {"place": "spm"}}}
    )
    assert content["SourceDatasets"] == [
        {"URL": "file:../bids"},
        {"URL": "file:../aslprep", "DOI": "10.2/y", "GeneratedBy": [{"Name": "ASLPrep", "Version": "26.0.0"}]},
        {"URL": "file:spm"},
    ]
    places = {"raw": "../bids", "anatomy": "../aslprep", "cbf": "../aslprep", "contrasts": "spm"}
    assert content["DatasetLinks"] == places


def test_authors_and_licence_are_there_where_they_are_declared():
    assert not {"Authors", "License"} & set(results_dataset.description(CONTENT))
    content = results_dataset.description({**CONTENT, "authors": ("Jane Doe",), "license": "CC0"})
    assert (content["Authors"], content["License"]) == (["Jane Doe"], "CC0")


@pytest.mark.parametrize(
    ("description", "changes", "expected"),
    [
        (
            {"DatasetDOI": " doi:10.1/x "},
            "1.1.0 2025-03-01\n  - more people\n",
            {"DOI": "doi:10.1/x", "Version": "1.1.0"},
        ),
        ({"DatasetDOI": 3}, "Changes of the dataset\n", {}),
        ({}, None, {}),
        (None, "2.0", {"Version": "2.0"}),
        ("[", None, {}),
    ],
)
def test_doi_and_version_are_those_of_the_raw_dataset(tmp_path, description, changes, expected):
    if description is not None:
        text = description if isinstance(description, str) else json.dumps(description)
        (tmp_path / "dataset_description.json").write_text(text)
    if changes is not None:
        (tmp_path / "CHANGES").write_text(changes)
    assert results_dataset.source(tmp_path) == expected


def test_what_is_written_is_what_readers_expect(tmp_path):
    results_dataset.write(tmp_path / "dataset_description.json", CONTENT, readme=tmp_path / "README.md")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".bidsignore",
        "README.md",
        "dataset_description.json",
    ]
    assert "/group\n" in (tmp_path / ".bidsignore").read_text()


def test_the_readme_leads_to_the_page_and_escapes_what_the_study_says():
    text = results_readme.readme(
        {**CONTENT, "title": "A <b>trial</b>\nof two", "authors": ("J & K",), "license": "CC0"}
    )
    assert text.startswith("# A &lt;b&gt;trial&lt;/b&gt; of two\n\nAuthors: J &amp; K  \nLicence: CC0  \n\n")
    assert "| `report/index.html` | **begin here**" in text
    bare = results_readme.readme(CONTENT)
    assert "Authors" not in bare
    assert "Licence" not in bare


def test_the_readme_knows_every_folder_of_the_results():
    """What BIDS does not know is what a reader needs told."""
    folders = {line[1:] for line in results_dataset.IGNORED if line[0] == "/" and not line.endswith(".json")}
    told_of = " ".join(results_readme.CONTENTS)
    assert [name for name in sorted(folders - {"contrasts", "neurovault"}) if f"{name}/" not in told_of] == []
