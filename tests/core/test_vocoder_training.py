"""The vocoder's trainer: two steps of each stage, publish, resume; crops and losses behave."""

import numpy as np
import pytest
import torch

from cli.plots import training_sample
from core.errors import ModelError
from core.inference.registry import Card, load, read_card, read_tensors
from core.models.vocos import Config, Vocos
from core.training.crops import Crops, between
from core.training.pitch import track_pitch, trusted
from core.training.spectral import SpectralLoss
from core.training.vocoder import SyntheticCache, main
from core.training.vocoder_pairs import load_pairs
from core.training.vocos import Trainer
from core.types import PROJECT_MEL, Mel


def test_two_steps_publish_a_vocoder_that_speaks_and_resume(tmp_path, capsys):
    options = ["--smoke", "--threads", "1", "--device", "cpu", "--publish", str(tmp_path / "models")]
    options += ["--runs", str(tmp_path / "runs")]
    assert main(options, draw=training_sample) == 0
    card = read_card(tmp_path / "models" / "vocoder" / "vocos.safetensors")
    assert card.steps == 2 and card.mel_format == PROJECT_MEL and card.metrics["val_seen_mel"] > 0
    made = load(card).vocode(Mel(np.full((80, 20), -3.0), PROJECT_MEL))
    assert made.samples.std() > 0
    assert list((tmp_path / "runs" / "samples").glob("*.png")) and list((tmp_path / "runs" / "samples").glob("*.wav"))
    assert main([*options, "--resume"]) == 0
    assert "resumed" in capsys.readouterr().err
    assert main([*options, "--from-published", "--runs", str(tmp_path / "other")]) == 0
    assert "begins with" in capsys.readouterr().err
    assert read_card(tmp_path / "models" / "vocoder" / "vocos.safetensors").steps == 4


def test_every_stage_keeps_what_it_has_learnt(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr("core.training.vocoder.save_resume", lambda path, state: saved.append(state["steps"]))
    options = ["--smoke", "--threads", "1", "--device", "cpu", "--publish-minutes", "0"]
    assert main([*options, "--publish", str(tmp_path / "models"), "--runs", str(tmp_path / "runs")]) == 0
    assert [steps["pitch"] for steps in saved][:2] == [1, 2]
    assert [steps["model"] for steps in saved][2:] == [1, 2, 2]


def test_a_reader_taught_alone_is_published(tmp_path):
    trainer = Trainer(Config(channels=8, blocks=1, pitch_channels=8, pitch_blocks=1), torch.device("cpu"), 1e-3)
    before = read_tensors(read_card(trainer.publish(tmp_path, {})))["pitch.net.out.weight"].clone()
    trainer.pitch_step(torch.randn(2, 3200), torch.full((2, 17), 120.0), 0.0)
    after = read_tensors(read_card(trainer.publish(tmp_path, {})))["pitch.net.out.weight"]
    assert not torch.equal(before, after)
    assert torch.equal(after, trainer.model.pitch.net.out.weight.detach().to(after.dtype))


def test_made_mels_are_read_as_they_were_meant():
    trainer = Trainer(Config(channels=8, blocks=1, pitch_channels=8, pitch_blocks=1), torch.device("cpu"), 1e-3)
    asked, read = [], trainer.model.read_pitch
    trainer.model.read_pitch = lambda mel, meant=None: asked.append(meant) or read(mel, meant)
    meant = torch.full((1, 17), 120.0)
    trainer.model_step(torch.randn(3, 3200) * 0.1, torch.full((1, 80, 17), -4.0), meant, 0.0, False, 0.0)
    assert torch.equal(asked[0], torch.cat([torch.zeros(2, 17), meant]))


def test_published_weights_of_another_size_are_not_begun_with():
    small, large = (Config(channels=c, blocks=1, pitch_channels=8, pitch_blocks=1) for c in (8, 16))
    card = Card("vocoder", "vocos", "small", steps=5)
    trainer = Trainer(large, torch.device("cpu"), 1e-3)
    with pytest.raises(ModelError, match="other sizes"):
        trainer.begin_with(card, Vocos(small).state_dict())
    assert trainer.earlier["steps"] == 0


def test_pitch_between_frames_is_on_the_line_but_not_across_edges():
    track = np.array([0, 100, 110, 0], np.float32)
    np.testing.assert_allclose(between(track, np.array([0.4, 0.6, 1.5, 2.4, 2.6, 9])), [0, 100, 105, 110, 0, 0])


def test_the_tracker_follows_a_glide_and_hears_no_pitch_in_noise():
    pytest.importorskip("parselmouth")
    f0 = np.linspace(110, 180, 32000)
    glide = sum(np.sin(2 * np.pi * k * np.cumsum(f0) / 16000) / k for k in range(1, 20)) * 0.1
    track = track_pitch(glide)
    assert len(track) == 161
    middle = np.arange(4, 157)
    np.testing.assert_allclose(track[middle], np.interp(middle * 200, np.arange(32000), f0), rtol=0.003)
    assert (track_pitch(np.random.default_rng(0).standard_normal(32000) * 0.1) > 0).mean() < 0.1


def test_a_crops_pitch_follows_its_sound():
    cache = SyntheticCache()
    labels = {i: np.linspace(100 + 20 * i, 150 + 20 * i, 321, dtype=np.float32) for i in range(4)}
    sounds, f0 = Crops(cache, [0, 1, 2, 3], 12800, seed=0, labels=labels).batch(12)
    assert sounds.shape == (12, 12800) and f0.shape == (12, 65) and np.abs(sounds).max() <= 1
    for sound, track in zip(sounds, f0, strict=True):
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(12800)))[60:240]
        assert abs((spectrum.argmax() + 60) * 16000 / 12800 / track[32] - 1) < 0.06


def test_pitch_next_to_jumps_and_edges_is_not_trusted():
    track = np.array([0, 100, 101, 102, 204, 205, 206, 0], np.float32)
    np.testing.assert_array_equal(trusted(track), [0, 0, 101, 0, 0, 205, 0, 0])


def test_the_spectral_loss_is_zero_for_the_same_and_sees_level_and_noise():
    loss, real = SpectralLoss(), torch.sin(torch.arange(8000) * 0.1)[None] * 0.3
    same = sum(loss(real, real))
    assert same == pytest.approx(0, abs=1e-5)
    assert sum(loss(real * 0.5, real)) > 0.3
    assert sum(loss(real + 0.1 * torch.randn_like(real), real)) > 0.3


def test_only_the_published_synthesizers_own_pairs_are_learnt_from(tmp_path):
    path, made_by = tmp_path / "pairs.npz", "tempo, 5 steps, 25 minutes"
    pair = {"mel": np.zeros((80, 9), np.float16), "sound": np.ones(1600, np.int16), "frames": [9], "samples": [1600]}
    pair["f0"] = np.full(9, 120, np.float32)
    assert load_pairs(path, made_by) is None
    np.savez(path, **pair)  # nobody knows by whom
    assert load_pairs(path, made_by) is None
    np.savez(path, made_by=made_by, **pair)
    assert load_pairs(path, "tempo, 6 steps, 25 minutes") is None
    sounds, mels, f0 = load_pairs(path, made_by).batch(2, 5)
    assert sounds.shape == (2, 800) and mels.shape == (2, 80, 5) and f0.shape == (2, 5)
