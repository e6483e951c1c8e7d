"""Voices that nobody has: recorded speech with another pitch and another length of throat.

A few thousand people are not enough to learn what tells any two apart. A guise changes the speed (pitch and formants
rise together) and then moves the formants alone, so that pitch and throat vary independently, as they do in people.
Every utterance of a speaker wears the same guise in the same round: together they are another speaker.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from core.training.data import SAMPLE_RATE

N_FFT, HOP = 512, 128
QUEFRENCIES = 32
"""Cepstral coefficients that make the envelope: slower than the pitch of any voice up to 500 Hz."""
LARGEST_GAIN = 25.0  # dB


@dataclass(frozen=True)
class Guise:
    """speed: of playing, which pitch and formants follow. formants: what the formants are moved by in the end, at
    least about 0.75, at most about 1.3. Both are factors; 1 and 1 is the speaker as he is."""

    speed: float = 1.0
    formants: float = 1.0


def guise_of(speaker: str, number: int) -> Guise:
    """The guise of a speaker in round `number`; round 0 is himself. Always the same for the same two.

    The pitch moves by up to 5 semitones, the formants by up to 18 %, loosely together.
    """
    if number == 0:
        return Guise()
    rng = np.random.default_rng((zlib.crc32(speaker.encode()), number))
    pitch = rng.uniform(-0.28, 0.28)
    return Guise(float(np.exp(pitch)), float(np.exp(0.4 * pitch + rng.uniform(-0.09, 0.09))))


def move_formants(samples: np.ndarray, factor: float) -> np.ndarray:
    """float32 (n_samples,) at 16 kHz -> the same with its spectral envelope stretched by `factor`; the pitch stays."""
    window = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
    n = len(samples)
    padded = np.pad(samples, (N_FFT, N_FFT + -n % HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    spectra = np.fft.rfft(frames * window, axis=1)
    levels = np.log(np.abs(spectra) + 1e-5)
    cepstra = np.fft.irfft(levels, axis=1)
    cepstra[:, QUEFRENCIES:-QUEFRENCIES] = 0
    envelopes = np.fft.rfft(cepstra, axis=1).real
    at = np.minimum(np.arange(envelopes.shape[1]) / factor, envelopes.shape[1] - 1)
    low = np.minimum(at.astype(int), envelopes.shape[1] - 2)
    part = at - low
    moved = envelopes[:, low] * (1 - part) + envelopes[:, low + 1] * part
    limit = LARGEST_GAIN * np.log(10) / 20
    spectra *= np.exp(np.clip(moved - envelopes, -limit, limit))
    frames = np.fft.irfft(spectra, axis=1) * window
    out = np.zeros(len(padded))
    weight = np.zeros(len(padded))
    blocks = N_FFT // HOP
    for k in range(blocks):  # frames that do not overlap are laid down together
        part = frames[k::blocks]
        start, length = k * HOP, len(part) * N_FFT
        out[start : start + length] += part.reshape(-1)
        weight[start : start + length] += np.tile(window**2, len(part))
    return (out / np.maximum(weight, 1e-3))[N_FFT : N_FFT + n].astype(np.float32)


def disguise(samples: np.ndarray, guise: Guise) -> np.ndarray:
    """float32 (n_samples,) at 16 kHz -> about n_samples / speed samples of another voice."""
    import soxr

    if guise == Guise():
        return samples
    if guise.speed != 1:
        samples = soxr.resample(samples, SAMPLE_RATE * guise.speed, SAMPLE_RATE).astype(np.float32)
    return move_formants(samples, guise.formants / guise.speed)
