import pytest
from pharmasl.files import blinding, tables
from pharmasl.workflow import failures
from pharmasl.workflow.closing import MOST_LISTED, Ending, scan_lines
from pharmasl.workflow.closing import closing as words

COLUMNS = {name: name for name in ("scan", "usable", "exclusion_reason", "flags")}


def ending(**kinds):
    return Ending(**{"failed": False, "took": "12 min", "command": "./run --cores 2", "since": 1e9, **kinds})


def closing(root, page, end, blinded=False, has_answers=True):
    return words(root, page, end, blinded=blinded, has_answers=has_answers, outputs="default")


@pytest.fixture
def results(tmp_path):
    """Three scans: one good, one flagged, one excluded."""
    root = tmp_path / "results"
    for folder in ("quality", "report", "logs"):
        (root / folder).mkdir(parents=True)
    rows = [
        {"scan": "sub-01_asl", "usable": "yes", "exclusion_reason": None, "flags": None},
        {"scan": "sub-02_asl", "usable": "yes", "exclusion_reason": None, "flags": "fd_mean:high,coverage:low"},
        {"scan": "sub-03_asl", "usable": "no", "exclusion_reason": "too few pairs", "flags": "fd_mean:high"},
    ]
    tables.write_table(root / "quality/scans.tsv", rows, COLUMNS)
    return root


def test_a_good_end_names_the_page_and_the_scans_to_look_at(results):
    page = results / "report/index.html"
    page.touch()
    text = closing(str(results), str(page), ending())
    assert text.splitlines() == [
        "3 scans: 2 usable, 1 excluded, 1 flagged.",
        "  excluded sub-03_asl: too few pairs",
        "  flagged sub-02_asl: mean framewise displacement high, brain coverage low",
        "Done in 12 min.",
        "Results: 0.0 MB (outputs: default)",
        f"Page: {page}",
        "Next: open the page, and look at the scans named above (their pages are linked there).",
    ]


def test_without_a_page_the_next_step_makes_it(results):
    assert "makes the page" in closing(str(results), str(results / "report/index.html"), ending())


def test_a_page_and_a_table_of_an_earlier_run_are_no_news(results):
    page = results / "report/index.html"
    page.touch()
    late = {"since": page.stat().st_mtime + 60}
    assert closing(str(results), str(page), ending(**late)).splitlines()[-1] == (
        f"Next: the same command without the name of a target makes the page (that of an earlier run: {page})."
    )
    assert "scans" not in closing(str(results), str(page), ending(failed=True, **late))


def test_where_all_scans_are_good_the_page_is_next(results):
    page = results / "report/index.html"
    page.touch()
    tables.write_table(results / "quality/scans.tsv", [{"scan": "a", "usable": "yes"}], COLUMNS)
    text = closing(str(results), str(page), ending())
    assert text.splitlines()[0] == "1 scan: 1 usable, 0 excluded, 0 flagged."
    assert text.endswith("Next: open the page; it begins with the answers.")
    # A pilot asks nothing of the trial.
    assert closing(str(results), str(page), ending(), has_answers=False).endswith("Next: open the page.")


def test_failures_come_once_with_file_and_reason_and_how_to_go_on(results):
    log = results / "logs/sub-01.log"
    failures.record(log, failures.Failure("prepare_anatomy sub-01", "a.nii.gz: all 0", True, "x"))
    text = closing(str(results), "page", ending(failed=True))
    assert text.count("a.nii.gz: all 0") == 1
    assert f"log: {log}" in text
    assert text.splitlines()[-2:] == [
        "Not complete, after 12 min.",
        "Next: Correct what is named above, then the same command does what is missing: ./run --cores 2",
    ]
    assert "Correct" not in closing(str(results / "other"), "page", ending(failed=True))


def test_a_blinded_runs_table_is_read(results):
    with blinding.marking(True):
        tables.write_table(results / "quality/scans.tsv", [{"scan": "a", "usable": "yes"}], COLUMNS)
    assert scan_lines(str(results / "quality/scans.tsv")) == []
    assert "1 scan:" in closing(str(results), "page", ending(), blinded=True)


def test_many_scans_are_counted(results):
    rows = [{"scan": f"s{number}", "usable": "no", "exclusion_reason": "poor"} for number in range(MOST_LISTED + 3)]
    path = results / "quality/scans.tsv"
    tables.write_table(path, rows, COLUMNS)
    lines = scan_lines(str(path))
    assert lines[-1] == f"  and 3 more excluded: {path}"
    assert len(lines) == MOST_LISTED + 2
