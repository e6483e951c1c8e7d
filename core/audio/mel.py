"""Waveform to mel, in plain numpy: the first librosa call of a process takes seconds, the first sound should not."""

from functools import lru_cache

import numpy as np

from core.errors import FormatMismatch
from core.types import Mel, MelFormat, Waveform


def hz_to_mel(hz: np.ndarray | float) -> np.ndarray:
    """Slaney's mel scale: linear below 1 kHz (3 mel = 200 Hz), logarithmic above."""
    hz = np.asarray(hz, dtype=np.float64)
    linear = hz * 3 / 200
    return np.where(hz < 1000, linear, 15 + 27 * np.log(np.maximum(hz, 1e-9) / 1000) / np.log(6.4))


def mel_to_hz(mel: np.ndarray | float) -> np.ndarray:
    """The inverse of `hz_to_mel`."""
    mel = np.asarray(mel, dtype=np.float64)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


@lru_cache(maxsize=8)
def mel_filters(format: MelFormat) -> np.ndarray:
    """Triangular filters, area-normalised (Slaney), float32 (n_mels, n_fft // 2 + 1), read-only."""
    edges = mel_to_hz(np.linspace(hz_to_mel(format.fmin), hz_to_mel(format.fmax), format.n_mels + 2))
    bins = np.linspace(0, format.sample_rate / 2, format.n_fft // 2 + 1)
    rising = (bins[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins[None]) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    filters = filters.astype(np.float32)
    filters.flags.writeable = False
    return filters


@lru_cache(maxsize=8)
def stft_window(format: MelFormat) -> np.ndarray:
    """Periodic Hann window of win_length, centred in n_fft, float32 (n_fft,), read-only."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(format.win_length) / format.win_length)
    left = (format.n_fft - format.win_length) // 2
    window = np.pad(hann, (left, format.n_fft - format.win_length - left)).astype(np.float32)
    window.flags.writeable = False
    return window


def magnitudes(samples: np.ndarray, format: MelFormat, block: int = 512) -> np.ndarray:
    """Magnitude spectrum of centred frames, edges reflected: float32 (n_fft // 2 + 1, n_frames)."""
    half = format.n_fft // 2
    mode = "reflect" if len(samples) > half else "constant"
    padded = np.pad(np.asarray(samples, np.float32), half, mode=mode)
    frames = np.lib.stride_tricks.sliding_window_view(padded, format.n_fft)[:: format.hop_length]
    window = stft_window(format)
    spectrum = np.empty((half + 1, len(frames)), np.float32)
    for start in range(0, len(frames), block):
        spectrum[:, start : start + block] = np.abs(np.fft.rfft(frames[start : start + block] * window, axis=1)).T
    return spectrum


def mel_spectrogram(waveform: Waveform, format: MelFormat) -> Mel:
    """The mel of a waveform, n_frames = 1 + n_samples // hop_length.

    Raises FormatMismatch when the sample rates differ: resample first.
    """
    if waveform.sample_rate != format.sample_rate:
        raise FormatMismatch(
            f"Sound at {waveform.sample_rate} Hz cannot become a mel at {format.sample_rate} Hz.", "Resample it first."
        )
    samples = waveform.samples
    if format.preemphasis:
        samples = np.append(samples[:1], samples[1:] - format.preemphasis * samples[:-1])
    spectrum = magnitudes(samples, format)
    if format.power != 1:
        spectrum = spectrum**format.power
    return Mel(compress(mel_filters(format) @ spectrum, format), format)


def compress(mel: np.ndarray, format: MelFormat) -> np.ndarray:
    """From filter outputs to the format's own scale, same shape."""
    if format.compression == "none":
        return mel
    mel = np.maximum(mel, format.floor)
    if format.compression == "log":
        return np.log(mel)
    if format.compression == "db":
        return 20 * np.log10(mel)
    raise ValueError(f"unknown mel compression {format.compression!r}")
