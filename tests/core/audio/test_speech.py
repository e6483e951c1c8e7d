import numpy as np
import pytest

from core.audio.speech import speech_mask, speech_seconds, trim_silence
from core.progress import Cancelled
from core.types import Waveform

RATE = 16000


def wave(samples) -> Waveform:
    return Waveform(np.asarray(samples, np.float32), RATE)


def spoken(seconds: float, pitch: float = 120.0, seed: int = 0) -> np.ndarray:
    """Something like speech: harmonics of a gliding pitch under two formants, four syllables a second."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    f0 = pitch * (1 + 0.15 * np.sin(2 * np.pi * 0.7 * t))
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    formants = 500 + 200 * np.sin(2 * np.pi * 1.3 * t), 1500 + 400 * np.sin(2 * np.pi * 0.9 * t)
    total = np.zeros_like(t)
    for k in range(1, 25):
        gain = sum(np.exp(-(((k * f0 - formant) / 250) ** 2)) for formant in formants) + 0.05 / k
        total += gain * np.sin(k * phase)
    syllables = np.clip(np.sin(2 * np.pi * 2 * t) ** 2 * 1.3 - 0.1, 0, 1)
    total = total * syllables + 0.001 * rng.standard_normal(len(t))
    return (0.1 * total / np.abs(total).max()).astype(np.float32)


def noise(seconds: float, slope: float, seed: int = 0) -> np.ndarray:
    n = int(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    shaped = np.fft.irfft(spectrum * np.maximum(np.arange(len(spectrum)), 50.0) ** -slope, n=n)
    return (0.05 * shaped / shaped.std()).astype(np.float32)


@pytest.mark.parametrize("slope", [0, 0.5, 1], ids=["white", "pink", "brown"])
@pytest.mark.parametrize("level", [1.0, 0.01])
def test_noise_alone_is_no_speech(slope, level):
    for seed in range(3):
        assert speech_seconds(wave(level * noise(4, slope, seed))) == 0


def test_silence_hum_clicks_and_a_burst_of_noise_are_no_speech():
    t = np.arange(4 * RATE) / RATE
    clicks = np.zeros(4 * RATE)
    clicks[::8000] = 0.9
    burst = np.zeros(4 * RATE)
    burst[RATE : 2 * RATE] = noise(1, 0)
    hum = sum(np.sin(2 * np.pi * 50 * k * t) / k for k in range(1, 20)) * 0.05
    for sound in (np.zeros(4 * RATE), hum, clicks, burst):
        assert not speech_mask(wave(sound)).any()
    assert len(speech_mask(wave([]))) == 0


@pytest.mark.parametrize("pitch", [85, 120, 220, 330])
def test_a_voice_is_found_where_it_is(pitch):
    quiet = 0.0003 * np.random.default_rng(1).standard_normal(6 * RATE)
    quiet[2 * RATE : 4 * RATE] += spoken(2, pitch)
    mask = speech_mask(wave(quiet))
    assert len(mask) == 600
    assert mask[210:390].mean() > 0.9
    assert not mask[:180].any() and not mask[420:].any()
    assert 1.8 < trim_silence(wave(quiet)).seconds < 2.3


@pytest.mark.parametrize("ratio", [20, 10])
def test_a_voice_is_found_in_noise(ratio):
    voice = np.concatenate([np.zeros(RATE), spoken(3), np.zeros(RATE)])
    noisy = voice + noise(5, 0.5) * np.sqrt((voice**2).mean()) / 0.05 * 10 ** (-ratio / 20)
    mask = speech_mask(wave(noisy))
    assert mask[100:400].mean() > 0.8
    assert mask[:80].sum() + mask[420:].sum() < 10


def test_the_level_does_not_matter():
    voice = spoken(3) + 0.02 * noise(3, 0.5)
    assert np.array_equal(speech_mask(wave(voice)), speech_mask(wave(voice * 0.25)))


def test_a_report_can_stop_it():
    def stop(fraction: float, note: str = "") -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        speech_mask(wave(spoken(2)), stop)


def test_most_of_a_read_sentence_is_speech_even_in_noise(speech):
    for _, waveform in speech(4, split="train", set="librispeech_tc100_a", min_seconds=6):
        samples = waveform.samples
        clean = speech_mask(waveform)
        assert 0.6 < clean.mean() <= 1
        hiss = np.random.default_rng(0).standard_normal(len(samples)) * np.sqrt((samples**2).mean()) * 10**-0.5
        assert (speech_mask(wave(samples + hiss)) == clean).mean() > 0.8
