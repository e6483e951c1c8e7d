"""Tempo with tiny random weights: everything but the sound itself."""

from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
import torch

from core.errors import Cancelled, FormatMismatch, TextError
from core.inference import registry
from core.inference.registry import Card
from core.inference.synthesizer import TempoSynthesizer
from core.models.tempo import Tempo, TempoConfig
from core.roles import Synthesizer
from core.text.script import write_script
from core.text.symbols import ALPHABETS
from core.training.checkpoint import publish
from core.types import PROJECT_MEL, Embedding, SpeakOptions

SMALL = TempoConfig(
    ALPHABETS["ipa-1"].size,
    d_text=24,
    d_prosody=16,
    d_pause=16,
    d_frame=24,
    d_condition=8,
    text_blocks=2,
    frame_blocks=2,
    prosody_blocks=1,
)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    torch.manual_seed(3)
    network = Tempo(SMALL)
    with torch.no_grad():
        network.prosody_out.bias[0] = 1.8  # about 6 frames a symbol
    extra = {
        "constants": {
            "mel_mean": [-5.0] * 80,
            "mel_std": [2.0] * 80,
            "f0_mean": 5.0,
            "f0_std": 0.3,
            "level_mean": -5.0,
            "level_std": 1.0,
        },
        "statistics": {"phone_scale": 1.0, "pause_scale": 1.0, "duration_spread": 0.4, "f0_spread": 0.6},
    }
    card = Card("synthesizer", "tempo", "tiny", asdict(SMALL), PROJECT_MEL, "ge2e-256", "ipa-1", ("en",), extra=extra)
    folder = tmp_path_factory.mktemp("pretrained")
    publish(card, network.state_dict(), folder)
    return folder


@pytest.fixture(scope="module")
def synthesizer(published) -> TempoSynthesizer:
    return registry.load(registry.find("synthesizer", "tiny", published))


@pytest.fixture
def voice() -> Embedding:
    vector = np.abs(np.random.default_rng(1).normal(size=256)).astype(np.float32)
    return Embedding(vector / np.linalg.norm(vector), "ge2e-256")


def test_it_has_the_role(synthesizer):
    assert isinstance(synthesizer, Synthesizer)
    assert synthesizer.mel_format == PROJECT_MEL and synthesizer.space == "ge2e-256"


def test_the_same_request_gives_the_same_mel_alone_or_in_company(synthesizer, voice):
    mel, alignment = synthesizer.synthesize("Hello there, world.", voice, seed=4)
    synthesizer.synthesize("Something else, and longer, in between.", voice, seed=9)
    again, same = synthesizer.synthesize("Hello there, world.", voice, seed=4)
    np.testing.assert_array_equal(mel.frames, again.frames)
    assert alignment.ends == same.ends


def test_a_mel_says_what_pitch_it_was_meant_to_have(synthesizer, voice):
    mel, _ = synthesizer.synthesize("Hello there, world.", voice, options=SpeakOptions(temperature=0))
    network, seen = synthesizer.model, []
    comb = network._comb
    network._comb = lambda f0, voicing: seen.append(network._hertz(f0)) or comb(f0, voicing)
    try:
        synthesizer.synthesize("Hello there, world.", voice, options=SpeakOptions(temperature=0))
    finally:
        del network._comb
    np.testing.assert_allclose(mel.f0, seen[0][0, : mel.n_frames].numpy(), rtol=1e-6)  # what the mel is drawn from
    assert 30 < mel.f0.min() < mel.f0.max() < 740 and mel.f0.std() > 0


def test_the_number_of_threads_changes_nothing(synthesizer, voice):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one, _ = synthesizer.synthesize("How many threads does this take?", voice)
        torch.set_num_threads(2)
        two, _ = synthesizer.synthesize("How many threads does this take?", voice)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(one.frames, two.frames)


def test_a_seed_varies_the_delivery_and_temperature_zero_does_not(synthesizer, voice):
    text = "The seed decides how this is said."
    calm, lively = SpeakOptions(temperature=0.0), SpeakOptions(temperature=1.0)
    assert synthesizer.synthesize(text, voice, 1, calm)[1].ends == synthesizer.synthesize(text, voice, 2, calm)[1].ends
    assert (
        synthesizer.synthesize(text, voice, 1, lively)[1].ends != synthesizer.synthesize(text, voice, 2, lively)[1].ends
    )


def test_speed_scales_the_length(synthesizer, voice):
    text = "A sentence that is said faster and slower than usual."
    lengths = [
        synthesizer.synthesize(text, voice, 0, SpeakOptions(speed=s, temperature=0))[0].seconds for s in (0.5, 1.0, 2.0)
    ]
    assert lengths[0] == pytest.approx(2 * lengths[1], rel=0.06)
    assert lengths[2] == pytest.approx(lengths[1] / 2, rel=0.12)


