"""Plain operations on sound: one channel, another sample rate, levels, fades. numpy, and soxr when resampling."""

import math

import numpy as np

from core.types import Waveform

SILENCE_DB = -120.0
"""The level, in dB, that stands for no sound at all."""


def mix_weights(gram: np.ndarray) -> np.ndarray:
    """How much of each channel the mono mix takes, float64 (n_channels,).

    gram: (n_channels, n_channels) products of the channels, summed over time. The channels within 20 dB of the loudest
    are averaged. Where that average loses nine tenths of the loudest channel's power, the channels cancel (one
    microphone wired backwards, "wide" stereo), and the loudest is taken alone.
    """
    powers = np.diag(gram)
    loudest = powers.max()
    if loudest <= 0:
        return np.full(len(powers), 1 / len(powers))
    active = powers >= 0.01 * loudest
    weights = active / active.sum()
    if weights @ gram @ weights < 0.1 * loudest:
        weights = (np.arange(len(powers)) == powers.argmax()).astype(float)
    return weights


def to_mono(samples: np.ndarray) -> np.ndarray:
    """(n_samples, n_channels) or (n_samples,) to float32 (n_samples,), in a way that opposite phases do not cancel."""
    samples = np.asarray(samples, np.float32)
    if samples.ndim == 1:
        return samples
    if samples.shape[1] == 1:
        return samples[:, 0].copy()
    wide = samples.astype(np.float64)
    return (wide @ mix_weights(wide.T @ wide)).astype(np.float32)


def resample(waveform: Waveform, sample_rate: int) -> Waveform:
    """The same sound at another sample rate; the waveform itself where it already has it.

    Source: the SoX resampler, quality "HQ" (linear phase, 100 dB).
    """
    if waveform.sample_rate == sample_rate:
        return waveform
    if not len(waveform.samples):
        return Waveform(waveform.samples, sample_rate)
    import soxr

    return Waveform(soxr.resample(waveform.samples, waveform.sample_rate, sample_rate, quality="HQ"), sample_rate)


def rms_db(samples: np.ndarray) -> float:
    """Root-mean-square level in dB of full scale; SILENCE_DB for nothing or for silence."""
    if not len(samples):
        return SILENCE_DB
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return max(SILENCE_DB, 10 * math.log10(power)) if power > 0 else SILENCE_DB


def peak_db(samples: np.ndarray) -> float:
    """The largest sample in dB of full scale; SILENCE_DB for nothing or for silence."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    return max(SILENCE_DB, 20 * math.log10(peak)) if peak > 0 else SILENCE_DB


def normalise_peak(waveform: Waveform, db: float = -1.0) -> Waveform:
    """The same sound, its largest sample at `db`; silence stays silence."""
    peak = float(np.max(np.abs(waveform.samples), initial=0.0))
    return _scaled(waveform, 10 ** (db / 20) / peak) if peak > 0 else waveform


def normalise_level(waveform: Waveform, db: float = -23.0, ceiling_db: float = -1.0) -> Waveform:
    """The same sound at a root-mean-square level of `db`, or less where its peak would pass `ceiling_db`."""
    level = rms_db(waveform.samples)
    if level <= SILENCE_DB:
        return waveform
    return _scaled(waveform, 10 ** (min(db - level, ceiling_db - peak_db(waveform.samples)) / 20))


def fade(waveform: Waveform, seconds: float = 0.01) -> Waveform:
    """The same sound with a raised-cosine start and end, so that a cut does not click."""
    n = min(round(seconds * waveform.sample_rate), len(waveform.samples) // 2)
    if n <= 0:
        return waveform
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / n)).astype(np.float32)
    samples = waveform.samples.copy()
    samples[:n] *= ramp
    samples[-n:] *= ramp[::-1]
    return Waveform(samples, waveform.sample_rate)


def _scaled(waveform: Waveform, gain: float) -> Waveform:
    return Waveform(waveform.samples * np.float32(gain), waveform.sample_rate)
