"""Speech at another pitch, its formants and length kept."""

from itertools import pairwise

import numpy as np

from core.audio.limiter import soft_limit
from core.errors import VoiceError
from core.progress import Report, silent
from core.types import Waveform

LOWEST, HIGHEST = 60, 600  # Hz, of the voice as it is
SHORTEST = 0.1  # seconds; Praat needs three periods of the lowest pitch
LONGEST = 4.0  # seconds done at a time: Praat holds the interpreter lock for 5 ms a second of sound
FADE = 0.02  # seconds over which two pieces are joined
LEVEL = 0.1  # seconds over which the level is followed: some periods of the lowest pitch that can come out


def shift_pitch(waveform: Waveform, semitones: float, report: Report = silent) -> Waveform:
    """The same speech `semitones` higher (or lower, below 0), as long and as loud as it was, in [-1, 1].

    What has no pitch (breath, silence, less than 0.1 s) stays as it is. Raises Cancelled through `report`, VoiceError
    where Praat's library is missing.
    Source: Moulines, Charpentier 1990, "Pitch-synchronous waveform processing techniques for text-to-speech
    synthesis using diphones" (TD-PSOLA), as Praat does it.
    """
    samples, rate = waveform.samples, waveform.sample_rate
    if not semitones or len(samples) < SHORTEST * rate:
        return waveform
    half = round(FADE * rate / 2)
    cuts = [0, *_quiet_places(samples, rate), len(samples)]
    shifted = np.zeros(len(samples))
    for start, stop in pairwise(cuts):
        report(start / len(samples), "pitch")
        left, right = max(0, start - half), min(len(samples), stop + half)
        position = np.arange(left, right) + 0.5
        weight = np.ones(right - left)  # two neighbours' weights add up to one
        if start:
            weight = np.minimum(weight, (position - left) / (2 * half))
        if stop < len(samples):
            weight = np.minimum(weight, (right - position) / (2 * half))
        shifted[left:right] += weight * _overlap_add(samples[left:right], rate, 2 ** (semitones / 12))
    # As many pulses of the same size in more or less time are louder or softer than the voice was.
    gain = np.sqrt((_power(samples, rate) + 1e-9) / (_power(shifted, rate) + 1e-9))
    report(1.0, "pitch")
    return Waveform(soft_limit(shifted * np.clip(gain, 0.5, 2)), rate)


def _overlap_add(samples: np.ndarray, rate: int, ratio: float) -> np.ndarray:
    """The sound with its pitch times `ratio`, float64, as many samples."""
    try:
        import parselmouth  # 40 MB, only for who wants another pitch
        from parselmouth.praat import call
    except ImportError as error:
        raise VoiceError(
            f"The library that shifts the pitch cannot be loaded ({error}).",
            "Install it (pip install praat-parselmouth), or leave the pitch at 0.",
        ) from error

    sound = parselmouth.Sound(samples.astype(np.float64), rate)
    manipulation = call(sound, "To Manipulation", 0.01, LOWEST, HIGHEST)
    pitch = call(manipulation, "Extract pitch tier")
    call(pitch, "Multiply frequencies", sound.xmin, sound.xmax, ratio)
    call([pitch, manipulation], "Replace pitch tier")
    return call(manipulation, "Get resynthesis (overlap-add)").values[0]


def _quiet_places(samples: np.ndarray, rate: int) -> list[int]:
    """Where to cut, at most LONGEST seconds apart: each time the quietest moment of the second half."""
    longest, moment = round(LONGEST * rate), round(FADE * rate)
    cuts, start = [], 0
    while len(samples) - start > longest:
        first = start + longest // 2
        power = np.square(samples[first : start + longest]).reshape(-1, moment).mean(axis=1)
        start = first + int(power.argmin()) * moment + moment // 2
        cuts.append(start)
    return cuts


def _power(samples: np.ndarray, rate: int) -> np.ndarray:
    """The mean square of the LEVEL seconds around each sample, float64 (n_samples,)."""
    half = round(LEVEL * rate / 2)
    total = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    at = np.arange(len(samples))
    left, right = np.maximum(at - half, 0), np.minimum(at + half, len(samples))
    return np.maximum(total[right] - total[left], 0) / (right - left)
