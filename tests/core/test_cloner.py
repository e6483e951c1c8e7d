"""The pipeline with small models: order, independence, cancelling, timing, and errors that name what they are about."""

import numpy as np
import pytest

from core.audio.mel import mel_spectrogram
from core.errors import Cancelled, ModelError, SilentAudio, TextError, TooShort
from core.inference.cloner import Cloner
from core.types import SpeakOptions, Waveform

TEXT = "First sentence. Second one!\n\nAnd a line of its own."


def tone(seconds=2.0, rate=16000, hz=300.0):
    t = np.arange(int(seconds * rate)) / rate
    return Waveform(0.2 * np.sin(2 * np.pi * hz * t), rate)


@pytest.fixture
def voice(cloner):
    return cloner.utterance(tone(), "tone.wav", "Tone").embedding


def test_clone_is_synthesize_then_vocode(cloner, voice):
    whole = cloner.clone(TEXT, voice, seed=3)
    apart = cloner.vocode(cloner.synthesize(TEXT, voice, seed=3))
    np.testing.assert_array_equal(whole.mel.f0, apart.mel.f0)
    np.testing.assert_array_equal(whole.waveform.samples, apart.waveform.samples)
    np.testing.assert_array_equal(whole.mel.frames, apart.mel.frames)
    assert [s.text for s in whole.spans] == [s.text for s in apart.spans]
    assert whole.receipt.vocoder == apart.receipt.vocoder == "fake-vocoder"


def test_sound_and_mel_keep_the_same_clock(cloner, voice):
    take = cloner.clone(TEXT, voice)
    assert len(take.waveform.samples) == take.mel.n_frames * take.mel.format.hop_length
    assert len(take.spans) == 3
    assert max(take.alignment.ends) <= take.waveform.seconds


def test_a_sentence_is_the_same_alone_and_in_company(cloner, voice):
    together = cloner.clone(TEXT, voice, seed=5)
    alone = cloner.clone("Second one!", voice, seed=5)
    span = together.spans[1]
    np.testing.assert_array_equal(together.mel.frames[:, span.start : span.stop], alone.mel.frames)
    hop = together.mel.format.hop_length
    n = (span.stop - span.start - 1) * hop
    np.testing.assert_array_equal(
        together.waveform.samples[span.start * hop : span.start * hop + n], alone.waveform.samples[:n]
    )


def test_the_first_sentence_is_heard_before_the_second_is_made(cloner, voice):
    events = []
    made = cloner.synthesizer.synthesize

    def noted(sentence, *rest):
        events.append(sentence)
        return made(sentence, *rest)

    cloner.synthesizer.synthesize = noted
    heard = []
    take = cloner.clone(TEXT, voice, on_audio=lambda chunk: (events.append("sound"), heard.append(chunk.samples)))
    assert events[1] == "sound"
    np.testing.assert_array_equal(np.concatenate(heard), take.waveform.samples)


@pytest.mark.parametrize("pitch", [-5, 5])
def test_another_pitch_changes_the_sound_alone(cloner, voice, pitch):
    plain, asked = (cloner.clone(TEXT, voice, options=SpeakOptions(pitch=p)) for p in (0, pitch))
    np.testing.assert_array_equal(asked.mel.frames, plain.mel.frames)
    assert len(asked.waveform.samples) == len(plain.waveform.samples)
    assert asked.alignment.ends == plain.alignment.ends and asked.receipt.options.pitch == pitch
    peak = np.abs(np.fft.rfft(asked.waveform.samples)).argmax() / asked.waveform.seconds
    assert peak == pytest.approx(220 * 2 ** (pitch / 12), rel=0.02)
    assert plain.heard is None and asked.heard.n_frames == asked.mel.n_frames
    bands = [take.heard.frames.mean(axis=1).argmax() for take in (asked, cloner.vocode(asked))]
    assert bands[0] == bands[1] == mel_spectrogram(asked.waveform, asked.mel.format).frames.mean(axis=1).argmax()
    heard = []
    again = cloner.vocode(cloner.synthesize(TEXT, voice, options=SpeakOptions(pitch=pitch)), on_audio=heard.append)
    np.testing.assert_array_equal(again.waveform.samples, asked.waveform.samples)
    np.testing.assert_array_equal(np.concatenate([chunk.samples for chunk in heard]), asked.waveform.samples)


def test_another_pitch_is_cancelled_at_every_report(cloner, voice):
    options, calls = SpeakOptions(pitch=3), []
    cloner.clone(TEXT, voice, options=options, report=lambda fraction, note="": calls.append(fraction))
    assert calls == sorted(calls) and calls[-1] == 1
    for stop in range(0, len(calls), 7):
        left = iter(range(stop))

        def report(fraction, note="", left=left):
            if next(left, None) is None:
                raise Cancelled

        with pytest.raises(Cancelled):
            cloner.clone(TEXT, voice, options=options, report=report)


def test_progress_never_goes_back_and_ends_at_one(cloner, voice):
    seen = []
    cloner.clone(TEXT, voice, report=lambda fraction, note: seen.append(fraction))
    assert seen == sorted(seen) and seen[-1] == 1.0 and min(seen) >= 0


def test_cancelled_through_report(cloner, voice):
    def stop(fraction, note):
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        cloner.clone(TEXT, voice, report=stop)
    assert cloner.clone("Again.", voice).waveform.seconds > 0


def test_the_seed_changes_the_take_and_nothing_else_does(cloner, voice):
    first, again, other = (cloner.clone(TEXT, voice, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.mel.frames, again.mel.frames)
    assert not np.array_equal(first.mel.frames, other.mel.frames)


@pytest.mark.parametrize(
    "waveform, error",
    [(Waveform(np.zeros(32000, np.float32), 16000), SilentAudio), (tone(0.2), TooShort)],
)
def test_errors_name_the_recording(cloner, waveform, error):
    with pytest.raises(error, match=r"hello\.wav"):
        cloner.utterance(waveform, "hello.wav", "Someone")


def test_nothing_to_speak(cloner, voice):
    for text in ("", "  \n ", "... !?", "🙂🙂"):
        with pytest.raises(TextError):
            cloner.clone(text, voice)


def test_without_models_each_verb_says_what_is_missing(tmp_path, voice):
    empty = Cloner(tmp_path)
    chosen = empty.select()
    assert chosen["encoder"] is None and chosen["vocoder"].name == "griffin-lim"
    with pytest.raises(ModelError, match="no encoder"):
        empty.utterance(tone(), "a", "b")
    with pytest.raises(ModelError, match="no synthesizer"):
        empty.clone("Hello.", voice)
    with pytest.raises(ModelError, match="no vocoder named 'nobody'"):
        empty.select(vocoder="nobody")


def test_an_utterance_keeps_its_own_sample_rate(cloner):
    utterance = cloner.utterance(tone(rate=44100), "a.wav", "A")
    assert utterance.waveform.sample_rate == 44100
    assert utterance.mel.seconds == pytest.approx(2.0, abs=0.02)
    assert utterance.embedding.similarity(cloner.utterance(tone(rate=16000), "b", "B").embedding) > 0.99
