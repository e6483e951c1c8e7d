"""Mixing, resampling, levels and fades."""

import numpy as np
import pytest

from core.audio.transform import SILENCE_DB, fade, normalise_level, normalise_peak, peak_db, resample, rms_db, to_mono
from core.types import Waveform


def tone(hertz=440.0, seconds=1.0, sample_rate=16000, amplitude=0.5):
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * sample_rate)) / sample_rate)).astype("f4")


def test_equal_channels_mix_to_themselves():
    one = tone()
    np.testing.assert_allclose(to_mono(np.stack([one, one], 1)), one, atol=1e-6)


def test_opposite_phases_do_not_cancel():
    one = tone()
    np.testing.assert_allclose(np.abs(to_mono(np.stack([one, -0.9 * one], 1))), np.abs(one), atol=1e-6)


def test_silent_channels_do_not_dilute_the_voice():
    channels = np.zeros((16000, 6), np.float32)
    channels[:, 2] = tone()
    assert rms_db(to_mono(channels)) == pytest.approx(rms_db(tone()), abs=0.1)


def test_silence_and_nothing_mix_to_silence_and_nothing():
    assert not to_mono(np.zeros((10, 2))).any()
    assert to_mono(np.zeros((0, 2))).shape == (0,)


@pytest.mark.parametrize(
    "source, target", [(48000, 16000), (44100, 16000), (8000, 16000), (96000, 16000), (16000, 44100)]
)
def test_resampling_keeps_pitch_level_and_length(source, target):
    result = resample(Waveform(tone(440, 1.0, source), source), target)
    assert result.sample_rate == target
    assert len(result.samples) == pytest.approx(target, abs=2)
    spectrum = np.abs(np.fft.rfft(result.samples * np.hanning(len(result.samples))))
    assert np.argmax(spectrum) == pytest.approx(440, abs=1)
    assert rms_db(result.samples) == pytest.approx(rms_db(tone()), abs=0.1)


def test_resampling_down_leaves_no_alias():
    result = resample(Waveform(tone(15000, 1.0, 48000), 48000), 16000)
    assert rms_db(result.samples[500:-500]) < -80


def test_resampling_to_the_same_rate_and_of_nothing():
    waveform = Waveform(tone(), 16000)
    assert resample(waveform, 16000) is waveform
    assert len(resample(Waveform(np.zeros(0), 8000), 16000).samples) == 0


def test_levels():
    assert rms_db(tone(amplitude=1.0)) == pytest.approx(-3.01, abs=0.01)
    assert peak_db(np.array([0.1, -0.5])) == pytest.approx(-6.02, abs=0.01)
    for nothing in (np.zeros(0), np.zeros(100)):
        assert rms_db(nothing) == peak_db(nothing) == SILENCE_DB


def test_normalising_reaches_the_level_but_never_clips():
    quiet = Waveform(tone(amplitude=0.01), 16000)
    assert peak_db(normalise_peak(quiet, -1).samples) == pytest.approx(-1, abs=0.01)
    assert rms_db(normalise_level(quiet, -20).samples) == pytest.approx(-20, abs=0.01)
    click = np.zeros(16000, "f4")
    click[8000] = 0.5
    assert peak_db(normalise_level(Waveform(click, 16000), -20).samples) == pytest.approx(-1, abs=0.01)
    silence = Waveform(np.zeros(100), 16000)
    assert normalise_level(silence) is silence and normalise_peak(silence) is silence


def test_fade_starts_and_ends_at_nothing_and_leaves_the_middle():
    waveform = Waveform(np.full(16000, 0.5), 16000)
    samples = fade(waveform, 0.01).samples
    assert abs(samples[0]) < 1e-3 and abs(samples[-1]) < 1e-3
    np.testing.assert_array_equal(samples[160:-160], waveform.samples[160:-160])
    assert np.all(np.diff(samples[:160]) > 0)
    assert len(fade(Waveform(np.ones(1), 16000), 1.0).samples) == 1
