"""What a speaker encoder hears: 16 kHz speech, levelled, as overlapping windows of 1.6 s of mel frames. Numpy only.

The constants are those of the published GE2E encoder, whose input must be met exactly: its mels are energies, neither
logarithmic nor normalised, so the level matters to it.
"""

import numpy as np

from core.audio.mel import hz_to_mel, magnitudes, mel_filters, mel_to_hz
from core.types import MelFormat

SAMPLE_RATE = 16000
ENCODER_MEL = MelFormat(
    sample_rate=SAMPLE_RATE, n_fft=400, hop_length=160, win_length=400, n_mels=40, power=2.0, compression="none"
)
WINDOW_FRAMES = 160
"""Frames of one window: 1.6 s."""
STEP_FRAMES = 80
"""Frames from one window to the next: half of it."""
LEVEL_DB = -30.0
"""Quieter sound is raised to this level, in dB of full scale."""


def rms_level(samples: np.ndarray) -> float:
    """The level of a sound in dB of full scale; -120 for digital silence."""
    mean_square = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return 10 * np.log10(max(mean_square, 1e-12))


def raise_level(samples: np.ndarray, level: float = LEVEL_DB) -> np.ndarray:
    """float32 (n_samples,), raised to `level` dB of full scale if it is quieter, otherwise as it was."""
    gain = level - rms_level(samples)
    return samples * np.float32(10 ** (gain / 20)) if gain > 0 else samples


def partial_starts(n_samples: int, step_frames: int = STEP_FRAMES) -> list[int]:
    """First frames of the windows over n_samples of speech; always at least one.

    The last window is left out when under three quarters of it would be sound.
    """
    n_frames = -(-(n_samples + 1) // ENCODER_MEL.hop_length)
    starts = list(range(0, max(1, n_frames - WINDOW_FRAMES + step_frames + 1), step_frames))
    hop = ENCODER_MEL.hop_length
    if len(starts) > 1 and n_samples - starts[-1] * hop < 0.75 * WINDOW_FRAMES * hop:
        starts.pop()
    return starts


def power_mel(samples: np.ndarray) -> np.ndarray:
    """The energies in 40 mel bands, float32 (n_frames, 40), n_frames = 1 + n_samples // 160."""
    return (magnitudes(samples, ENCODER_MEL) ** 2).T @ mel_filters(ENCODER_MEL).T


def band_centres(mel_format: MelFormat = ENCODER_MEL) -> np.ndarray:
    """The middles of the mel bands in Hz, float32 (n_mels,)."""
    filters = mel_filters(mel_format)
    hz = np.linspace(0, mel_format.sample_rate / 2, filters.shape[1], dtype=np.float32)
    return (filters * hz).sum(axis=1) / filters.sum(axis=1)


def band_widths() -> np.ndarray:
    """How much of the spectrum each (area-normalised) band stands for, float32 (40,), mean 1."""
    edges = mel_to_hz(np.linspace(0, hz_to_mel(ENCODER_MEL.fmax), ENCODER_MEL.n_mels + 2))
    widths = edges[2:] - edges[:-2]
    return (widths / widths.mean()).astype(np.float32)


def partial_mels(samples: np.ndarray, starts: list[int]) -> np.ndarray:
    """The windows that begin at the frames `starts`, float32 (n, 160, 40); zeros where the sound has ended."""
    stop = (starts[-1] + WINDOW_FRAMES) * ENCODER_MEL.hop_length
    if stop > len(samples):
        samples = np.pad(samples, (0, stop - len(samples)))
    mel = power_mel(samples)
    return np.stack([mel[start : start + WINDOW_FRAMES] for start in starts])
