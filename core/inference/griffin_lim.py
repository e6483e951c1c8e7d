"""Mel to sound without a trained model: magnitudes by least squares, phases by fast Griffin-Lim. Plain numpy.

Source: Perraudin, Balazs, Søndergaard 2013, "A fast Griffin-Lim algorithm".
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from core.audio.limiter import soft_limit
from core.audio.mel import mel_filters, stft_window
from core.errors import FormatMismatch
from core.inference.registry import Card
from core.progress import Report, silent
from core.types import Mel, MelFormat, Waveform


class GriffinLim:
    """A Vocoder for mels of any format; `card.mel_format` only names the usual one.

    Long mels are made in segments. Each begins inside the sound already made, takes its phases there from it, and is
    faded over, so joints are not heard and memory stays bounded.
    """

    SEGMENT = 800  # frames
    OVERLAP = 12

    def __init__(self, card: Card, tensors: dict[str, Any] | None = None):
        self.name = card.name
        self.mel_format = card.mel_format
        self.n_iter = int(card.config.get("n_iter", 60))
        self.momentum = float(card.config.get("momentum", 0.99))

    def vocode(self, mel: Mel, seed: int = 0, report: Report = silent) -> Waveform:
        """The sound of a mel, (n_frames - 1) * hop_length samples, in [-1, 1]. Raises FormatMismatch."""
        chunks = [chunk.samples for chunk in self.stream(mel, seed, report)]
        return Waveform(np.concatenate(chunks) if chunks else np.zeros(0, np.float32), mel.format.sample_rate)

    def stream(self, mel: Mel, seed: int = 0, report: Report = silent) -> Iterator[Waveform]:
        """The same samples as `vocode`, a segment of about ten seconds at a time."""
        format = mel.format
        check(format)
        hop, T, overlap = format.hop_length, mel.n_frames, self.OVERLAP
        rng = np.random.default_rng(seed)
        start, held, held_spectrum, last = 0, None, None, 0.0
        report(0.0, "Griffin-Lim")
        while start < T - 1:
            stop = T if T - start <= self.SEGMENT + 4 * overlap else start + self.SEGMENT
            magnitude = linear_magnitudes(
                mel.frames[:, start:stop], format, report=lambda _, note, at=start / T: report(at, note)
            )
            phases = np.exp(2j * np.pi * rng.random(magnitude.shape, dtype=np.float32)).astype(np.complex64)

            def done(fraction: float, start=start, stop=stop) -> None:
                report((start + fraction * (stop - start)) / T, "Griffin-Lim")

            samples, spectrum = self._reconstruct(magnitude, phases, format, held_spectrum, done)
            if held is not None:  # fade over what the last segment made of the same frames
                ramp = np.linspace(0, 1, len(held), dtype=np.float32)
                samples[: len(held)] = held * (1 - ramp) + samples[: len(held)] * ramp
            if stop < T:
                # the last frames of a segment miss their right neighbours, so half the overlap is made again
                keep = (stop - start - overlap) * hop
                held = samples[keep : keep + overlap // 2 * hop]
                held_spectrum = spectrum[stop - start - overlap : stop - start - overlap // 2]
                samples, start = samples[:keep], stop - overlap
            else:
                start = T
            if format.preemphasis:
                samples, last = deemphasise(samples, format.preemphasis, last)
            yield Waveform(soft_limit(samples), format.sample_rate)
        report(1.0, "Griffin-Lim")

    def _reconstruct(self, magnitude, phases, format: MelFormat, known: np.ndarray | None, done):
        """(samples, spectrum) for magnitudes (T, F); the spectrum of the first frames stays as `known` says."""
        spectrum = magnitude * phases
        before = 0.0
        for iteration in range(self.n_iter):
            if known is not None:
                spectrum[: len(known)] = known
            rebuilt = stft(istft(spectrum, format), format)
            ahead = rebuilt + self.momentum * (rebuilt - before)
            before = rebuilt
            spectrum = magnitude * (ahead / np.maximum(np.abs(ahead), 1e-12))
            done((iteration + 1) / self.n_iter)
        padded, half = istft(spectrum, format), format.n_fft // 2
        return padded[half : half + (len(magnitude) - 1) * format.hop_length], spectrum


def check(format: MelFormat) -> None:
    """Raises FormatMismatch for a format whose sound cannot be put together again."""
    if format.compression not in ("log", "db", "none") or format.hop_length > format.win_length // 2:
        raise FormatMismatch(
            f"Griffin-Lim cannot read this mel (compression {format.compression!r}, hop {format.hop_length} "
            f"of window {format.win_length}).",
            "Choose the vocoder that belongs to the synthesizer.",
        )


def deemphasise(samples: np.ndarray, amount: float, last: float) -> tuple[np.ndarray, float]:
    """Undoes y[n] = x[n] - amount * x[n-1], going on from `last`; also gives back the new last value."""
    from scipy.signal import lfilter  # takes a moment to import; the project's own mels need it not

    out, state = lfilter([1.0], [1.0, -amount], samples, zi=[amount * last])
    return out.astype(np.float32), float(state[0] / amount)


@lru_cache(maxsize=4)
def _inverse_filters(format: MelFormat) -> np.ndarray:
    return np.linalg.pinv(mel_filters(format).astype(np.float64)).astype(np.float32)


def linear_magnitudes(frames: np.ndarray, format: MelFormat, n_iter: int = 30, report: Report = silent) -> np.ndarray:
    """Non-negative STFT magnitudes (T, F) whose mel comes close to `frames` (n_mels, T), by multiplicative updates.

    Normalised values are taken as linear in the compressed scale: `range` low stands for the floor, high for 1.
    """
    values = np.asarray(frames, np.float32)
    if format.range is not None:
        low, high = format.range
        bottom = {"log": np.log(format.floor), "db": 20 * np.log10(format.floor), "none": 0.0}[format.compression]
        top = 1.0 if format.compression == "none" else 0.0
        values = bottom + (values - low) * ((top - bottom) / (high - low))
    if format.compression == "log":
        values = np.exp(values)
    elif format.compression == "db":
        values = 10 ** (values / 20)
    filters = mel_filters(format)
    linear = np.maximum(_inverse_filters(format) @ values, 1e-9)
    # Lee and Seung's updates from the clipped pseudo-inverse
    target, gram = filters.T @ values, filters.T @ filters
    for iteration in range(n_iter):
        report(iteration / n_iter, "Griffin-Lim")
        linear *= target / np.maximum(gram @ linear, 1e-12)
    return np.ascontiguousarray((linear ** (1 / format.power)).T, np.float32)


def istft(spectrum: np.ndarray, format: MelFormat) -> np.ndarray:
    """Complex (T, F) -> the padded sound float32 ((T - 1) * hop + n_fft,): frame i begins at i * hop."""
    window, hop, T = stft_window(format), format.hop_length, len(spectrum)
    parts = -(-format.n_fft // hop)
    frames = np.zeros((T, parts * hop), np.float32)
    frames[:, : format.n_fft] = np.fft.irfft(spectrum, n=format.n_fft, axis=1) * window
    square = np.zeros(parts * hop, np.float32)
    square[: format.n_fft] = window**2
    frames, square = frames.reshape(T, parts, hop), square.reshape(parts, hop)
    total, weight = np.zeros((T + parts - 1, hop), np.float32), np.zeros((T + parts - 1, hop), np.float32)
    for p in range(parts):
        total[p : p + T] += frames[:, p]
        weight[p : p + T] += square[p]
    return (total / np.maximum(weight, 1e-3)).ravel()[: (T - 1) * hop + format.n_fft]


def stft(padded: np.ndarray, format: MelFormat) -> np.ndarray:
    """The inverse of `istft`: complex64 (T, F)."""
    frames = np.lib.stride_tricks.sliding_window_view(padded, format.n_fft)[:: format.hop_length]
    return np.fft.rfft(frames * stft_window(format), axis=1).astype(np.complex64)
