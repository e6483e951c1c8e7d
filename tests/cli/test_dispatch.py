"""The first word chooses the trainer or the evaluation; a wrong one is one line and exit code 2."""

import warnings

import numpy as np
import pytest

from cli import evaluate, train
from cli.dispatch import dispatch
from cli.plots import similarity_histograms, spectrogram_table
from core.errors import VoiceError


@pytest.mark.parametrize("table", [train.TABLE, evaluate.TABLE])
def test_every_word_leads_to_a_module_with_a_main_and_a_plot_that_exists(table):
    import importlib

    from cli import plots

    for module, plot in table.values():
        assert callable(importlib.import_module(module).main)
        assert not plot or callable(getattr(plots, plot))


def test_a_wrong_word_names_the_right_ones(capsys):
    assert dispatch("cli.train", train.TABLE, ["encodr"]) == 2
    err = capsys.readouterr().err
    assert "encoder|synthesizer|vocoder" in err and err.count("\n") == 1


def test_what_we_foresee_is_one_line(monkeypatch, capsys):
    def main(argv):
        raise VoiceError("There is no speech to learn from.", "Set VOICE_SPEECH.")

    monkeypatch.setattr("core.training.encoder.main", main)
    assert dispatch("cli.train", train.TABLE, ["encoder"]) == 2
    assert capsys.readouterr().err == "There is no speech to learn from. Set VOICE_SPEECH.\n"


def test_the_pictures_are_written(tmp_path):
    rng = np.random.default_rng(0)
    report = {"by_length": {"3 s and more": {"ours": {"eer_pairs": 0.05}}}}
    similarity_histograms(tmp_path / "a" / "h.png", {"ours": (rng.random(50), rng.random(90))}, report)
    silence = np.zeros(16000, np.float32)  # of which matplotlib would take the logarithm
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spectrogram_table(tmp_path / "s.png", [("one", {"original": rng.normal(0, 0.1, 16000), "made": silence})])
    for path in (tmp_path / "a" / "h.png", tmp_path / "s.png"):
        assert path.read_bytes()[:4] == b"\x89PNG"
