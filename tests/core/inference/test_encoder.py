import time

import numpy as np
import pytest

from core.audio.partials import power_mel
from core.errors import ModelError, SilentAudio, TooShort
from core.inference import encoder as encoder_module
from core.inference.encoder import resample_in_parts
from core.inference.registry import Card, available, load
from core.progress import Cancelled, silent
from core.roles import SpeakerEncoder
from core.types import Waveform

torch = pytest.importorskip("torch")
RATE = 16000


def vowels(seconds: float, pitch: float = 130.0, rate: int = RATE) -> np.ndarray:
    """A buzzing voice of gliding pitch, three syllables a second."""
    t = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.2 * np.sin(2 * np.pi * 0.6 * t))) / rate
    buzz = sum(np.sin(k * phase) / k for k in range(1, 20))
    return (0.05 * buzz * (0.02 + np.sin(2 * np.pi * 1.5 * t) ** 2)).astype(np.float32)


def noise(seconds: float, level: float) -> np.ndarray:
    return (level * np.random.default_rng(0).standard_normal(int(seconds * RATE))).astype(np.float32)


@pytest.fixture(scope="module", params=["voiceprint", "ge2e"])
def encoder(request, tmp_path_factory):
    """Each architecture with random weights, through a published file and the registry."""
    from dataclasses import asdict

    from core.models.ge2e import GE2E, GE2EConfig
    from core.models.voiceprint import Voiceprint, VoiceprintConfig
    from core.training.checkpoint import publish

    torch.manual_seed(0)
    if request.param == "ge2e":
        state, config = GE2E(GE2EConfig(hidden_size=32, embedding_size=24, n_layers=2)).state_dict(), {}
    else:
        sizes = VoiceprintConfig(hidden_size=32, n_layers=2, embedding_size=24)
        state, config = Voiceprint(sizes).state_dict(), asdict(sizes)
    folder = tmp_path_factory.mktemp("pretrained")
    publish(Card("encoder", request.param, "tiny", config=config, space="test-24"), state, folder)
    cards, problems = available(folder)
    assert not problems
    return load(cards["encoder"][0])


def test_an_embedding_and_its_partials(encoder):
    assert isinstance(encoder, SpeakerEncoder)
    embedding, partials = encoder.embed(Waveform(vowels(6), RATE))
    assert embedding.encoder == encoder.space == "test-24"
    assert embedding.vector.shape == (24,)
    assert np.linalg.norm(embedding.vector) == pytest.approx(1, abs=1e-5)
    assert partials.shape[0] >= 4 and partials.shape[1] == 24
    np.testing.assert_allclose(np.linalg.norm(partials, axis=1), 1, atol=1e-4)


def test_the_same_sound_gives_the_same_embedding(encoder):
    waveform = Waveform(vowels(4), RATE)
    assert np.array_equal(encoder.embed(waveform)[0].vector, encoder.embed(waveform)[0].vector)


def test_the_sample_rate_does_not_matter(encoder):
    here = encoder.embed(Waveform(vowels(4), RATE))[0]
    there = encoder.embed(Waveform(vowels(4, rate=48000), 48000))[0]
    assert here.similarity(there) > 0.995


def between_pauses(seconds: float) -> tuple[Waveform, Waveform]:
    """A voice, and the same with pauses around it."""
    alone = vowels(seconds)
    return Waveform(alone, RATE), Waveform(np.concatenate([noise(2, 1e-5), alone, noise(3, 1e-5)]), RATE)


def test_pauses_around_it_do_not_matter(encoder):
    """To the windows: how a network of random weights ends its run hangs on the last tenth of a second."""
    alone, framed = (encoder.embed(waveform)[1].mean(axis=0) for waveform in between_pauses(4))
    assert alone @ framed / (np.linalg.norm(alone) * np.linalg.norm(framed)) > 0.99


@pytest.mark.parametrize("seconds", [2, 4, 7])
def test_pauses_do_not_matter_to_the_encoder_that_we_publish(seconds):
    encoder = load(available()[0]["encoder"][0])
    alone, framed = (encoder.embed(waveform)[0] for waveform in between_pauses(seconds))
    assert alone.similarity(framed) > 0.995


def test_windows_are_the_same_in_any_batch(encoder, monkeypatch):
    waveform = Waveform(vowels(9), RATE)
    _, whole = encoder.embed(waveform)
    monkeypatch.setattr("core.inference.encoder._BATCH", 3)
    _, parts = encoder.embed(waveform)
    np.testing.assert_allclose(whole, parts, atol=1e-4)


