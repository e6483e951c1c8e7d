"""The values that travel: frozen, checked at the door, carrying their conventions."""

import dataclasses

import numpy as np
import pytest

from core.errors import FormatMismatch
from core.types import PROJECT_MEL, Embedding, Mel, MelFormat, Waveform, mean_embedding


def unit(*values):
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


def test_arrays_are_read_only_copies():
    source = np.zeros(8, np.float32)
    waveform = Waveform(source, 16000)
    source[0] = 1
    assert waveform.samples[0] == 0
    with pytest.raises(ValueError):
        waveform.samples[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        waveform.sample_rate = 8000


def test_a_view_of_a_larger_array_does_not_share_it():
    source = np.zeros(8, np.float32)
    waveform = Waveform(source[2:6], 16000)
    source[:] = 1
    assert waveform.samples.sum() == 0


@pytest.mark.parametrize("bad", [np.array([np.nan]), np.array([np.inf]), np.zeros((2, 4))])
def test_bad_samples_are_refused(bad):
    with pytest.raises(ValueError):
        Waveform(bad, 16000)


def test_a_mel_has_its_formats_bands():
    with pytest.raises(ValueError, match="bands"):
        Mel(np.zeros((40, 10)), PROJECT_MEL)


def test_a_mels_pitch_has_its_frames_and_goes_with_its_parts():
    mel = Mel(np.zeros((80, 10)), PROJECT_MEL, np.arange(10) + 100)
    assert mel.part(3, 5).f0.tolist() == [103, 104] and mel.part(3, 5).n_frames == 2
    assert Mel(np.zeros((80, 10)), PROJECT_MEL).part(3, 5).f0 is None
    with pytest.raises(ValueError, match="its f0 9"):
        Mel(np.zeros((80, 10)), PROJECT_MEL, np.ones(9))


def test_mel_format_survives_its_card():
    format = dataclasses.replace(PROJECT_MEL, range=(-4.0, 4.0))
    assert MelFormat.from_dict(format.to_dict()) == format
    with pytest.raises(ValueError, match="octaves"):
        MelFormat.from_dict({**format.to_dict(), "octaves": 8})


def test_other_spaces_are_never_compared_or_averaged():
    ours, theirs = Embedding(unit(1, 2), "a"), Embedding(unit(1, 2), "b")
    assert ours.similarity(Embedding(unit(2, 4), "a")) == pytest.approx(1)
    with pytest.raises(FormatMismatch):
        ours.similarity(theirs)
    with pytest.raises(FormatMismatch):
        mean_embedding([ours, theirs])


def test_mean_of_voices_is_a_voice():
    mean = mean_embedding([Embedding(unit(1, 0), "a"), Embedding(unit(0, 1), "a")])
    np.testing.assert_allclose(mean.vector, unit(1, 1), rtol=1e-6)
