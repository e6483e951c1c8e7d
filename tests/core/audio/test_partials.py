import numpy as np
import pytest

from core.audio.partials import partial_mels, partial_starts, power_mel, raise_level, rms_level


def test_power_mel_is_librosas():
    librosa = pytest.importorskip("librosa")
    samples = np.random.default_rng(0).standard_normal(20000).astype(np.float32) * 0.1
    expected = librosa.feature.melspectrogram(
        y=samples, sr=16000, n_fft=400, hop_length=160, n_mels=40, pad_mode="reflect"
    ).T
    mine = power_mel(samples)
    assert mine.shape == expected.shape == (126, 40)
    np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-6 * expected.max())


@pytest.mark.parametrize(
    ("seconds", "starts"),
    [(0.6, [0]), (1.6, [0]), (1.9, [0]), (2.0, [0, 80]), (3.2, [0, 80, 160]), (5.0, [0, 80, 160, 240, 320])],
)
def test_windows_overlap_by_half_and_the_last_is_mostly_sound(seconds, starts):
    assert partial_starts(int(seconds * 16000)) == starts


def test_windows_are_cut_from_one_mel_and_zero_past_the_end():
    samples = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    (window,) = partial_mels(samples, [0])
    assert window.shape == (160, 40)
    np.testing.assert_allclose(window[:95], power_mel(samples)[:95], rtol=1e-5)
    assert (window[105:] == 0).all()


def test_levels():
    samples = np.full(1000, 0.001, np.float32)
    assert rms_level(samples) == pytest.approx(-60, abs=0.01)
    assert rms_level(raise_level(samples)) == pytest.approx(-30, abs=0.01)
    loud = np.full(1000, 0.5, np.float32)
    assert raise_level(loud) is loud
    assert rms_level(np.zeros(0)) == -120