def test_our_own_encoder_also_hears_the_speech_in_one_go(encoder):
    """The published one is the mean of its windows; ours has six tenths of what it says after the whole."""
    speech = vowels(7)
    embedding, partials = encoder.embed_speech(speech)
    mean = partials.mean(axis=0) / np.linalg.norm(partials.mean(axis=0))
    with torch.inference_mode():
        run = encoder.network(torch.from_numpy(power_mel(speech)[None, :700]))[0].numpy()
    assert np.abs(run - mean).max() > 2e-3  # they can be told apart
    share = 0.6 if type(encoder.network).__name__ == "Voiceprint" else 0.0
    wanted = (1 - share) * mean + share * run
    np.testing.assert_allclose(embedding.vector, wanted / np.linalg.norm(wanted), atol=1e-4)


@pytest.mark.parametrize("seconds", [1.0, 10.0, 10.02, 34.0])
def test_runs_are_the_whole_speech_in_pieces_of_one_length(seconds):
    speech = noise(seconds, 0.1)
    bounds = encoder_module._runs(len(speech))
    lengths = {end - begin for begin, end in bounds}
    assert len(lengths) == 1 and max(lengths) <= encoder_module.RUN
    n_frames = bounds[-1][1]
    assert [0, *(end for _, end in bounds)] == [*(begin for begin, _ in bounds), n_frames]
    assert 0 <= 100 * seconds - n_frames <= len(bounds)
    mels = np.concatenate([encoder_module._mels(speech, *piece) for piece in bounds])
    np.testing.assert_allclose(mels[3:-3], power_mel(speech)[3 : n_frames - 3], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("samples", [np.zeros(3 * RATE), np.zeros(0), noise(3, 1e-5), noise(3, 0.1)])
def test_silence_and_noise_are_refused(encoder, samples):
    with pytest.raises(SilentAudio) as caught:
        encoder.embed(Waveform(samples, RATE))
    assert caught.value.message and caught.value.hint


@pytest.mark.parametrize("around", [0.0, 2.0])
def test_too_little_speech_is_refused(encoder, around):
    pause = np.zeros(int(around * RATE), np.float32)
    with pytest.raises(TooShort, match=r"0\.\d s of speech"):
        encoder.embed(Waveform(np.concatenate([pause, vowels(2)[3000:8000], pause]), RATE))


def test_a_second_of_speech_is_enough(encoder):
    embedding, partials = encoder.embed(Waveform(vowels(1.0), RATE))
    assert len(partials) == 1 and np.isfinite(embedding.vector).all()


def test_ten_minutes_can_be_given_up_at_once(encoder):
    """No two reports are far apart, whatever stage is at work; and a report that cancels is obeyed."""
    long = Waveform(np.tile(vowels(10, rate=44100), 60), 44100)
    reports = []

    def watch(fraction: float, note: str = "") -> None:
        reports.append((time.process_time(), fraction))
        if len(reports) > 400 or fraction > 0.6:
            raise Cancelled

    watch(0.0)
    with pytest.raises(Cancelled):
        encoder.embed(long, watch)
    times, fractions = map(np.array, zip(*reports, strict=True))
    assert (np.diff(fractions) >= -1e-9).all()
    # The two longest may be a pause of the machine; the work itself is in all the others.
    assert np.sort(np.diff(times))[-3] < 0.25


def test_resampling_in_parts_is_seamless():
    waveform = Waveform(vowels(25, rate=44100), 44100)
    resampled = resample_in_parts(waveform, silent)
    assert resampled.sample_rate == RATE
    assert abs(len(resampled.samples) - 25 * RATE) <= 2
    import soxr

    whole = soxr.resample(waveform.samples, 44100, RATE, quality="HQ")
    n = min(len(whole), len(resampled.samples))
    np.testing.assert_allclose(resampled.samples[:n], whole[:n], atol=1e-4)


def test_weights_that_do_not_fit_are_named(tmp_path):
    from core.training.checkpoint import publish

    card = Card("encoder", "voiceprint", "odd", config={"early": 8}, space="x")
    publish(card, {"linear.bias": torch.zeros(3)}, tmp_path)
    with pytest.raises(ModelError, match="odd"):
        load(available(tmp_path)[0]["encoder"][0])
