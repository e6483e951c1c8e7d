"""Where in a recording somebody speaks: numpy only, no model.

Two cues, both measured against the recording's own background. *Energy*: a frame stands above a floor that follows the
quietest moments around it. *Voicing*: its spectrum, whitened, repeats at a rate a voice can have. Noise has the first
without the second, hum has neither once the floor has settled on it. Speech is the loud neighbourhood of voiced frames,
so unvoiced consonants are kept and steady noise is not. What has no voicing at all (a whisper) counts as no speech.

Everything works on 16 kHz sound, in steps of 10 ms.
"""

from functools import lru_cache

import numpy as np

from core.progress import Report, silent
from core.types import Waveform

SAMPLE_RATE = 16000
HOP = 160
"""Samples per step of the mask: 10 ms."""

_FRAME = 640  # 40 ms: two periods of the deepest voice
_N_FFT = 1024
_BLOCK = 1024  # frames analysed between two reports, about 30 ms of work
_LAGS = (40, 216)  # periods of 400 Hz down to 74 Hz, in samples
_BAND = (100, 4000)  # Hz: what a telephone keeps, above mains hum and rumble
_SILENCE_DB = -75.0  # band energy below this is nothing, whatever the background
_VOICED = 0.18  # height of the whitened autocorrelation's peak: noise stays under 0.17, vowels reach 0.25 at 5 dB
_MARGIN = 8  # steps kept on both sides of speech
_FLOOR_STEPS = 10  # the floor is followed in blocks of 100 ms ...
_FLOOR_BLOCKS = 41  # ... over 4 s around each


@lru_cache(maxsize=1)
def _constants() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Window; energy band (513,); the bins that voicing is looked for in; their way to the autocorrelation (bins,
    1 + lags): at lag 0, then over the lags, divided by the window's own."""
    window = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
    hz = np.fft.rfftfreq(_N_FFT, 1 / SAMPLE_RATE)
    band = ((hz >= _BAND[0]) & (hz <= _BAND[1])).astype(np.float32)
    weights = np.clip((hz - 60) / 60, 0, 1) * np.clip((1800 - hz) / 600, 0, 1)
    own = np.fft.irfft(np.abs(np.fft.rfft(window, _N_FFT)) ** 2)
    lags = np.array([0, *range(*_LAGS)])
    # Few lags of few bins are wanted: these sums are a tenth of the time of an inverse FFT.
    voice = np.flatnonzero(weights)
    cosines = np.cos(2 * np.pi / _N_FFT * np.outer(voice, lags)) * weights[voice, None]
    return window, band, voice, (cosines * own[0] / own[lags]).astype(np.float32)


def _frames(samples: np.ndarray, report: Report) -> tuple[np.ndarray, np.ndarray]:
    """Band energy in dB of full scale, and voicing in [0, 1], of each 10 ms step: float32 (n_steps,) each."""
    window, band, voice, cosines = _constants()
    n_steps = -(-len(samples) // HOP)
    margin = (_FRAME - HOP) // 2
    padded = np.pad(np.asarray(samples, np.float32), (margin, margin + n_steps * HOP - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::HOP]
    energy, voicing = np.empty(n_steps, np.float32), np.empty(n_steps, np.float32)
    scale = np.float32(2 / (_N_FFT * (window**2).sum()))
    for start in range(0, n_steps, _BLOCK):
        report(start / n_steps, "listening for speech")
        part = slice(start, start + _BLOCK)
        power = np.abs(np.fft.rfft(frames[part] * window, _N_FFT, axis=1)) ** 2
        energy[part] = power @ band * scale
        # The fourth root whitens: a formant or a coloured noise no longer decides the autocorrelation alone.
        flat = power[:, voice] ** 0.25 @ cosines
        voicing[part] = flat[:, 1:].max(axis=1) / np.maximum(flat[:, 0], 1e-9)
    return 10 * np.log10(np.maximum(energy, 1e-12)), np.clip(voicing, 0, 1)


def _floor(energy: np.ndarray) -> np.ndarray:
    """The background's level around each step, in dB: a low percentile of 100 ms means, float32 (n_steps,)."""
    n_blocks = -(-len(energy) // _FLOOR_STEPS)
    blocks = np.pad(energy, (0, n_blocks * _FLOOR_STEPS - len(energy)), mode="edge").reshape(n_blocks, -1).mean(axis=1)
    half = _FLOOR_BLOCKS // 2
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(blocks, half, mode="constant", constant_values=np.nan), _FLOOR_BLOCKS
    )
    # Sorting puts the padding (NaN) last, so a rank among the real blocks is a percentile of them alone.
    ranked = np.sort(around, axis=1)
    rank = ((~np.isnan(ranked)).sum(axis=1) * 0.1).astype(int)
    return np.repeat(ranked[np.arange(n_blocks), rank], _FLOOR_STEPS)[: len(energy)]


def _near(mask: np.ndarray, steps: int) -> np.ndarray:
    """True within `steps` of a true value: binary dilation."""
    return np.convolve(mask, np.ones(2 * steps + 1), mode="same")[: len(mask)] > 0.5 if len(mask) else mask


def speech_mask(waveform: Waveform, report: Report = silent) -> np.ndarray:
    """Whether somebody speaks, bool (n_steps,), one step per 10 ms (the last one may be partial).

    waveform: 16 kHz. Pauses of up to about 0.2 s inside speech belong to it, as do 80 ms around it. All False for
    silence, steady noise and hum. `report` may cancel; otherwise nothing is raised.
    """
    if not len(waveform.samples):
        return np.zeros(0, bool)
    energy, voicing = _frames(waveform.samples, report)
    floor = _floor(energy)
    loud = np.percentile(energy, 95)
    gate = np.clip(0.25 * (loud - floor), 3, 9)
    active = (energy > floor + gate) & (energy > max(_SILENCE_DB, loud - 40))
    # One frame in two hundred of noise looks voiced by chance, five overlapping ones in a row do not.
    voiced = active & (np.convolve(voicing, np.full(5, 0.2), mode="same")[: len(voicing)] > _VOICED)
    if voiced.sum() < 6:
        return np.zeros(len(energy), bool)
    smooth = np.convolve(active & _near(voiced, 25), np.full(9, 1 / 9), mode="same")[: len(active)] > 0.45
    return _near(smooth, _MARGIN)


def trim_silence(waveform: Waveform, mask: np.ndarray | None = None) -> Waveform:
    """The speech alone, pauses cut out: 16 kHz in, 16 kHz out, perhaps empty. mask: as `speech_mask` gave it."""
    mask = speech_mask(waveform) if mask is None else mask
    keep = np.repeat(mask, HOP)[: len(waveform.samples)]
    return Waveform(waveform.samples[keep], waveform.sample_rate)


def speech_seconds(waveform: Waveform, mask: np.ndarray | None = None) -> float:
    """How long somebody speaks in a 16 kHz recording, in seconds, the short pauses between words included.

    mask: as `speech_mask` gave it; the margin it leaves around speech is not counted.
    """
    mask = speech_mask(waveform) if mask is None else mask
    return float((~_near(~mask, _MARGIN)).sum()) * HOP / SAMPLE_RATE
