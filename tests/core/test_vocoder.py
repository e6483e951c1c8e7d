"""The neural vocoder: chunks are the whole, the length is exact, the source keeps its pitch."""

import numpy as np
import pytest
import torch

from core.audio.limiter import soft_limit
from core.audio.mel import mel_filters, mel_spectrogram
from core.errors import FormatMismatch, ModelError
from core.inference import registry
from core.inference.registry import Card
from core.inference.vocoder import NeuralVocoder, _Melody
from core.models.vocos import Config, Vocos
from core.progress import Cancelled
from core.roles import Vocoder
from core.training.spectral import MelLayer
from core.types import PROJECT_MEL, Mel, MelFormat, Waveform

TINY = Config(channels=16, blocks=2, pitch_channels=16, pitch_blocks=1)


@pytest.fixture(scope="module")
def vocoder() -> NeuralVocoder:
    """A tiny network with random weights large enough that every part of it is heard."""
    torch.manual_seed(0)
    model = Vocos(TINY, torch.tensor(mel_filters(PROJECT_MEL)))
    for parameter in model.net.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.15)
    return NeuralVocoder(
        Card("vocoder", "vocos", "tiny", config=TINY.__dict__, mel_format=PROJECT_MEL), model.state_dict()
    )


@pytest.fixture(scope="module")
def mel() -> Mel:
    t = np.arange(16000 * 6) / 16000
    sound = 0.1 * np.sign(np.sin(2 * np.pi * (140 * t + 10 * np.sin(2 * t)))) * (np.sin(3 * t) > -0.5)
    return mel_spectrogram(
        Waveform(sound + 0.003 * np.random.default_rng(0).standard_normal(len(t)), 16000), PROJECT_MEL
    )


def test_it_is_a_vocoder(vocoder):
    assert isinstance(vocoder, Vocoder)


def test_the_length_is_frames_less_one_times_hop(vocoder, mel):
    for n in (1, 2, 7, 24, 25, 26, 190):
        assert len(vocoder.vocode(Mel(mel.frames[:, :n], PROJECT_MEL)).samples) == (n - 1) * 200


def test_chunks_are_the_whole(vocoder, mel, monkeypatch):
    streamed = np.concatenate([chunk.samples for chunk in vocoder.stream(mel, seed=3)])
    np.testing.assert_array_equal(streamed, vocoder.vocode(mel, seed=3).samples)
    monkeypatch.setattr(vocoder, "FIRST", mel.n_frames)
    whole = vocoder.vocode(mel, seed=3).samples
    difference = 10 * np.log10(np.mean((streamed - whole) ** 2) / np.mean(whole**2))
    assert difference < -80, f"{difference:.0f} dB between chunks and one piece"


def test_the_octave_is_the_one_meant_and_the_rest_is_read(vocoder):
    reader, bins = vocoder.model.pitch, torch.arange(TINY.pitch_bins)
    peaks = {f0: 6 * torch.exp(-0.5 * (bins - 72 * np.log2(f0 / 50)) ** 2) for f0 in (110.0, 220.0)}
    scores = (peaks[110.0] + 1.2 * peaks[220.0])[None, None]
    assert reader.f0(scores).item() == pytest.approx(220, rel=0.01)
    meant = torch.full((1, 1), 100.0)  # the mel strayed by one semitone and a half
    assert reader.f0(reader.near(scores, meant)).item() == pytest.approx(110, rel=0.01)
    assert torch.equal(reader.near(scores, 0 * meant), scores)  # nothing was said


def test_chunks_are_the_whole_with_a_pitch_that_was_meant(vocoder, mel, monkeypatch):
    sung = Mel(mel.frames, PROJECT_MEL, 150 + 50 * np.sin(np.arange(mel.n_frames) / 40))
    chunks = vocoder.vocode(sung, seed=3).samples
    assert np.abs(chunks - vocoder.vocode(mel, seed=3).samples).max() > 1e-3
    monkeypatch.setattr(vocoder, "FIRST", mel.n_frames)
    whole = vocoder.vocode(sung, seed=3).samples
    assert 10 * np.log10(np.mean((chunks - whole) ** 2) / np.mean(whole**2)) < -80


def test_the_pitch_does_not_depend_on_who_asks_for_which_part(vocoder, mel):
    """Read over other stretches, it differed by a rounding now and then, and chunks from the whole by -40 dB."""
    whole = _Melody(vocoder.model, mel).part(0, mel.n_frames)
    parts, start = _Melody(vocoder.model, mel), 0
    for stop in (1, 64, 70, 128, 300, mel.n_frames):
        assert torch.equal(parts.part(max(0, start - 20), stop), whole[:, max(0, start - 20) : stop])
        assert len(parts._blocks) * parts.BLOCK < stop - start + 160
        start = stop
    torch.testing.assert_close(whole, vocoder.model.read_pitch(torch.tensor(mel.frames[None])), rtol=1e-4, atol=0)


