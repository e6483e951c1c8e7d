"""The published models together, on real speech: a man's voice comes out a man's, a woman's a woman's, and as asked."""

import numpy as np
import pytest

from core.inference.cloner import Cloner
from core.inference.registry import PRETRAINED, available
from core.types import SpeakOptions, Waveform

TEXT = "The birch canoe slid on the smooth planks, and the wind blew all day long."

pytestmark = pytest.mark.skipif(
    any(not cards for cards in available(PRETRAINED)[0].values()), reason="needs the published models in pretrained/"
)


@pytest.fixture(scope="module")
def published():
    cloner = Cloner()
    cloner.select()
    return cloner


def median_pitch(waveform: Waveform) -> float:
    """Hz, over the louder half of the frames."""
    import librosa

    f0 = librosa.yin(waveform.samples, fmin=65, fmax=400, sr=waveform.sample_rate, frame_length=1024)
    level = librosa.feature.rms(y=waveform.samples, frame_length=1024, hop_length=256)[0][: len(f0)]
    return float(np.median(f0[: len(level)][level > np.median(level)]))


def test_men_sound_like_men_and_women_like_women(published, speech):
    pitches = {}
    for gender in ("M", "F"):
        recordings = speech(n=3, split="train", gender=gender, min_seconds=6.0)
        assert recordings
        pitches[gender] = [
            median_pitch(published.clone(TEXT, published.utterance(w, r.utt_id, r.speaker).embedding).waveform)
            for r, w in recordings
        ]
    assert max(pitches["M"]) < 175 < min(pitches["F"]), pitches


def test_the_same_request_gives_the_same_samples_and_another_seed_does_not(published, speech):
    ((_, waveform),) = speech(min_seconds=5.0)
    voice = published.utterance(waveform, "a", "A").embedding
    first, again, other = (published.clone(TEXT, voice, seed=seed).waveform.samples for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert len(first) != len(other) or not np.array_equal(first, other)


def test_another_pitch_is_the_same_voice_higher_or_lower(published, speech):
    import parselmouth

    def pitch(waveform, ratio=1.0):
        sound = parselmouth.Sound(waveform.samples.astype(float), waveform.sample_rate)
        return sound.to_pitch_ac(0.01, 75 * min(1, ratio), pitch_ceiling=500 * ratio).selected_array["frequency"]

    ((_, waveform),) = speech(split="train", gender="F", min_seconds=6.0)
    voice = published.utterance(waveform, "a", "A").embedding
    plain = published.clone(TEXT, voice)
    before = pitch(plain.waveform)
    for semitones in (-12, -5, 5, 12):
        take = published.clone(TEXT, voice, options=SpeakOptions(pitch=semitones))
        after = pitch(take.waveform, 2 ** (semitones / 12))
        n = min(len(before), len(after))
        both = (before[:n] > 0) & (after[:n] > 0)
        assert both.sum() > 0.8 * (before > 0).sum()
        moved = np.median(12 * np.log2(after[:n][both] / before[:n][both]))
        assert moved == pytest.approx(semitones, abs=0.3)
        assert len(take.waveform.samples) == len(plain.waveform.samples)


def test_twice_as_fast_is_half_as_long(published, speech):
    ((_, waveform),) = speech(min_seconds=5.0)
    voice = published.utterance(waveform, "a", "A").embedding
    plain, fast = (published.clone(TEXT, voice, options=SpeakOptions(speed=s)).waveform.seconds for s in (1.0, 2.0))
    assert 0.4 < fast / plain < 0.65


def test_made_speech_keeps_the_octave_it_was_meant_in(published, speech):
    """What the vocoder read off the mels made for the first ten of these men was an octave off in 4.6 % of the frames.

    Most of what is left comes from a few voices that come out a little otherwise with every encoder: ten men make 1.4
    to 1.9 % of it, thirty 1.0 to 1.2 %.
    """
    pytest.importorskip("parselmouth")
    from core.training.pitch import track_pitch

    wrong, voiced = 0, 0
    for recording, waveform in speech(n=30, split="train", set="common_voice_world", gender="M", min_seconds=6.0):
        voice = published.utterance(waveform, recording.utt_id, recording.speaker).embedding
        take = published.clone(TEXT, voice)
        heard, meant = track_pitch(take.waveform.samples), take.mel.f0
        both = np.flatnonzero(heard[: len(meant)])
        wrong += (np.abs(np.log2(heard[both] / meant[both])) > 0.5).sum()
        voiced += len(both)
    assert voiced > 5250 and wrong / voiced < 0.015, wrong / voiced
