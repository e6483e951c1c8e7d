"""Words cut out of synthesized speech, and words heard twice in it, are found; what is whole is left in peace."""

import numpy as np
import pytest

from core.errors import VoiceError
from core.evaluation.words import HOP, _audibly, lost_and_doubled
from core.inference.cloner import Cloner
from core.inference.registry import PRETRAINED, available
from core.types import Embedding
from toolbox.actions import REFERENCES

TEXT = "The birch canoe slid on the smooth planks."
pytestmark = pytest.mark.timeout(600)  # a busy machine is slow, not wrong
WORDS = TEXT.lower().replace(",", "").rstrip(".").split()


@pytest.fixture(scope="module")
def take():
    pytest.importorskip("pocketsphinx", reason="needs pocketsphinx (requirements-train.txt)")
    if any(not cards for cards in available(PRETRAINED)[0].values()):
        pytest.skip("needs the published models in pretrained/")
    cloner = Cloner()
    cloner.select()
    with np.load(REFERENCES) as stored:
        voice = Embedding(stored["vectors"][0], cloner.synthesizer.space)
    return cloner.clone(TEXT, voice)


def span(take, number: int) -> slice:
    _, start, end = take.alignment.words[number]
    rate = take.waveform.sample_rate
    return slice(round(start * rate), round(end * rate))


def test_whole_speech_has_every_word_once(take):
    assert [word.strip(",.").lower() for word, _, _ in take.alignment.words] == WORDS
    assert lost_and_doubled(take.waveform.samples, WORDS) == ([], [])


@pytest.mark.parametrize("number", [1, 3, 6])
def test_a_word_cut_out_is_lost(take, number):
    samples = np.delete(take.waveform.samples, span(take, number))
    assert lost_and_doubled(samples, WORDS) == ([number], [])


@pytest.mark.parametrize("number", [2, 7])
def test_a_word_heard_twice_is_doubled(take, number):
    at = span(take, number)
    samples = np.insert(take.waveform.samples, at.stop, take.waveform.samples[at])
    assert lost_and_doubled(samples, WORDS) == ([], [number])


def test_a_pause_and_a_blink_are_no_second_saying():
    loud = np.random.default_rng(0).normal(0, 0.1, 40 * HOP)
    faint = np.concatenate([0.02 * loud[: 20 * HOP], loud[20 * HOP :]])  # 34 dB down
    assert _audibly(loud, (5, 20), (20, 35), 2)
    assert not _audibly(faint, (5, 20), (20, 35), 2)
    assert not _audibly(loud, (14, 20), (20, 35), 2)  # 60 ms for two phones


def test_two_words_in_a_row_may_be_lost(take):
    at = slice(span(take, 1).start, span(take, 2).stop)
    lost, doubled = lost_and_doubled(np.delete(take.waveform.samples, at), WORDS)
    # which of two neighbours is left of "the birch", the aligner cannot always tell
    assert len(lost) == 2 and set(lost) < {0, 1, 2} and doubled == []


def test_silence_holds_none_of_them_and_no_text_asks_for_none(take):
    assert lost_and_doubled(np.zeros(16000, np.float32), WORDS) == (list(range(len(WORDS))), [])
    assert lost_and_doubled(take.waveform.samples, []) == ([], [])


def test_without_the_recogniser_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pocketsphinx", None)
    with pytest.raises(VoiceError, match="pocketsphinx"):
        lost_and_doubled(np.ones(16000, np.float32), ["word"])
