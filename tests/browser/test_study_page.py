"""The study's page as a reader uses it: at two widths, light and dark, by mouse and by keyboard, and on paper."""

import pytest
from reported import HOSTILE, make, write

DESKTOP, PHONE = 1280, 390


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """The page of a made-up study of eight."""
    study = make(tmp_path_factory.mktemp("study"))
    write(study)
    return study.here / "index.html"


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_asked_for_said_inaccessible_or_wider_than_the_window(page_of, axe, page_file, width, dark):
    opened = page_of(page_file, width=width, dark=dark)
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    assert axe(opened) == []
    # What is folded too, with all columns of every table.
    opened.page.evaluate("document.querySelectorAll('main details').forEach(each => { each.open = true; })")
    hidden = opened.page.get_by_role("button", name="Show all columns")
    assert hidden.count() > 2
    while hidden.count():
        hidden.first.click()
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    assert axe(opened) == []
    assert opened.requests == opened.messages == []


def test_text_of_the_dataset_runs_no_script(page_of, page_file):
    opened = page_of(page_file)
    assert opened.page.locator("body").inner_text().count(HOSTILE) > 0
    assert opened.page.evaluate("document.querySelectorAll('main script, main [onerror]').length") == 0


def test_answers_lead_to_their_sections(page_of, page_file):
    opened = page_of(page_file)
    page = opened.page
    page.locator(".answers a", has_text="Cue-elicited craving").click()
    opened.wait_until("Math.abs(document.getElementById('craving').getBoundingClientRect().top) < 100")
    opened.wait_until("document.querySelector('nav a[aria-current]').hash === '#craving'")


def test_sections_stay_in_sight_on_a_desktop(page_of, page_file):
    page = page_of(page_file).page
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    box = page.locator("nav").bounding_box()
    assert box["y"] == 0
    assert page.locator("nav a", has_text="Image quality").is_visible()


def test_sections_fold_into_a_bar_that_stays_on_a_phone(page_of, page_file):
    opened = page_of(page_file, width=PHONE)
    page = opened.page
    page.evaluate("scrollTo(0, 3000)")
    summary = page.locator("nav summary")
    assert summary.bounding_box()["y"] < 60
    link = page.locator("nav a", has_text="Methods")
    assert not link.is_visible()
    summary.click()
    link.click()
    opened.wait_until("document.getElementById('methods').getBoundingClientRect().top >= 40")
    assert page.locator("nav details[open]").count() == 0
    summary.click()
    page.keyboard.press("Escape")
    assert page.locator("nav details[open]").count() == 0


def test_the_first_stop_of_the_keyboard_skips_to_the_content(page_of, page_file):
    page = page_of(page_file).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_table_shows_all_its_columns_on_demand_and_its_file_is_there(page_of, page_file):
    page = page_of(page_file).page
    table = page.locator(".table", has=page.locator("caption", has_text="Clusters;"))
    hidden = table.locator("th", has_text="p FWE, peak")
    assert not hidden.is_visible()
    button = table.get_by_role("button", name="Show all columns")
    button.click()
    assert hidden.is_visible()
    table.get_by_role("button", name="Show less").click()
    assert not hidden.is_visible()
    address = table.locator(".tools a").get_attribute("href")
    assert (page_file.parent / address).is_file()


def test_scans_to_look_at_lead_to_their_pages(page_of, page_file):
    page = page_of(page_file).page
    links = page.locator("table", has=page.locator("caption", has_text="Scans to inspect")).locator("a")
    assert links.count() == 2
    assert all(link.get_attribute("href").startswith("scans/") for link in links.all())


def test_all_is_on_paper_in_light_colours_and_nothing_to_click(page_of, page_file, tmp_path):
    page = page_of(page_file, dark=True).page
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert not page.locator(".tools").first.is_visible()
    for text in ("What was tested", "Configuration, as resolved"):
        assert page.locator("summary", has_text=text).first.is_visible()
    assert page.locator("dt", has_text="Model").first.is_visible()
    assert page.locator("th", has_text="p FWE, peak").first.is_visible()
    page.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 20_000
