"""Colours, ticks and colour maps that the plots share. Light and dark are two values of one type."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from toolbox import theme as window
from toolbox.colours import oklch_hex


@dataclass(frozen=True)
class PlotTheme:
    """The colours of a plot, each "#rrggbb"."""

    dark: bool
    background: str
    card: str  # behind what floats over a plot
    text: str
    muted: str  # axes, captions
    faint: str  # grid, frames
    accent: str  # what the user points at
    reference: str
    playhead: str


def _theme(dark: bool, colours: dict[str, str], reference: str, playhead: str) -> PlotTheme:
    """The window's own colours, and the two that only plots need."""
    names = {"background": "panel", "card": "hover" if dark else "panel", "faint": "border"}
    names |= {name: name for name in ("text", "muted", "accent")}
    return PlotTheme(
        dark, **{ours: colours[its] for ours, its in names.items()}, reference=reference, playhead=playhead
    )


LIGHT = _theme(False, window.LIGHT, "#a7afbd", "#0b57d0")
DARK = _theme(True, window.DARK, "#667082", "#7fe3ff")


def theme(dark: bool) -> PlotTheme:
    return DARK if dark else LIGHT


# Lightness, chroma and hue from quiet to loud: violet, red, orange, yellow. Lightness only ever rises (or falls).
_GLOW = ((0.17, 0.03, 285), (0.3, 0.11, 292), (0.42, 0.16, 318), (0.54, 0.19, 355), (0.66, 0.18, 28), (0.79, 0.15, 62),
         (0.9, 0.12, 88), (0.98, 0.05, 100))  # fmt: skip
_INK = ((1.0, 0.0, 90), (0.94, 0.045, 85), (0.85, 0.11, 65), (0.73, 0.16, 40), (0.6, 0.19, 15), (0.47, 0.18, 345),
        (0.34, 0.14, 310), (0.22, 0.08, 285))  # fmt: skip


@lru_cache(maxsize=2)
def colour_table(dark: bool) -> np.ndarray:
    """256 colours from quiet to loud, uint8 (256, 3): out of darkness into light, or on white out of light into ink."""
    stops = []
    for lightness, chroma, hue in _GLOW if dark else _INK:
        colour = oklch_hex(lightness, chroma, hue)
        stops.append([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
    at = np.linspace(0, len(stops) - 1, 256)
    table = np.stack([np.interp(at, np.arange(len(stops)), [s[c] for s in stops]) for c in range(3)], axis=1)
    table = np.round(table).astype(np.uint8)
    table.flags.writeable = False
    return table


def coloured(levels: np.ndarray, dark: bool) -> np.ndarray:
    """Levels in [0, 1], (height, width), as 0xffRRGGBB pixels: uint32, C-ordered."""
    table = colour_table(dark).astype(np.uint32)
    packed = 0xFF000000 | table[:, 0] << 16 | table[:, 1] << 8 | table[:, 2]
    index = np.clip(np.nan_to_num(levels) * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(packed[index])


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` round numbers from low to high, evenly spaced by 1, 2 or 5 times a power of ten."""
    if high <= low or most < 1:
        return []
    raw = (high - low) / most
    step = 10.0 ** np.floor(np.log10(raw))
    step *= next(factor for factor in (1, 2, 5, 10) if factor * step >= raw * 0.999)
    first = int(np.ceil(low / step - 1e-9))
    return [round(k * step, 10) for k in range(first, int(np.floor(high / step + 1e-9)) + 1)]
