"""The page of a scan and the reviewing page in a browser: what is clicked, typed, kept, downloaded and loaded."""

import imported_maps
import pytest
import scanned
from pharmasl.files import tables
from pharmasl.quality.measure_columns import COLUMNS
from pharmasl.report.scans import review_page, scan_page

PHONE = 390
SCANS = [f"sub-0{person}_ses-T1_acq-{state}" for person in (1, 2) for state in ("rest", "cue")]


def sideways(opened):
    """By how many pixels the page is wider than the window."""
    return opened.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """A folder with a page for each of four scans and the reviewing page; the second scan is excluded, the third flagged."""
    folder = tmp_path_factory.mktemp("report") / "scans"
    folder.mkdir()
    rows = []
    for place, name in enumerate(SCANS):
        label = {"scan": name, "participant_id": name[:6], "condition": name.rpartition("-")[2]}
        row = scanned.quality_row(**label)
        if place == 1:
            row |= {"usable": "no", "exclusion_reason": "M0 <dark>"}
        if place == 2:
            row |= {"flags": "fd_mean:high", "fd_mean": 0.9}
        rows.append(row)
        own = folder.parent / name
        own.mkdir()
        files = scanned.write(own, row=row, passed=[1, 0, 1, 1])
        known = {"acquisition": scanned.acquisition(), "interpolation": "cubic", "bands": {}}
        scan_page.write(folder / f"{name}.html", files, **known, assumed=False)
    tables.write_table(folder / "quality.tsv", rows, COLUMNS)
    review_page.write(folder / "index.html", folder / "quality.tsv")
    return folder


@pytest.mark.parametrize("name", SCANS[:3])
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (PHONE, False), (PHONE, True)])
def test_a_scans_page_is_accessible_and_quiet(page_of, axe, pages, name, width, dark):
    opened = page_of(pages / f"{name}.html", width=width, dark=dark)
    opened.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert axe(opened) == []
    assert (opened.requests, opened.messages) == ([], [])
    assert sideways(opened) <= 0


def test_the_registration_flickers_by_button_and_by_key(page_of, pages):
    page = page_of(pages / f"{SCANS[0]}.html").page
    first = page.locator(".overlay").first
    now = first.locator(".now")
    shown = "document.querySelector('.overlay .above').checkVisibility({opacityProperty: true})"
    assert now.inner_text() == "T1w"
    assert not page.evaluate(shown)
    first.get_by_role("button", name="Swap").click()
    assert now.inner_text() == "scan"
    assert page.evaluate(shown)
    page.locator("h1").click()
    page.keyboard.press("x")
    assert now.inner_text() == "T1w"
    button = first.get_by_role("button", name="Flicker")
    page.keyboard.press("f")
    assert button.get_attribute("aria-pressed") == "true"
    first.locator(".now", has_text="scan").wait_for(timeout=3000)
    first.locator(".now", has_text="T1w").wait_for(timeout=3000)
    button.click()
    assert button.get_attribute("aria-pressed") == "false"


def test_outlines_go_and_come(page_of, pages):
    page = page_of(pages / f"{SCANS[0]}.html").page
    line = page.locator(".tile .line.gm").first
    assert line.is_visible()
    page.get_by_label("grey matter above 0.5").uncheck()
    assert not line.is_visible()
    page.locator("h1").click()
    page.keyboard.press("o")
    assert not page.locator(".tile .line.brain").first.is_visible()
    page.keyboard.press("o")
    assert line.is_visible()


def test_lines_to_overrule_a_verdict_are_copied(page_of, pages):
    page = page_of(pages / f"{SCANS[1]}.html").page
    page.get_by_text("How to overrule this").click()
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert (
        page.evaluate("navigator.clipboard.readText()") == f'quality:\n  accept_scans:\n    {SCANS[1]}: "why, in words"'
    )


def test_all_that_is_folded_is_printed_and_both_images_are_seen(page_of, pages):
    page = page_of(pages / f"{SCANS[0]}.html").page
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.querySelectorAll('details:not([open])').length") == 0
    assert page.evaluate("getComputedStyle(document.querySelector('.above')).opacity") == "0.5"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.querySelectorAll('details[open]').length") == 0


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (PHONE, False)])
def test_the_reviewing_page_is_accessible_and_loads_pages_of_scans_alone(page_of, axe, pages, width, dark):
    opened = page_of(pages / "index.html", width=width, dark=dark)
    opened.page.frame_locator("#frame").locator("h1").wait_for()
    # Before axe, which speaks to the frame.
    assert opened.messages == []
    assert axe(opened) == []
    assert {address.rpartition("/")[2] for address in opened.requests} == {f"{SCANS[0]}.html"}
    assert sideways(opened) <= 0


