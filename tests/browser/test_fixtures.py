"""The browser's own fixtures: a fault that is planted is seen."""

import pytest

GOOD = """<!doctype html><html lang="en"><head><title>A page</title></head>
<body><main><h1>A page</h1><p>Words.</p></main></body></html>"""


@pytest.fixture
def written(tmp_path):
    """Write a page and return its path."""

    def write(text):
        path = tmp_path / "page.html"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_good_page_asks_for_nothing_and_has_no_violation(page_of, axe, written):
    opened = page_of(written(GOOD))
    assert opened.page.title() == "A page"
    assert (opened.requests, opened.messages, axe(opened)) == ([], [], [])


def test_requests_messages_and_violations_are_seen(page_of, axe, written):
    faulty = GOOD.replace("<p>Words.</p>", "<img src='other.png'><script>undefinedName()</script>")
    opened = page_of(written(faulty))
    opened.page.wait_for_load_state()
    assert any(address.endswith("other.png") for address in opened.requests)
    assert any("undefinedName" in message for message in opened.messages)
    assert any(problem.startswith("image-alt") for problem in axe(opened))


@pytest.mark.parametrize("dark", [False, True])
def test_the_colour_scheme_is_the_one_that_was_asked_for(page_of, written, dark):
    opened = page_of(written(GOOD), dark=dark)
    assert opened.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is dark
