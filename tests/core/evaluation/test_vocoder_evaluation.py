"""The vocoder's evaluation: how sure its means are, and the pitch over many utterances."""

import json

import numpy as np
import pytest

from core.evaluation import vocoder as evaluation
from core.evaluation.vocoder import choose, interval, pitch_of_all, write_card
from core.inference.registry import Card, read_card, read_tensors
from core.training.checkpoint import publish
from core.types import PROJECT_MEL, Mel, Waveform


def test_an_interval_is_the_means_and_narrows_with_more_utterances():
    values = np.random.default_rng(1).normal(5, 2, 400)
    low, high = interval(values)
    assert low < values.mean() < high and high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    wide = interval(values[:25])
    assert wide[1] - wide[0] > 3 * (high - low)


class Recordings:
    """Stands for SpeechCache: rows that all sound the same."""

    def __init__(self, rows: list, sound: np.ndarray):
        self.rows, self.samples = rows, lambda i: sound


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

    found = pitch_of_all(Octave([low, high, low]), Recordings([], low), [0, 1, 2])
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
    assert written.metrics["val_seen_mel"] == 0.1


def test_more_utterances_begin_with_the_same():
    from core.training.data import Row

    rows = [Row(f"u{i}", "s", "", f"S{i % 3}", "", "en", "val_seen", 4.0, "a text") for i in range(30)]
    cache = type("Cache", (), {"rows": rows})
    everything = choose(cache, 100, "val_seen")
    assert len(everything) == 30 and choose(cache, 7, "val_seen") == everything[:7]


def test_stopped_early_it_keeps_what_it_has_and_begins_nothing_else(tmp_path, monkeypatch, capsys):
    sound = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    row = type("Row", (), {"set": "s", "speaker": "S", "text": "a", "utt_id": "u", "seconds": 1.0})
    monkeypatch.setattr(evaluation, "SpeechCache", lambda: Recordings([row] * 2, sound))
    monkeypatch.setattr(evaluation, "choose", lambda *_: [0, 1])
    monkeypatch.setattr(evaluation, "measure", lambda *_: dict.fromkeys(evaluation.PITCH, 1.0))
    opinions = iter([{"lossy": False, "dnsmos": 3.0}] * 3)

    def opinion(*_):
        if (said := next(opinions, None)) is None:
            raise KeyboardInterrupt
        return dict(said)

    monkeypatch.setattr(evaluation, "opinion", opinion)
    monkeypatch.setattr(evaluation, "pitch_of_all", lambda *_: pytest.fail("begun after the stop"))
    options = ["--split", "val_seen", "--vocoder", "griffin-lim", "--folder", str(tmp_path / "none")]
    assert evaluation.main([*options, "--output", str(tmp_path)]) == 0
    assert "stopped early" in capsys.readouterr().err
    report = json.loads((tmp_path / "vocoder.json").read_text())
    assert report["utterances"] == 1 and report["pitch_of_all"] is None