def test_same_seed_same_samples_another_seed_another_hiss(vocoder, mel):
    first = vocoder.vocode(mel, seed=1).samples
    np.testing.assert_array_equal(first, vocoder.vocode(mel, seed=1).samples)
    assert np.abs(first - vocoder.vocode(mel, seed=2).samples).max() > 1e-3


def test_a_cancel_takes_effect_at_the_next_chunk(vocoder, mel):
    def report(fraction, note=""):
        if fraction > 0:
            raise Cancelled

    heard = []
    with pytest.raises(Cancelled):
        for chunk in vocoder.stream(mel, report=report):
            heard.append(chunk)
    assert len(heard) == 1


def test_progress_grows_to_one(vocoder, mel):
    seen = []
    vocoder.vocode(mel, report=lambda fraction, note="": seen.append(fraction))
    assert seen == sorted(seen) and seen[0] == 0 and seen[-1] == 1


def test_another_mel_format_is_refused_before_any_work(vocoder):
    other = MelFormat(hop_length=256)
    with pytest.raises(FormatMismatch, match="another kind of mel"):
        vocoder.vocode(Mel(np.zeros((80, 5)), other))


def test_loud_mels_do_not_clip_and_nothing_is_offset(vocoder, mel):
    samples = vocoder.vocode(Mel(mel.frames + 4, PROJECT_MEL)).samples
    assert np.abs(samples).max() <= 1.0
    quiet = vocoder.vocode(mel).samples
    assert abs(quiet.mean()) < 1e-3 * quiet.std() + 1e-6


def test_the_limiter_leaves_quiet_samples_alone_and_bends_loud_ones():
    x = np.linspace(-3, 3, 601, dtype=np.float32)
    y = soft_limit(x)
    inside = np.abs(x) <= 0.95
    np.testing.assert_array_equal(y[inside], x[inside])
    assert np.abs(y).max() <= 1.0 and (np.diff(y) >= 0).all()


def test_weights_that_do_not_fit_the_card_are_a_model_error(vocoder, tmp_path):
    from core.training.checkpoint import publish

    card = Card("vocoder", "vocos", "tiny", config={**TINY.__dict__, "channels": 32}, mel_format=PROJECT_MEL)
    path = publish(card, vocoder.model.state_dict(), tmp_path)
    with pytest.raises(ModelError, match="do not fit"):
        registry.load(registry.read_card(path))


def test_the_source_has_the_pitch_it_is_given():
    model = Vocos(TINY)
    f0 = torch.full((1, 82), 217.3)
    pulses = model.pulses(f0, torch.zeros(1, dtype=torch.float64))
    assert pulses.shape == (1, 85 * 200)
    spectrum = np.abs(np.fft.rfft(pulses[0, :16000].numpy() * np.hanning(16000)))
    peaks = [f for f in range(100, 7900) if spectrum[f] == spectrum[f - 60 : f + 61].max()]
    np.testing.assert_allclose(peaks, 217.3 * np.arange(1, len(peaks) + 1), atol=1.0)
    assert abs(float(pulses.square().mean()) - 1) < 0.05


def test_the_pitch_between_bins_is_read_exactly():
    reader = Vocos(TINY).pitch
    f0 = torch.tensor([[71.3, 143.7, 288.8, 455.5]])
    read = reader.f0(torch.log(reader.targets(f0) + 1e-9))
    assert (1200 * torch.log2(read / f0)).abs().max() < 2


def test_the_inverse_transform_undoes_the_transform():
    model = Vocos(TINY)
    samples = torch.randn(1, (30 + 3) * 200)  # begins two hops before frame 0
    made = model.sound(model.spectrum(samples))
    torch.testing.assert_close(made, samples[:, 400 : 400 + 29 * 200], atol=1e-4, rtol=1e-4)


def test_the_torch_mel_is_the_numpy_mel(mel):
    samples = np.random.default_rng(1).standard_normal(8000).astype(np.float32) * 0.1
    ours = MelLayer(PROJECT_MEL)(torch.tensor(samples)[None])[0].numpy()
    np.testing.assert_allclose(ours, mel_spectrogram(Waveform(samples, 16000), PROJECT_MEL).frames, atol=1e-3)


def test_the_published_vocoder_keeps_pitch_and_level():
    cards, _ = registry.available()
    card = next((card for card in cards["vocoder"] if card.architecture == "vocos"), None)
    if card is None:
        pytest.skip("no neural vocoder is published in pretrained/")
    assert card.path.stat().st_size < 10e6
    t = np.arange(32000) / 16000
    buzz = sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 40)) * 0.1
    mel = mel_spectrogram(Waveform(buzz, 16000), PROJECT_MEL)
    made = registry.load(card).vocode(mel).samples
    spectrum = np.abs(np.fft.rfft(made[4000:20000] * np.hanning(16000)))
    assert abs(int(spectrum[100:200].argmax()) + 100 - 150) <= 3
    assert 0.7 < made.std() / buzz.std() < 1.4
