"""The order of the files: where processes share the suite, the longest begin first, so that none of them is left for the end."""

from pathlib import Path

HERE = Path(__file__).parent
# By the time that each takes; the others follow as they are named.
LONGEST = (
    "workflow/test_whole_run.py",
    "workflow/test_slurm.py",
    "workflow/test_docs.py",
    "workflow/test_reruns.py",
    "workflow/test_imported_cbf.py",
    "workflow/test_real_scan.py",
    "workflow/test_dag.py",
    "workflow/test_output_levels.py",
    "workflow/test_records.py",
    "workflow/test_imported_contrasts.py",
)


def pytest_configure(config):
    # xdist would begin with the files of the most tests, and end with the longest.
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    places = {HERE / name: place for place, name in enumerate(LONGEST)}
    assert [path for path in places if not path.is_file()] == []
    items.sort(key=lambda item: places.get(item.path, len(places)))
