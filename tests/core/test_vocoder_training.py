"""The vocoder's trainer: two steps of each stage, publish, resume; crops and losses behave."""

import numpy as np
import pytest
import torch

from cli.plots import training_sample
from core.inference.registry import load, read_card
from core.training.crops import Crops
from core.training.pitch import trusted
from core.training.spectral import SpectralLoss
from core.training.vocoder import SyntheticCache, main
from core.types import PROJECT_MEL, Mel


def test_two_steps_publish_a_vocoder_that_speaks_and_resume(tmp_path, capsys):
    options = ["--smoke", "--device", "cpu", "--runs", str(tmp_path / "runs"), "--publish", str(tmp_path / "models")]
    assert main(options, draw=training_sample) == 0
    card = read_card(tmp_path / "models" / "vocoder" / "vocos.safetensors")
    assert card.steps == 2 and card.mel_format == PROJECT_MEL and card.metrics["val_seen_mel"] > 0
    made = load(card).vocode(Mel(np.full((80, 20), -3.0), PROJECT_MEL))
    assert made.samples.std() > 0
    assert list((tmp_path / "runs" / "samples").glob("*.png")) and list((tmp_path / "runs" / "samples").glob("*.wav"))
    assert main([*options, "--resume"]) == 0
    assert "resumed" in capsys.readouterr().err


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