def rated(page):
    """What a reader sees of the ratings: scan to mark."""
    return {
        link.get_attribute("data-scan"): link.get_attribute("data-rating")
        for link in page.locator("a[data-scan]").all()
    }


def ready(page):
    """Wait until the scan that is to be rated is seen."""
    page.locator("#good[aria-disabled=false]").wait_for()


def pressed(page, *keys, repeat=False):
    """Press keys at once, faster than a page loads."""
    script = "([keys, repeat]) => keys.forEach((key) => document.body.dispatchEvent(new KeyboardEvent('keydown', {key, repeat, bubbles: true})))"
    page.evaluate(script, [keys, repeat])


def test_a_scan_is_not_rated_before_it_is_seen(page_of, pages):
    page = page_of(pages / "index.html").page
    ready(page)
    pressed(page, "g", "g", "p")
    assert rated(page) == {SCANS[0]: "good", SCANS[1]: None, SCANS[2]: None, SCANS[3]: None}
    assert page.locator("#reason").input_value() == ""
    ready(page)
    # What said that the page was loading is gone with its cause.
    assert page.locator("#message").inner_text() == ""
    # A key that is held down rates no further scan.
    pressed(page, "g", repeat=True)
    assert rated(page)[SCANS[1]] is None
    pressed(page, "g")
    assert rated(page)[SCANS[1]] == "good"


def test_a_key_rates_the_scan_on_whose_page_it_was_pressed(page_of, pages):
    page = page_of(pages / "index.html").page
    ready(page)
    frame = page.frame(name="scan")
    # Two keys that wait until the first has called the next scan.
    frame.evaluate(
        "for (const key of 'gg') document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}))"
    )
    page.frame_locator("#frame").get_by_role("heading", name="sub-01, session T1, cue").wait_for()
    ready(page)
    assert rated(page) == {SCANS[0]: "good", SCANS[1]: None, SCANS[2]: None, SCANS[3]: None}
    sent = "(scan) => parent.postMessage({pharmasl: 'key', scan, key: 'g'}, '*')"
    frame.evaluate(sent, SCANS[0])
    frame.evaluate(sent, SCANS[1])
    page.frame_locator("#frame").get_by_role("heading", name="sub-02, session T1, rest").wait_for()
    assert rated(page) == {SCANS[0]: "good", SCANS[1]: "good", SCANS[2]: None, SCANS[3]: None}


def test_a_reason_is_whole_wherever_its_letters_were_typed(page_of, pages):
    opened = page_of(pages / "index.html")
    page = opened.page
    ready(page)
    frame = page.frame(name="scan")
    # Letters are under way to the form when it gets the keyboard and takes the rest itself.
    frame.evaluate(
        """for (const key of ["p", "g", "p", "u", "x", "Backspace", "n"])
            document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}))"""
    )
    opened.wait_until("document.getElementById('reason').value === 'gpun'")
    page.keyboard.type("gr")
    # One that comes late stands where it was typed.
    frame.evaluate("(scan) => parent.postMessage({pharmasl: 'typed', scan, key: '!'}, '*')", SCANS[0])
    opened.wait_until("document.getElementById('reason').value === 'gpun!gr'")
    page.keyboard.type("?")
    assert page.locator("#reason").input_value() == "gpun!gr?"
    page.keyboard.press("Enter")
    ready(page)
    # After it the keys rate again.
    page.keyboard.press("g")
    assert rated(page) == {SCANS[0]: "poor", SCANS[1]: "good", SCANS[2]: None, SCANS[3]: None}


def test_enter_waits_for_letters_that_are_under_way(page_of, pages):
    page = page_of(pages / "index.html").page
    ready(page)
    page.evaluate(
        """addEventListener("message", (event) => {
            if (event.data.key === "p") for (const key of ["Enter", "g"])
                document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
        })"""
    )
    page.frame(name="scan").evaluate(
        "for (const key of 'pgood') document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}))"
    )
    page.frame_locator("#frame").get_by_role("heading", name="sub-01, session T1, cue").wait_for()
    assert page.locator("a[data-scan] .rated").first.inner_text() == "rated poor: good"
    assert rated(page) == {SCANS[0]: "poor", SCANS[1]: None, SCANS[2]: None, SCANS[3]: None}


def test_enter_rates_no_scan_good(page_of, pages):
    page = page_of(pages / "index.html").page
    ready(page)
    page.locator("#rater").fill("AB")
    page.keyboard.press("Enter")
    page.keyboard.press("p")
    page.keyboard.press("Enter")
    page.locator("#save").click()
    assert page.locator("#message").inner_text() == "A poor rating needs its reason."
    assert set(rated(page).values()) == {None}


