"""Another pitch: as far as asked, the vowel, the length and the level kept, nothing heard of the joints."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from core.audio.pitch import LONGEST, shift_pitch
from core.audio.transform import rms_db
from core.errors import Cancelled, VoiceError
from core.types import Waveform

ROOT = Path(__file__).resolve().parents[3]
RATE = 16000
FORMANTS = (700, 1200, 2600)


def vowel(seconds=2.0, hz=150.0, level=0.3) -> Waveform:
    """An "a" on a gently moving pitch: pulses through three resonances."""
    t = np.arange(round(seconds * RATE)) / RATE
    cycles = np.cumsum(hz * (1 + 0.02 * np.sin(2 * np.pi * 3 * t))) / RATE
    sound = np.diff(np.floor(cycles), prepend=0.0)
    for formant in FORMANTS:
        pole = np.exp(-np.pi * 80 / RATE + 2j * np.pi * formant / RATE)
        sound = lfilter([1.0], np.poly([pole, pole.conjugate()]).real, sound)
    return Waveform(level * sound / np.abs(sound).max(), RATE)


def median_pitch(waveform: Waveform, lowest: float, highest: float) -> float:
    """Hz, by the autocorrelation of 80 ms frames: of the peaks nearly as high as the highest, the first."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform.samples, 1280)[::800]
    lags = np.arange(int(RATE / highest), int(RATE / lowest))
    found = []
    for frame in frames:
        power = np.abs(np.fft.rfft(frame * np.hanning(1280), 4096)) ** 2
        peaks = np.fft.irfft(power)[lags]
        inner = peaks[1:-1]
        top = np.flatnonzero((inner > peaks[:-2]) & (inner >= peaks[2:]) & (inner > 0.8 * peaks.max()))
        if len(top):
            found.append(RATE / lags[top[0] + 1])
    return float(np.median(found))


def formants(waveform: Waveform) -> np.ndarray:
    """The lowest three resonances in Hz: linear prediction of order 12, the middle of all 30 ms frames."""
    found = []
    for frame in np.lib.stride_tricks.sliding_window_view(waveform.samples[4000:-4000], 480)[::160]:
        frame = np.diff(frame * 1.0) * np.hanning(479)
        r = np.correlate(frame, frame, "full")[478 : 478 + 13]
        lag = np.abs(np.subtract.outer(np.arange(12), np.arange(12)))
        roots = np.roots([1, *-np.linalg.solve(r[lag] + 1e-9 * r[0] * np.eye(12), r[1:])])
        hz = np.sort(np.angle(roots[(roots.imag > 0) & (np.abs(roots) > 0.8)])) * RATE / (2 * np.pi)
        hz = hz[hz > 300]
        if len(hz) >= 3:
            found.append(hz[:3])
    return np.median(found, axis=0)


@pytest.mark.parametrize("semitones", [-12, -5, 0.5, 5, 12])
def test_the_pitch_moves_as_asked_and_the_vowel_stays(semitones):
    before = vowel()
    after = shift_pitch(before, semitones)
    wanted = 150 * 2 ** (semitones / 12)
    assert abs(12 * np.log2(median_pitch(after, 0.7 * wanted, 1.6 * wanted) / wanted)) < 0.3
    np.testing.assert_allclose(formants(after), formants(before), rtol=0.05)
    assert len(after.samples) == len(before.samples) and after.sample_rate == RATE
    assert abs(rms_db(after.samples) - rms_db(before.samples)) < 1


def test_no_shift_is_the_same_object():
    waveform = vowel()
    assert shift_pitch(waveform, 0) is waveform


@pytest.mark.parametrize("samples", [0, 1, 20, 500, 1599, 1600, 1601])
def test_what_is_too_short_keeps_its_length(samples):
    assert len(shift_pitch(Waveform(vowel().samples[:samples], RATE), 7).samples) == samples


def test_what_has_no_pitch_stays_as_it_is():
    hiss = Waveform(0.05 * np.random.default_rng(1).normal(size=RATE), RATE)
    np.testing.assert_allclose(shift_pitch(hiss, 12).samples, hiss.samples, atol=0.002)
    silence = Waveform(np.zeros(RATE, np.float32), RATE)
    np.testing.assert_array_equal(shift_pitch(silence, -12).samples, silence.samples)


@pytest.mark.parametrize("semitones", [-12, 12])
def test_a_long_sound_without_a_pause_has_no_clicks(semitones):
    """It is done in pieces; no step between samples is larger than those within the short sound."""
    short, long = (shift_pitch(vowel(s), semitones).samples for s in (LONGEST / 2, 3 * LONGEST))
    assert np.abs(np.diff(long)).max() < 1.2 * np.abs(np.diff(short)).max()
    power = np.square(long[: len(long) // 800 * 800].reshape(-1, 800)).mean(axis=1)[2:-2]
    assert power.min() > 0.5 * np.median(power)


@pytest.mark.parametrize("semitones", [-12, 12])
def test_the_loudest_sound_stays_in_range(semitones):
    assert np.abs(shift_pitch(vowel(level=1.0), semitones).samples).max() <= 1


def test_it_can_be_cancelled_between_pieces():
    seen = []

    def report(fraction, note=""):
        seen.append(fraction)
        if fraction > 0.2:
            raise Cancelled

    with pytest.raises(Cancelled):
        shift_pitch(vowel(4 * LONGEST), 3, report)
    assert len(seen) < 5


def test_the_library_waits_until_it_is_needed():
    code = "import sys, core.inference.cloner, toolbox.wiring; assert 'parselmouth' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    with pytest.raises(VoiceError, match="praat-parselmouth"):
        shift_pitch(vowel(), 3)
