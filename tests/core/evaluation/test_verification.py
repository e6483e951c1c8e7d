import numpy as np
import pytest

from core.evaluation.conditions import add_noise, babble, coloured_noise, mp3, muffled, telephone
from core.evaluation.verification import (
    enrolled_similarities,
    equal_error_rate,
    leave_one_out_error,
    leave_one_out_similarities,
    pair_similarities,
)


def test_equal_error_rate_of_known_scores():
    assert equal_error_rate(np.array([0.9, 0.8, 0.7]), np.array([0.3, 0.2, 0.1])) == 0
    assert equal_error_rate(np.array([0.1, 0.2]), np.array([0.8, 0.9])) == 1
    same = np.array([0.9, 0.8, 0.7, 0.35])
    different = np.array([0.4, 0.3, 0.2, 0.1])
    assert equal_error_rate(same, different) == 0.25
    assert np.isnan(equal_error_rate(np.array([]), different))


def test_equal_error_rate_of_two_overlapping_bells():
    rng = np.random.default_rng(0)
    rate = equal_error_rate(rng.normal(2, 1, 20000), rng.normal(0, 1, 20000))
    assert rate == pytest.approx(0.1587, abs=0.005)  # one standard deviation from either mean


def test_pairs_are_split_by_speaker():
    vectors = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    same, different = pair_similarities(vectors, np.array(["a", "a", "b", "b"]))
    assert sorted(same) == [0, 1]
    assert len(different) == 4 and not different.any()


def six_speakers(per_speaker):
    """Vectors (6 per_speaker, 32) of norm 1 that lie around six centres, not all nearest to their own."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((6, 32))
    speakers = np.repeat(np.arange(6), per_speaker)
    vectors = centres[speakers] + 1.6 * rng.standard_normal((len(speakers), 32))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), speakers


def test_a_voice_of_several_utterances_is_surer_than_one():
    vectors, speakers = six_speakers(12)
    same, different = enrolled_similarities(vectors, speakers)
    assert len(same) == 72 and len(different) == 72 * 5
    assert equal_error_rate(same, different) < equal_error_rate(*pair_similarities(vectors, speakers)) - 0.02


def test_an_utterance_is_left_out_of_its_own_voice():
    vectors = np.eye(4, dtype=np.float32)[[0, 1, 2, 2, 3]]
    same, different = leave_one_out_similarities(vectors, np.array(["a", "a", "b", "b", "c"]))
    assert same == pytest.approx([0, 0, 1, 1])  # "c" was heard once: no voice of hers is left
    assert different.reshape(5, 2)[:2] == pytest.approx(0) and len(different) == 10
    vectors[4] = vectors[2]
    same, different = leave_one_out_similarities(vectors, np.array(["a", "a", "b", "b", "c"]))
    assert sorted(different)[-3:] == pytest.approx([1, 1, 1])  # two of "b" with the voice of "c", and she with theirs


def test_ten_utterances_make_a_surer_voice_than_five():
    vectors, speakers = six_speakers(30)
    rate = leave_one_out_error(vectors, speakers)
    assert rate == leave_one_out_error(vectors, speakers) > 0.01
    assert leave_one_out_error(vectors, speakers, per_speaker=30) < rate < leave_one_out_error(vectors, speakers, 5)


def level(x):
    return 10 * np.log10(np.mean(np.square(x, dtype=np.float64)))


def test_noise_is_added_at_the_ratio_asked_for():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal(16000).astype(np.float32) * 0.1
    for other in (coloured_noise(16000, 0.5, rng), babble(16000, [samples[:5000], samples[5000:9000]])):
        assert level(add_noise(samples, other, 10) - samples) == pytest.approx(level(samples) - 10, abs=0.05)


def test_a_telephone_keeps_the_middle_and_an_mp3_its_length():
    t = np.arange(16000) / 16000
    for hz, kept in ((1000, True), (100, False), (6000, False)):
        tone = 0.3 * np.sin(2 * np.pi * hz * t).astype(np.float32)
        assert (level(telephone(tone)) > level(tone) - 3) == kept
    tone = 0.3 * np.sin(2 * np.pi * 1000 * t).astype(np.float32)
    coded = mp3(tone)
    assert abs(len(coded) - len(tone)) < 3000 and abs(level(coded) - level(tone)) < 1


def test_muffled_speech_is_as_loud_and_loses_nine_decibels_with_each_octave():
    t = np.arange(16000) / 16000
    tones = [0.1 * np.sin(2 * np.pi * hz * t) for hz in (300, 800, 1600, 3200)]
    dull = muffled(sum(tones).astype(np.float32))
    assert level(dull) == pytest.approx(level(sum(tones)), abs=0.05)
    strength = [np.abs(np.fft.rfft(dull))[hz] for hz in (300, 800, 1600, 3200)]
    assert 20 * np.log10(strength / strength[0]) == pytest.approx([0, -9, -18, -27], abs=0.1)
