"""Take the pictures of docs/example.md anew: python docs/pictures.py demo/results (needs playwright and a Chromium)."""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).resolve().parent
WIDTH = 1280
# How a picture is kept: its width in pixels, and the quality of its WebP.
KEPT, QUALITY = 1100, 82


def keep(picture: bytes, name: str) -> None:
    """Write a picture of the browser as docs/NAME.webp, smaller."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    size = (KEPT, round(image.height * KEPT / image.width))
    image.resize(size, Image.Resampling.LANCZOS).save(FOLDER / f"{name}.webp", quality=QUALITY, method=6)


def take(results: Path) -> None:
    """The beginning of the study page, participants and map of its first analysis, and the beginning of a scan's page."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900})
        page.goto((results / "report/index.html").resolve().as_uri())
        keep(page.screenshot(), "example_answers")
        analysis = page.locator('section[aria-labelledby="analysis-1"]')
        parts = {
            "example_analysis": (analysis, 1220),
            "example_map": (analysis.get_by_text("Over the brain").first, 900),
        }
        for name, (part, height) in parts.items():
            clip = {"x": 264, "y": part.bounding_box()["y"], "width": WIDTH - 264, "height": height}
            keep(page.screenshot(full_page=True, clip=clip), name)
        scan = min((results / "report/scans").glob("sub-*.html"))
        page.goto(scan.resolve().as_uri())
        keep(page.screenshot(full_page=True, clip={"x": 64, "y": 0, "width": 1152, "height": 1060}), "example_scan")
        browser.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]))
