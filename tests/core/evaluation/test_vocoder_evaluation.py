"""The vocoder's evaluation: how sure its means are, and the pitch over many utterances."""

import numpy as np
import pytest

from core.evaluation.vocoder import interval, pitch_of_all, write_card
from core.inference.registry import Card, read_card, read_tensors
from core.training.checkpoint import publish
from core.types import PROJECT_MEL, Mel, Waveform


def test_an_interval_is_the_means_and_narrows_with_more_utterances():
    values = np.random.default_rng(1).normal(5, 2, 400)
    low, high = interval(values)
    assert low < values.mean() < high and high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    wide = interval(values[:25])
    assert wide[1] - wide[0] > 3 * (high - low)


class Octave:
    """Stands for a vocoder: gives back the sounds it was told, in their order."""

    def __init__(self, sounds: list[np.ndarray]):
        self.sounds = iter(sounds)

    def vocode(self, mel: Mel) -> Waveform:
        return Waveform(next(self.sounds), 16000)


def test_the_pitch_of_many_is_the_mean_over_them():
    pytest.importorskip("parselmouth")
    low, high = (
        sum(np.sin(2 * np.pi * k * f0 * np.arange(16000) / 16000) / k for k in range(1, 12)).astype(np.float32) * 0.1
        for f0 in (120, 240)
    )

    class Cache:
        samples = staticmethod(lambda i: low)

    found = pitch_of_all(Octave([low, high, low]), Cache(), [0, 1, 2])
    assert found["utterances"] == 3
    assert found["mean"]["gross"] == pytest.approx(1 / 3, abs=0.01)
    assert found["mean"]["cents"] == pytest.approx(400, abs=5)
    assert found["interval"]["cents"] == [pytest.approx(0, abs=1), pytest.approx(1200, abs=15)]


def test_what_was_measured_is_in_the_card_and_the_weights_stay(tmp_path):
    torch = pytest.importorskip("torch")
    card = Card("vocoder", "vocos", "tiny", mel_format=PROJECT_MEL, metrics={"val_seen_mel": 0.1}, extra={"minutes": 3})
    path = publish(card, {"weight": torch.arange(4.0)}, tmp_path)
    found = {"utterances": 531, "mean": {"cents": 77.0}, "interval": {}}
    report = {"utterances": 40, "results": {"tiny": {"all": {"pesq": 3.5, "rtf": 0.02}}}, "pitch_of_all": found}
    write_card(read_card(path), report)
    written = read_card(path)
    assert written.metrics["val_unseen_pesq"] == 3.5 and written.metrics["val_unseen_utterances"] == 40
    assert written.metrics["val_unseen_cents_of_all"] == 77.0 and "val_unseen_rtf" not in written.metrics
    assert written.extra == {"minutes": 3} and read_tensors(written)["weight"].tolist() == [0, 1, 2, 3]
