"""Voxels as small pictures inside a page: grey or in colour, as ``data:`` addresses.

Pictures hold one pixel a voxel wherever they can, so that they are small and what is seen is what was measured; the page
stretches them. Text and outlines are the page's own.
"""

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

# Inferno (van der Walt and Smith, CC0) at 33 even steps: perceptually uniform, readable without colour vision.
_INFERNO = (
    "000004 040312 0b0724 150b37 210c4a 2f0a5b 3d0965 4a0c6b 57106e 64156e 71196e",
    "7d1e6d 8a226a 972766 a32c61 b0315b bc3754 c63d4d d04545 da4e3c e35933 eb6429",
    "f1711f f67e14 f98c0a fb9b06 fcaa0f fbba1f f9c932 f5d949 f2e865 f3f586 fcffa4",
)
_ANCHORS = [bytes.fromhex(code) for row in _INFERNO for code in row.split()]
INFERNO = (
    np.stack(
        [np.interp(np.arange(256), np.linspace(0, 255, len(_ANCHORS)), channel) for channel in zip(*_ANCHORS)], axis=1
    )
    .round()
    .astype(np.uint8)
)
_STOPS = 12  # of a colour bar's gradient
_QUALITY = 62  # percent, of pictures that are not exact


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A fixed scale of colours, the same on every page.

    Attributes
    ----------
    low, high : float
        Values of the first and the last colour.
    unit : str
    grey : bool
        Black to white in place of colours.
    """

    low: float
    high: float
    unit: str
    grey: bool = False

    def pixels(self, values: np.ndarray) -> np.ndarray:
        """Values (H, W) as pixels: uint8 of shape (H, W) or (H, W, 3), black where not finite."""
        share = (np.nan_to_num(values, nan=self.low) - self.low) / (self.high - self.low)
        index = (np.clip(share, 0, 1) * 255).round().astype(np.uint8)
        known = np.isfinite(values)
        return np.where(known, index, 0) if self.grey else np.where(known[..., np.newaxis], INFERNO[index], 0)

    @property
    def gradient(self) -> str:
        """The colours of its bar from low to high, as CSS has them."""
        if self.grey:
            return "#000,#fff"
        steps = np.linspace(0, 255, _STOPS).round().astype(int)
        return ",".join("#" + bytes(INFERNO[step].tolist()).hex() for step in steps)

    @property
    def ticks(self) -> list[str]:
        """Values at its bar's ends and middle, low to high."""
        return [f"{value:g}" for value in (self.low, (self.low + self.high) / 2, self.high)]


CBF = Scale(low=0, high=100, unit="mL/100 g/min")
TRANSIT = Scale(low=0.5, high=2.5, unit="s")


def windowed(values: np.ndarray, inside: np.ndarray) -> Scale:
    """A grey scale from zero to the 99th percentile of an image within a mask, a little beyond it."""
    seen = values[inside & np.isfinite(values)]
    high = 1.1 * float(np.percentile(seen, 99)) if seen.size else 1.0
    return Scale(low=0, high=high if high > 0 else 1.0, unit="", grey=True)


def around_zero(values: np.ndarray, inside: np.ndarray) -> Scale:
    """A grey scale whose middle is zero, to the 99th percentile of the absolute values within a mask."""
    seen = np.abs(values[inside & np.isfinite(values)])
    high = float(np.percentile(seen, 99)) if seen.size else 1.0
    high = high if high > 0 else 1.0
    return Scale(low=-high, high=high, unit="", grey=True)


def encoded(pixels: np.ndarray, *, exact: bool = True) -> str:
    """Pixels as the address of a WebP picture.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W) or (H, W, 3)
    exact : bool
        Without any loss, for pictures of one pixel a voxel.
    """
    memory = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.uint8))
    if exact:
        picture.save(memory, "WEBP", lossless=True, quality=60, method=2)
    else:
        picture.save(memory, "WEBP", quality=_QUALITY, method=2)
    return "data:image/webp;base64," + base64.b64encode(memory.getvalue()).decode("ascii")
