"""Every figure of the study's page can be read on a phone and on a desktop, in light and dark, with short labels and with long ones."""

import drawn
import pytest

DESKTOP, PHONE = 1280, 390
# Least height of letters, pixels, on a screen; and their least contrast to what is behind them (WCAG 2.2, 1.4.3).
READABLE, CONTRAST = 11, 4.5
LONG = {
    "sessions": {
        "T1": "Before the first dose at the study centre in the early morning",
        "T2": "After twelve weeks of treatment at the highest tolerated dose",
    },
    "arms": {
        "baclofen": "Baclofen, titrated up to eighty milligrams a day in three doses",
        "placebo": "Matching placebo capsules, taken three times a day with the meals",
    },
    "conditions": {"rest": "Resting with eyes closed and without any instruction for minutes"},
    "contrasts": {"rest": "Cerebral blood flow at rest, averaged over the whole acquisition"},
    "analyses": {"rest_interaction": "Does baclofen change resting perfusion more than placebo does so?"},
    "regions": {"insula": "Insula_of_both_hemispheres_without_any_space_in_sixty_letters_or_so"},
}
FIGURES = ".drawing, .panels, .changes figure"
# The drawings that are shown, with each text's size on the screen and how far it leaves its drawing.
TEXTS = """() => [...document.querySelectorAll('main :is(.drawing, .panels, .pair) svg text')]
  .filter(text => text.checkVisibility() && text.textContent.trim() && text.textContent !== 'BLINDED')
  .map(text => {
    const placed = text.getScreenCTM(), box = text.getBoundingClientRect();
    const around = text.closest(':is(.drawing, .panels, .pair) > svg').getBoundingClientRect();
    const out = Math.max(around.left - box.left, box.right - around.right, around.top - box.top, box.bottom - around.bottom);
    return {words: text.textContent, size: parseFloat(getComputedStyle(text).fontSize) * Math.hypot(placed.a, placed.b), out,
            drawing: [...document.querySelectorAll('main svg')].indexOf(text.closest(':is(.drawing, .panels, .pair) > svg')),
            box: [box.left, box.top, box.right, box.bottom]};
  })"""
WIDER = f"""() => [...document.querySelectorAll('{FIGURES}')].filter(own => own.checkVisibility())
  .filter(own => own.scrollWidth > own.clientWidth || own.getBoundingClientRect().right > innerWidth)
  .map(own => own.getAttribute('aria-label') || own.className)"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The page of a made-up study with all its figures, with plain names and with long labels."""
    files = {}
    for name, words in (("names", {}), ("long", LONG)):
        made = drawn.make(tmp_path_factory.mktemp(name), words=words)
        drawn.page(made)
        files[name] = made.study.here / "index.html"
    return files


def opened(page_of, file, **how):
    page = page_of(file, **how)
    page.page.evaluate("document.querySelectorAll('main details').forEach(own => { own.open = true; })")
    return page


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("labels", ["names", "long"])
def test_no_figure_is_scrolled_and_every_letter_can_be_read(page_of, pages, labels, width):
    page = opened(page_of, pages[labels], width=width).page
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(WIDER) == []
    texts = page.evaluate(TEXTS)
    # Quality alone has fifteen panels; all ten figures are there.
    assert len({text["drawing"] for text in texts}) > 30
    assert [(text["words"], round(text["size"], 1)) for text in texts if text["size"] < READABLE] == []
    assert [(text["words"], round(text["out"])) for text in texts if text["out"] > 1] == []


@pytest.mark.parametrize("labels", ["names", "long"])
def test_no_words_lie_upon_others(page_of, pages, labels):
    texts = opened(page_of, pages[labels], width=PHONE).page.evaluate(TEXTS)
    upon = []
    for k, one in enumerate(texts):
        for other in texts[k + 1 :]:
            if one["drawing"] == other["drawing"] and _overlap(one["box"], other["box"]):
                upon.append((one["words"], other["words"]))
    # Participants are named beside their points, wherever these lie.
    assert [pair for pair in upon if not any("sub-" in words for words in pair)] == []


def _overlap(one, other):
    """Whether the inner parts of two boxes (left, top, right, bottom) overlap; letters do not fill theirs."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return across > 2 and down > 0.35 * min(one[3] - one[1], other[3] - other[1])


def test_a_phone_has_the_narrow_drawing_and_a_desktop_and_paper_the_wide_one(page_of, pages):
    def shown(page):
        kinds = "main .drawing:has(> .narrow) > svg"
        return {
            own.get_attribute("class")
            for own in page.locator(kinds).all()
            if own.evaluate("own => own.checkVisibility()")
        }

    assert shown(opened(page_of, pages["names"], width=PHONE).page) == {"narrow"}
    page = opened(page_of, pages["names"]).page
    assert shown(page) == {"wide"}
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 600, "height": 900})
    assert shown(page) == {"wide"}
    assert page.evaluate(WIDER) == []


@pytest.mark.parametrize("dark", [False, True])
def test_letters_of_figures_stand_out_from_the_page(page_of, pages, dark):
    page = opened(page_of, pages["names"], width=PHONE, dark=dark).page
    colours = page.evaluate("""() => [...document.querySelectorAll('main :is(.drawing, .panels) svg text')]
      .filter(text => text.checkVisibility())
      .map(text => [text.textContent, getComputedStyle(text).fill, getComputedStyle(document.body).backgroundColor])""")
    # Letters in an arm's colour are larger than those beside them, or bold.
    faint = {words for words, ink, paper in colours if _contrast(ink, paper) < 3}
    assert faint == set()
    plain = [_contrast(ink, paper) for words, ink, paper in colours]
    assert sum(own >= CONTRAST for own in plain) > 0.9 * len(plain)


def _contrast(one, other):
    """The ratio of contrast of two colours, ``rgb(r, g, b)``, by WCAG 2.2."""

    def luminance(colour):
        parts = [int(float(part)) / 255 for part in colour.split("(")[1].rstrip(")").split(",")[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_figures_of_hundreds_leave_the_page_small(tmp_path):
    made = drawn.make(tmp_path, people=500)
    text = drawn.page(made)
    assert len(text) < 10_000_000
