"""Our mel against librosa's, and its conventions."""

import numpy as np
import pytest

from core.audio.mel import mel_spectrogram
from core.errors import FormatMismatch
from core.types import PROJECT_MEL, MelFormat, Waveform


@pytest.mark.parametrize(
    "format",
    [
        PROJECT_MEL,
        MelFormat(n_fft=400, hop_length=160, win_length=400, n_mels=40, power=2.0, compression="none"),
        MelFormat(n_fft=1024, hop_length=256, win_length=1024, fmin=55.0, fmax=7600.0),
    ],
)
def test_equal_to_librosa(format):
    import librosa

    samples = np.random.default_rng(0).normal(0, 0.1, 24321).astype(np.float32)
    theirs = librosa.feature.melspectrogram(
        y=samples,
        sr=format.sample_rate,
        n_fft=format.n_fft,
        hop_length=format.hop_length,
        win_length=format.win_length,
        n_mels=format.n_mels,
        fmin=format.fmin,
        fmax=format.fmax,
        power=format.power,
        pad_mode="reflect",
    )
    if format.compression == "log":
        theirs = np.log(np.maximum(theirs, format.floor))
    ours = mel_spectrogram(Waveform(samples, format.sample_rate), format)
    assert ours.n_frames == 1 + len(samples) // format.hop_length
    np.testing.assert_allclose(ours.frames, theirs, rtol=1e-4, atol=1e-4)


def test_silence_and_a_few_samples_are_finite():
    for n in (1, 100, 401, 16000):
        mel = mel_spectrogram(Waveform(np.zeros(n, np.float32), 16000), PROJECT_MEL)
        assert np.allclose(mel.frames, np.log(1e-5))


def test_another_sample_rate_is_an_error_not_a_wrong_mel():
    with pytest.raises(FormatMismatch, match="44100"):
        mel_spectrogram(Waveform(np.zeros(44100, np.float32), 44100), PROJECT_MEL)