def test_scans_are_rated_by_keys_kept_downloaded_and_loaded_again(page_of, pages, tmp_path):
    page = page_of(pages / "index.html").page
    heading = page.frame_locator("#frame").locator("h1")
    assert heading.inner_text() == "sub-01, session T1, rest"
    page.locator("#rater").fill("AB")
    page.locator("h1").click()
    ready(page)
    page.keyboard.press("g")
    page.frame_locator("#frame").get_by_role("heading", name="sub-01, session T1, cue").wait_for()
    ready(page)
    # Keys that are typed into the scan's page reach the form: the reason too, whose letters are keys themselves.
    heading.click()
    page.keyboard.press("p")
    page.keyboard.type("ghosts; motion")
    page.keyboard.press("Enter")
    page.frame_locator("#frame").get_by_role("heading", name="sub-02, session T1, rest").wait_for()
    assert rated(page) == {SCANS[0]: "good", SCANS[1]: "poor", SCANS[2]: None, SCANS[3]: None}
    assert page.locator("#progress").inner_text() == "2 of 4 rated, 1 poor"
    with page.expect_download() as download:
        page.locator("#download").click()
    table = tmp_path / "ratings.tsv"
    download.value.save_as(table)
    assert download.value.suggested_filename == "ratings.tsv"
    assert tables.read_table(table) == [
        {"scan": SCANS[0], "rating": "good", "reason": None, "rater": "AB"},
        {"scan": SCANS[1], "rating": "poor", "reason": "ghosts, motion", "rater": "AB"},
    ]
    # Another visit of the same browser goes on where this one ended, once the browser has stored it: Chromium does so in a process of
    # its own, some milliseconds later.
    page.wait_for_timeout(1000)
    page.reload()
    page.frame_locator("#frame").get_by_role("heading", name="sub-02, session T1, rest").wait_for()
    assert rated(page)[SCANS[1]] == "poor"
    # Another browser loads the table.
    other = page_of(pages / "index.html").page
    assert set(rated(other).values()) == {None}
    other.locator("#load").set_input_files(table)
    other.get_by_text("2 loaded.").wait_for()
    assert rated(other) == rated(page)
    other.locator("#filter").select_option("unrated")
    assert [link.get_attribute("data-scan") for link in other.locator("a[data-scan]:visible").all()] == SCANS[2:]


def test_a_poor_rating_needs_its_reason_and_can_be_taken_back(page_of, pages):
    page = page_of(pages / "index.html").page
    page.locator("#poor").click()
    assert page.locator("#reason").get_attribute("aria-invalid") == "true"
    assert set(rated(page).values()) == {None}
    page.locator("#reason").fill("motion")
    page.locator("#save").click()
    assert rated(page)[SCANS[0]] == "poor"
    page.locator("#previous").click()
    assert page.locator("#reason").input_value() == "motion"
    page.locator("#undo").click()
    assert rated(page)[SCANS[0]] is None


def test_ratings_work_where_a_browser_may_keep_nothing(browser, pages):
    context = browser.new_context(accept_downloads=True)
    context.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }});"
    )
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((pages / "index.html").resolve().as_uri())
    page.locator("#good").click()
    assert rated(page)[SCANS[0]] == "good"
    page.get_by_text("This browser keeps nothing").wait_for()
    with page.expect_download():
        page.locator("#download").click()
    assert errors == []
    context.close()


def test_a_scans_page_leads_to_its_place_in_the_list(page_of, pages):
    page = page_of(pages / f"{SCANS[3]}.html").page
    page.get_by_role("link", name="All scans").click()
    page.frame_locator("#frame").get_by_role("heading", name="sub-02, session T1, cue").wait_for()
    assert page.locator("[aria-current]").get_attribute("data-scan") == SCANS[3]


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """The page of a CBF map that another program made."""
    folder = tmp_path_factory.mktemp("imported")
    template = imported_maps.template(folder)
    out = imported_maps.bring(folder, imported_maps.tissue_map(template), template.grid[1], template.mask)
    imported_maps.judged(folder, out, {"fd_mean": 0.9})
    return imported_maps.page(folder, out, mask=template.mask, measures={"fd_mean": 0.9})


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (PHONE, False), (PHONE, True)])
def test_the_page_of_an_imported_map_is_accessible_and_quiet(page_of, axe, imported, width, dark):
    opened = page_of(imported, width=width, dark=dark)
    opened.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert axe(opened) == []
    assert (opened.requests, opened.messages) == ([], [])
    assert sideways(opened) <= 0


def test_an_imported_map_and_the_template_take_turns(page_of, imported):
    page = page_of(imported).page
    now = page.locator(".overlay .now")
    assert now.inner_text() == "template"
    page.get_by_role("button", name="Swap").click()
    assert now.inner_text() == "map"
