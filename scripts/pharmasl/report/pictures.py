"""Pictures inside the page: ``data:`` addresses, so that the page needs no other file."""

import base64
from pathlib import Path

from pharmasl.errors import FilePath


def png(path: FilePath) -> str:
    """A PNG file as it is."""
    return "data:image/png;base64," + base64.b64encode(Path(path).read_bytes()).decode("ascii")
