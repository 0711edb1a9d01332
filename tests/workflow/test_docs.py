"""Pages for people who work on the project: built from the docstrings, and true to the code they speak of."""

import html
import re
import shutil
import subprocess
import sys

import pytest
from loading import ROOT, benchmark

house = benchmark("house")
PACKAGE = ROOT / "scripts/pharmasl"
FOLDERS = (
    "study",
    "space",
    "files",
    "statistics",
    "records",
    "workflow",
    "perfusion",
    "anatomy",
    "quality",
    "contrasts",
)
FOLDERS += ("simulate", "group", "regions", "endpoints", "sensitivity", "conduct", "power", "figures", "report")


# Pages with all kinds of content: pictures, long tables, code, docstrings.
OPENED = ("index", "tutorial", "own_dataset", "faq", "glossary", "statistics", "input_checks", "api/perfusion")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built without a warning."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", folder / "html"]
    done = subprocess.run([*command, "-d", folder / "doctrees"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.mark.slow
def test_the_site_holds_all_pages(site):
    assert "pharmasl.space.transforms" in (site / "api/space.html").read_text()
    # Files that lie outside of docs/ are pages too, and links to them go there.
    assert "participants.tsv" in (site / "input.html").read_text()
    assert 'href="input.html"' in (site / "own_dataset.html").read_text()
    for name in OPENED:
        assert (site / f"{name}.html").exists()


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site):
    loaded = re.compile(r"""<(?:script|img|iframe|link|source)[^>]*(?:src|href)=["'](?:https?:)?//[^"']+""")
    pages = {page.relative_to(site).as_posix(): loaded.findall(page.read_text()) for page in site.rglob("*.html")}
    assert {name: links for name, links in pages.items() if links} == {}
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert not re.search(r"""(?:@import|url\()\s*["']?(?:https?:)?//""", styles)


@pytest.mark.slow
def test_pages_of_the_site_open_without_requests_errors_or_scrolling_sideways(site):
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no browser on the PATH")
    playwright = pytest.importorskip("playwright.sync_api")
    outside, messages, wide = [], [], []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for width in (390, 1280):
            page = browser.new_page(viewport={"width": width, "height": 900})
            page.on("request", lambda request: outside.append(request.url))
            page.on("console", lambda message: messages.append(message.text))
            page.on("pageerror", lambda error: messages.append(str(error)))
            for name in OPENED:
                page.goto((site / f"{name}.html").as_uri())
                if page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") > 0:
                    wide.append(f"{name} at {width} px")
            page.close()
        browser.close()
    assert [url for url in outside if not url.startswith(("file:", "data:"))] == []
    assert messages == []
    assert wide == []


def test_frequent_errors_are_messages_that_the_checks_give():
    """As the table of the checks has them, which is itself tested case by case."""
    before = (ROOT / "docs/faq.md").read_text().split("## During a run")[0]
    messages = re.findall(r"^\*\*`(.+)`\*\*$", before, re.MULTILINE)
    table = html.unescape((ROOT / "docs/input_checks.md").read_text())
    assert len(messages) >= 20
    assert [message for message in messages if message not in table] == []


def test_every_room_has_a_page_in_the_order_of_the_layers():
    index = (ROOT / "docs/api/index.md").read_text().split("top down\n")[1].split("```")[0]
    listed = [name.replace("_", "/") for name in index.split()]
    layers = [room for layer in house.Checkout(ROOT).layers() for room in layer]
    assert [name for name in listed if "/" not in name] == layers
    folders = {path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("__init__.py")} - {"."}
    assert {*listed} - {"errors"} == folders
    for name in listed:
        assert (ROOT / f"docs/api/{name.replace('/', '_')}.rst").exists()


def test_the_picture_of_the_rooms_is_that_of_the_layers():
    """As ``python benchmarks/house.py --layers`` prints it."""
    page = (ROOT / "docs/architecture.md").read_text()
    picture = page.split("<!-- layers -->\n")[1].split("\n<!-- end -->")[0]
    assert picture == house.layers(house.Checkout(ROOT))


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
)
def test_files_that_a_page_names_are_there(page):
    text = (ROOT / page).read_text()
    tops = {path.name for path in (*PACKAGE.iterdir(), *ROOT.iterdir()) if path.is_dir()}
    named = set(re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|ya?ml|smk|md))`", text))
    missing = [name for name in named if not ((ROOT / name).exists() or (PACKAGE / name).exists())]
    assert [name for name in missing if name.split("/")[0] in tops] == []


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "config/README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))


def anchors(page):
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        whole = page.parent / path if path else page
        if not whole.exists() or (heading and heading not in anchors(whole)):
            dead.append(target)
    assert dead == []


def test_the_readme_fits_two_screens():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 100


def test_modules_that_the_architecture_names_are_there():
    text = (ROOT / "docs/architecture.md").read_text()
    named = {name.split("/")[-1] for name in re.findall(r"`([\w/]+\.py)`", text)}
    known = {path.name for folder in ("scripts", "benchmarks", "tests") for path in (ROOT / folder).rglob("*.py")}
    assert named <= known
