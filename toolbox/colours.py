"""One colour per speaker, for any number of speakers: hues a golden angle apart, evenly light to the eye."""

import math

GOLDEN_ANGLE = 137.50776


def _srgb(value: float) -> int:
    """A linear light value as an 8-bit sRGB channel, clipped into what a screen can show."""
    value = min(max(value, 0.0), 1.0)
    value = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return round(255 * value)


def oklch_hex(lightness: float, chroma: float, hue: float) -> str:
    """A colour of the OKLCH space as "#rrggbb". lightness 0 to 1, chroma about 0 to 0.3, hue in degrees.

    Source: Ottosson 2020, "A perceptual color space for image processing".
    """
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short
    return f"#{_srgb(red):02x}{_srgb(green):02x}{_srgb(blue):02x}"


def speaker_hex(index: int) -> str:
    """The colour of the index-th speaker: legible on white and on near-black alike.

    Hues never repeat; every eighth colour also steps in lightness, so that near hues of late speakers still differ.
    """
    lightness = (0.64, 0.72, 0.57)[index // 8 % 3]
    return oklch_hex(lightness, 0.155, 255 + GOLDEN_ANGLE * index)