@pytest.fixture
def pauses(synthesizer, voice, monkeypatch):
    """The marks of pauses in a text, and the times of their starts, where the model would pause at every word."""
    monkeypatch.setattr(
        synthesizer.model, "pauses", lambda ids, *_: torch.tensor([0.0, 0.0, 9.0]).expand(*ids.shape[:2], 3)
    )

    def pauses(text):
        _, alignment = synthesizer.synthesize(text, voice)
        marks = zip(alignment.symbols, alignment.starts, strict=True)
        return [(symbol, at) for symbol, at in marks if symbol in ",."], alignment.words

    return pauses


def test_phones_are_drawn_out_only_before_a_pause(synthesizer):
    script = write_script("Two of them, and four")
    letters = [symbol.letters for symbol in script.symbols]
    frames = synthesizer._frames(torch.full((len(letters),), 3.0), script, 1.0).tolist()  # 20 frames meant for each
    vowel = {letters[k]: frames[k] for k in range(len(letters)) if letters[k] in ("uː", "ɛ", "æ", "oːɹ", "ɔːɹ")}
    inside, resting = (vowel["uː"], vowel["æ"]), (vowel["ɛ"], frames[letters.index("m")], frames[-2])
    assert max(inside) < 0.85 * min(resting)
    short = synthesizer._frames(torch.full((len(letters),), 1.5), script, 1.0).tolist()
    assert short[letters.index("uː")] == pytest.approx(short[letters.index("ɛ")], abs=1)


def test_no_pause_is_added_inside_a_number(pauses):
    found, words = pauses(
        "The 1,234,567 people of the town have met at 9:40 on the 21st of the month and paid $17.25 for it."
    )
    assert len(found) > 1
    assert not [(word, at) for word, start, end in words for _, at in found if start < at < end]


def test_a_sentence_is_said_in_one_breath_and_a_long_one_in_several(pauses):
    clause = "people from the north of the country came home in the spring of last year"
    assert pauses("She put the letter in a drawer and forgot about it.")[0] == []
    assert pauses("a short line without a stop")[0] == []
    assert [mark for mark, _ in pauses("Never, said the old man, will I go back.")[0]] == [",", ","]
    long, words = pauses(f"{clause} and {clause} and {clause}.")
    edges = [0.0, *(at for _, at in long), 1e9]
    assert all(mark == "," for mark, _ in long)
    assert max(sum(a <= start < b for _, start, _ in words) for a, b in pairwise(edges)) <= 17
    lost = [mark for mark, _ in pauses(f"{clause} and {clause} and {clause}")[0]]  # its commas are not written
    assert len(lost) > len(long) and "." in lost


def test_a_pronunciation_changes_its_word_alone(synthesizer, voice):
    text = "They say Nevada's desert is wide."
    own = SpeakOptions(pronunciations=(("nevada", "/nəˈvɑːdə/"),))
    plain, asked = (synthesizer.synthesize(text, voice, 0, options)[1] for options in (SpeakOptions(), own))
    before, after = " ".join(plain.symbols), " ".join(asked.symbols)
    assert "v ˈæ d ə z" in before and before.replace("n ᵻ v ˈæ d ə z", "n ə v ˈɑː d ə z") == after
    assert [word for word, _, _ in asked.words] == [word for word, _, _ in plain.words]


def test_the_alignment_covers_the_mel_and_names_the_words(synthesizer, voice):
    mel, alignment = synthesizer.synthesize("He paid $5, of course.", voice)
    assert [word for word, _, _ in alignment.words] == ["He", "paid", "$5,", "of", "course."]
    assert alignment.starts[0] == 0 and alignment.ends[-1] == pytest.approx(mel.seconds)
    assert np.allclose(alignment.starts[1:], alignment.ends[:-1])
    times = [t for _, start, end in alignment.words for t in (start, end)]
    assert times == sorted(times)


@pytest.mark.parametrize(
    "text", ["No", "I", "A B C", "1234567890", "ALL IN CAPITALS", '"Quotes" (and) [brackets]!', "😀", "word " * 300]
)
def test_odd_sentences_are_spoken_at_a_sane_length(synthesizer, voice, text):
    mel, alignment = synthesizer.synthesize(text, voice)
    assert np.isfinite(mel.frames).all()
    phones = len(alignment.symbols)
    assert 0.02 * phones <= mel.seconds <= 0.75 * phones


def test_errors_a_person_reads(synthesizer, voice):
    with pytest.raises(TextError):
        synthesizer.synthesize("...", voice)
    with pytest.raises(FormatMismatch):
        synthesizer.synthesize("Hello.", Embedding(voice.vector, "another"))


def test_it_can_be_cancelled_at_every_report(synthesizer, voice):
    calls = []
    synthesizer.synthesize("Count the reports.", voice, report=lambda f, note="": calls.append(f))
    assert len(calls) >= 6 and calls == sorted(calls)
    for stop in range(len(calls)):
        seen = []

        def report(fraction, note="", stop=stop, seen=seen):
            seen.append(fraction)
            if len(seen) > stop:
                raise Cancelled

        with pytest.raises(Cancelled):
            synthesizer.synthesize("Count the reports.", voice, report=report)
    synthesizer.synthesize("And it still works.", voice)


def test_weights_that_do_not_fit_the_card_are_refused(synthesizer):
    with pytest.raises(RuntimeError):
        TempoSynthesizer(synthesizer.card, {})
