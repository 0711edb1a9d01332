"""What pages have in common: tables, folds, print and the switch between light and dark, as a reader uses them."""

import pytest
from pharmasl.report import templates

ROWS = [("beta", "1,200"), ("alpha", "\u221234.5"), ("gamma", "< 0.0001"), ("delta", "\u2013")]


@pytest.fixture
def made(tmp_path):
    """A page of one table and two folds, by the macros and assets that all pages take."""
    rows = "".join(f"<tr><th scope='row' class='text'>{name}</th><td>{value}</td></tr>" for name, value in ROWS)
    wide = "".join(f"<td>{k}0000000000</td>" for k in range(30))
    text = f"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>A page</title>
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta http-equiv="Content-Security-Policy" content="{templates.POLICY}">
    <style>{templates.inlined("base.css")}</style><script>{templates.inlined("base.js")}</script></head>
    <body><main><h1>A page</h1><button type="button" class="theme" hidden>Dark</button>
    <div class="table"><div class="scroll" role="group" aria-label="Some"><table class="data">
    <caption>Some values</caption><thead><tr><th scope="col" class="text">Name</th><th scope="col">Value</th></tr></thead>
    <tbody>{rows}</tbody></table></div><div class="tools"></div></div>
    <div class="table"><div class="scroll" role="group" aria-label="Wide" id="wide"><table class="data unsorted">
    <caption>Wide</caption><thead><tr><th scope="col">One</th></tr></thead><tbody><tr>{wide}</tr></tbody></table></div></div>
    <details id="outer"><summary>Outer</summary><details><summary>Inner</summary><p id="deep">Deep</p></details></details>
    </main></body></html>"""
    path = tmp_path / "page.html"
    path.write_text(text, encoding="utf-8")
    return path


def names(page):
    return page.locator("table").first.locator("tbody th").all_inner_texts()


def test_a_table_sorts_by_numbers_and_by_words_and_what_is_missing_stays_last(page_of, made):
    page = page_of(made).page
    page.get_by_role("button", name="Value", exact=True).click()
    assert names(page) == ["alpha", "gamma", "beta", "delta"]
    page.get_by_role("button", name="Value", exact=True).click()
    assert names(page) == ["beta", "gamma", "alpha", "delta"]
    header = page.get_by_role("columnheader", name="Value")
    assert header.get_attribute("aria-sort") == "descending"
    name = page.get_by_role("button", name="Name", exact=True)
    name.focus()
    page.keyboard.press("Enter")
    assert names(page) == ["alpha", "beta", "delta", "gamma"]
    assert header.get_attribute("aria-sort") is None


def test_a_table_is_copied_and_downloaded_as_tsv_with_plain_numbers(page_of, made):
    opened = page_of(made)
    page = opened.page
    page.get_by_role("button", name="Copy").first.click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download").first.click()
    assert waiting.value.suggested_filename == "some_values.tsv"
    text = waiting.value.path().read_text(encoding="utf-8")
    assert text == copied == "Name\tValue\nbeta\t1,200\nalpha\t-34.5\ngamma\t< 0.0001\ndelta\tn/a\n"
    assert opened.requests == opened.messages == []


def test_all_that_is_folded_is_printed_and_folded_again(page_of, made):
    opened = page_of(made)
    page = opened.page
    shown = "document.getElementById('deep').checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})"
    assert not page.evaluate(shown)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(shown)
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    page.emulate_media(media="print")
    opened.wait_until(shown)  # by the style alone


def test_a_link_into_a_fold_opens_it(page_of, made):
    opened = page_of(made)
    page = opened.page
    page.evaluate("location.hash = 'deep'")
    opened.wait_until("document.querySelectorAll('details[open]').length === 2")


@pytest.mark.parametrize("dark", [False, True])
def test_the_switch_overrules_the_system_and_is_remembered(page_of, made, dark):
    page = page_of(made, dark=dark).page
    background = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(background)
    page.locator("button.theme").click()
    after = page.evaluate(background)
    assert before != after
    page.reload()
    assert page.evaluate(background) == after
    page.emulate_media(media="print")
    assert page.evaluate(background) == "rgb(255, 255, 255)"


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_a_wide_table_scrolls_in_itself_by_keyboard_too_and_nothing_is_inaccessible(page_of, axe, made, width, dark):
    opened = page_of(made, width=width, dark=dark)
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    assert opened.page.locator("#wide").get_attribute("tabindex") == "0"
    assert axe(opened) == []
    assert opened.messages == opened.requests == []
