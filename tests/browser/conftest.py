"""A Chromium that opens the pages: what it is asked to load, what it says, and what axe-core finds."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = 1280, 390


@dataclass
class Opened:
    """A page in the browser, and what has come of it.

    Attributes
    ----------
    page : playwright.sync_api.Page
    requests : list of str
        Addresses asked for, other than the page's own file and those in it (data:, blob:).
    messages : list of str
        What stands in the console, errors of scripts too.
    """

    page: object
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def wait_until(self, expression: str, seconds: float = 30) -> None:
        """Wait for an expression of the page's to be true.

        Playwright's own ``wait_for_function`` evaluates a text within the page again and again, which the pages' content
        security policy refuses from the second time on.
        """
        end = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"not true after {seconds} s: {expression}"
            self.page.wait_for_timeout(50)


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window; playwright drives the one that is installed."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the PATH")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page_of(browser) -> Callable[..., Opened]:
    """Open a file of HTML: ``page_of(path, width=390, dark=True)``."""
    contexts = []

    def open_page(path: Path, *, width: int = DESKTOP, dark: bool = False, reduced_motion: bool = True) -> Opened:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if reduced_motion else "no-preference",
            accept_downloads=True,
        )
        contexts.append(context)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        opened = Opened(context.new_page())
        own = Path(path).resolve().as_uri()

        def asked(request):
            if request.url.split("#")[0] != own and not request.url.startswith(("data:", "blob:")):
                opened.requests.append(request.url)

        opened.page.on("request", asked)
        opened.page.on("console", lambda message: opened.messages.append(message.text))
        opened.page.on("pageerror", lambda error: opened.messages.append(str(error)))
        opened.page.goto(own)
        return opened

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def axe() -> Callable[[Opened], list[str]]:
    """What axe-core finds wrong on a page: each rule with its first element."""
    module = pytest.importorskip("axe_playwright_python.sync_playwright")

    def violations(opened: Opened) -> list[str]:
        problems = module.Axe().run(opened.page).response["violations"]
        return [f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}" for one in problems]

    return violations


def sideways(opened: Opened) -> int:
    """By how many pixels the page is wider than the window."""
    return opened.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
