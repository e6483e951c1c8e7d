"""Griffin-Lim: any mel, the right pitch, joints that are not heard, a cancel that is."""

import time

import numpy as np
import pytest

from core.audio.mel import mel_spectrogram
from core.errors import FormatMismatch
from core.inference.griffin_lim import GriffinLim, deemphasise
from core.inference.registry import GRIFFIN_LIM, load
from core.progress import Cancelled
from core.roles import Vocoder
from core.types import PROJECT_MEL, Mel, MelFormat, Waveform

TACOTRON = MelFormat(n_fft=1024, win_length=1000, hop_length=250, compression="db", preemphasis=0.97)


def tone(seconds: float = 1.0, f0: float = 440.0, sample_rate: int = 16000) -> Waveform:
    t = np.arange(int(seconds * sample_rate)) / sample_rate
    return Waveform(0.3 * np.sin(2 * np.pi * f0 * t), sample_rate)


@pytest.fixture
def griffin_lim() -> GriffinLim:
    return load(GRIFFIN_LIM)


def peak_hz(waveform: Waveform) -> float:
    spectrum = np.abs(np.fft.rfft(waveform.samples * np.hanning(len(waveform.samples))))
    return float(spectrum.argmax() * waveform.sample_rate / len(waveform.samples))


def test_it_is_a_vocoder(griffin_lim):
    assert isinstance(griffin_lim, Vocoder)


@pytest.mark.parametrize(
    "format",
    [
        PROJECT_MEL,
        TACOTRON,
        MelFormat(power=2.0),
        MelFormat(sample_rate=22050, n_fft=1024, win_length=1024, hop_length=276),
    ],
)
def test_a_tone_comes_back_with_its_pitch_level_and_length(griffin_lim, format):
    original = tone(sample_rate=format.sample_rate)
    mel = mel_spectrogram(original, format)
    made = griffin_lim.vocode(mel)
    assert made.sample_rate == format.sample_rate
    assert len(made.samples) == (mel.n_frames - 1) * format.hop_length
    assert abs(peak_hz(made) / 440 - 1) < 0.02
    assert abs(made.samples.std() / original.samples.std() - 1) < 0.2


def test_normalised_values_are_scaled_back(griffin_lim):
    plain = mel_spectrogram(tone(), MelFormat(compression="db"))
    scaled = MelFormat(compression="db", range=(-4.0, 4.0))
    made = griffin_lim.vocode(Mel((plain.frames + 100) / 100 * 8 - 4, scaled))
    np.testing.assert_allclose(made.samples, griffin_lim.vocode(plain).samples, atol=0.01)


def test_the_seed_decides(griffin_lim):
    mel = mel_spectrogram(tone(0.5), PROJECT_MEL)
    first = griffin_lim.vocode(mel, seed=1).samples
    np.testing.assert_array_equal(first, griffin_lim.vocode(mel, seed=1).samples)
    assert np.abs(first - griffin_lim.vocode(mel, seed=2).samples).max() > 1e-3


def test_segments_join_without_a_click(griffin_lim, monkeypatch):
    monkeypatch.setattr(griffin_lim, "SEGMENT", 100)
    mel = mel_spectrogram(tone(4.0), PROJECT_MEL)
    chunks = [chunk.samples for chunk in griffin_lim.stream(mel)]
    samples = np.concatenate(chunks)
    assert len(chunks) > 2 and len(samples) == (mel.n_frames - 1) * 200
    np.testing.assert_array_equal(samples, griffin_lim.vocode(mel).samples)
    # a click is a step no tone of this level makes
    assert np.abs(np.diff(samples, 2))[800:-800].max() < 3 * 0.3 * (2 * np.pi * 440 / 16000) ** 2


def test_a_cancel_comes_within_a_quarter_of_a_second(griffin_lim):
    mel = mel_spectrogram(tone(12.0), PROJECT_MEL)
    times = []

    def report(fraction, note=""):
        times.append(time.monotonic())
        if len(times) > 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        griffin_lim.vocode(mel, report=report)
    assert max(np.diff(times)[1:]) < 0.25


def test_a_mel_it_cannot_read_is_refused(griffin_lim):
    with pytest.raises(FormatMismatch, match="Griffin-Lim cannot read"):
        griffin_lim.vocode(Mel(np.zeros((80, 9)), MelFormat(hop_length=600)))


def test_deemphasis_goes_on_from_chunk_to_chunk():
    x = np.random.default_rng(0).standard_normal(50).astype(np.float32)
    emphasised = np.append(x[:1], x[1:] - 0.97 * x[:-1])
    first, last = deemphasise(emphasised[:20], 0.97, 0.0)
    second, _ = deemphasise(emphasised[20:], 0.97, last)
    np.testing.assert_allclose(np.append(first, second), x, atol=1e-5)
