"""The text that a reader of a page sees, and the configuration's names in it."""

import re
from html.parser import HTMLParser

# What has no end tag.
VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
# Names are identifiers there.
IDENTIFIERS = {"code", "pre", "script", "style"}
READ_OUT = ("alt", "aria-label", "title", "placeholder")


class _Texts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.stack, self.texts = [], []

    def handle_starttag(self, tag, attrs):
        self.texts += [value for name, value in attrs if name in READ_OUT and value]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.texts += [value for name, value in attrs if name in READ_OUT and value]

    def handle_endtag(self, tag):
        while tag in self.stack and self.stack.pop() != tag:
            pass

    def handle_data(self, data):
        if not IDENTIFIERS & set(self.stack):
            self.texts.append(data)


def texts(page):
    """Texts and read-out attributes of a page, without code and configuration."""
    parser = _Texts()
    parser.feed(page)
    return [" ".join(text.split()) for text in parser.texts if text.strip()]


def raw(page, names):
    """The texts of a page in which one of the names stands, as it is or with spaces; coefficients and formulas aside."""
    forms = {form for name in names for form in (name, name.replace("_", " "))}
    pattern = re.compile(
        rf"(?<![\w/.\[-])(?:{'|'.join(map(re.escape, sorted(forms, key=len, reverse=True)))})(?![\w/\]-])"
    )
    return [text for text in texts(page) if pattern.search(text)]
