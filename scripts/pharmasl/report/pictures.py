"""Pictures inside the page: ``data:`` addresses, so that the page needs no other file."""

import base64
import io
from pathlib import Path

from PIL import Image

from pharmasl.errors import FilePath

SCAN_WIDTH, SCAN_QUALITY = 1000, 60  # pixels; percent


def png(path: FilePath) -> str:
    """A PNG file as it is."""
    return "data:image/png;base64," + base64.b64encode(Path(path).read_bytes()).decode("ascii")


def compact(path: FilePath) -> str:
    """A picture of a scan made small (WebP): a study has dozens, and the PNG itself lies beside the scan."""
    picture = Image.open(path).convert("RGB")
    if picture.width > SCAN_WIDTH:
        picture = picture.resize(
            (SCAN_WIDTH, round(picture.height * SCAN_WIDTH / picture.width)), Image.Resampling.LANCZOS
        )
    memory = io.BytesIO()
    picture.save(memory, "WEBP", quality=SCAN_QUALITY, method=2)
    return "data:image/webp;base64," + base64.b64encode(memory.getvalue()).decode("ascii")
