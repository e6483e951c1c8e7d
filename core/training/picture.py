"""Pictures without a plotting library: mels as PNG files, for a glance at a running training."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

_STOPS = np.array([[10, 8, 30], [70, 20, 110], [190, 55, 85], [250, 150, 40], [255, 250, 200]], np.float32)


def write_png(path: Path, pixels: np.ndarray) -> None:
    """pixels: uint8 (height, width, 3)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = pixels.shape
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    Path(path).write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines, 6)) + chunk(b"IEND", b"")
    )


def mel_picture(mels: Sequence[np.ndarray], edges: Sequence[np.ndarray], scale: int = 3) -> np.ndarray:
    """Mels (n_frames, n_mels) one below the other, low bands at the bottom; vertical lines at the edges (frames)."""
    width = max(len(mel) for mel in mels)
    rows = []
    for mel, lines in zip(mels, edges, strict=True):
        low, high = np.percentile(mel, (2, 99.5))
        level = np.clip((mel - low) / max(high - low, 1e-6), 0, 1) * (len(_STOPS) - 1)
        k = np.minimum(level.astype(int), len(_STOPS) - 2)
        colour = _STOPS[k] + (_STOPS[k + 1] - _STOPS[k]) * (level - k)[..., None]
        image = np.full((width, mel.shape[1], 3), 40, np.uint8)
        image[: len(mel)] = colour
        image = image.repeat(scale, axis=0).repeat(2, axis=1)
        for line in lines:
            if line * scale < len(image):
                image[int(line) * scale] = (120, 220, 255)
        rows += [image.transpose(1, 0, 2)[::-1], np.full((4, width * scale, 3), 255, np.uint8)]
    return np.concatenate(rows)
