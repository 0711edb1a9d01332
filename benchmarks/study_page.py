"""Size of the study's page and how long it takes to write and to open, by the number of participants.

    python benchmarks/study_page.py 43 500 --figures demo/results/group/rest_interaction

The trial is made up; --figures takes the pictures of a finished analysis in place of small ones, for two analyses. Opening is by an
installed Chromium and playwright, and is left out without them.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("scripts", "tests")]

from reported import make, write


def pictures(folder):
    """The page's inputs that are pictures, from a finished analysis."""
    one = {
        "analyses_figures": "figure.html",
        "analyses_changes": "desc-changes_figure.html",
        "analyses_called_figures": "desc-called_figure.html",
        "analyses_viewers": "desc-viewer_figure.html",
        "analyses_designs": "design.svg",
        "analyses_region_figures": "desc-regions_figure.svg",
    }
    return {name: [folder / f"{folder.name}_{end}"] * 2 for name, end in one.items()}


def opening(page):
    """Seconds until the page is loaded, and until it has answered a click; None without a browser."""
    program = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if program is None:
        return None
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        window = browser.new_page()
        start = time.perf_counter()
        window.goto(page.resolve().as_uri())
        loaded = time.perf_counter() - start
        window.locator("button.theme").click()
        clicked = time.perf_counter() - start
        browser.close()
    return loaded, clicked


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("people", type=int, nargs="+")
    parser.add_argument("--figures", type=Path)
    asked = parser.parse_args()
    for people in asked.people:
        with tempfile.TemporaryDirectory() as folder:
            study = make(Path(folder), people)
            changes = pictures(asked.figures) if asked.figures else {}
            start = time.perf_counter()
            write(study, **changes)
            written = time.perf_counter() - start
            page = study.here / "index.html"
            times = opening(page)
            opened = "" if times is None else f", open in {times[0]:.2f} s, answers a click by {times[1]:.2f} s"
            print(f"{people} people: {page.stat().st_size / 1e6:.2f} MB, written in {written:.1f} s{opened}")


if __name__ == "__main__":
    main()
