"""The verbs of demo_cli with fake models: what they print, what they say of bad input, how they end."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fakes import fake_cloner

from cli import benchmark, terminal
from cli.terminal import main
from core.audio.io import read_audio
from core.errors import ModelError

ROOT = Path(__file__).resolve().parents[2]


def tone(hertz=220.0, seconds=2.0, sample_rate=16000):
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * sample_rate)) / sample_rate)


@pytest.fixture
def voice(tmp_path):
    soundfile.write(tmp_path / "голос.wav", tone(), 16000)
    return tmp_path / "голос.wav"


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    """Every verb gets fake models instead of those in pretrained/."""
    cloner = fake_cloner()
    monkeypatch.setattr("cli.speak.load_cloner", lambda arguments, report=None: cloner)
    monkeypatch.setattr("cli.benchmark.load_cloner", lambda arguments, report=None: cloner)
    monkeypatch.setattr("cli.embed.load_model", lambda arguments, role, name=None: getattr(cloner, role))
    monkeypatch.setattr("cli.resynthesize.load_model", lambda arguments, role, name=None: getattr(cloner, role))
    return cloner


@pytest.fixture
def cli(capsys):
    """Runs a command line; gives its exit code, its JSON (or its stdout), and the lines on stderr."""

    def run(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        if "--json" in words and code == 0:
            assert out.count("\n") == 1
            out = json.loads(out)
        return code, out, err.splitlines()

    return run


def refused(outcome, *parts):
    """One line on stderr with all these parts, exit code 2, nothing on stdout."""
    code, out, err = outcome
    assert (code, out, len(err)) == (2, "", 1), err
    for part in parts:
        assert part in err[0]


def test_speak(cli, voice, tmp_path):
    output = tmp_path / "said.flac"
    code, result, err = cli("speak", "--voice", voice, "--text", "Hello there.", "--output", output, "--json")
    assert code == 0 and err == []
    assert set(result) == {"output", "sample_rate", "seconds", "seed", "similarity", "timings", "real_time_factor"}
    waveform = read_audio(output)
    assert result["output"] == str(output) and result["seed"] == 0
    assert result["sample_rate"] == waveform.sample_rate
    assert result["seconds"] == pytest.approx(waveform.seconds, abs=0.001)
    assert -1 <= result["similarity"] <= 1
    assert set(result["timings"]) == {"read", "load", "embed", "synthesize", "vocode", "write", "compare"}
    made_in = result["timings"]["synthesize"] + result["timings"]["vocode"]
    assert result["real_time_factor"] == pytest.approx(made_in / result["seconds"], abs=0.001)


def test_speak_averages_voices_reads_files_and_keeps_its_seed(cli, voice, tmp_path):
    soundfile.write(tmp_path / "other.wav", tone(330), 16000)
    (tmp_path / "text.txt").write_text("﻿First line.\n\nSecond line.\n", encoding="utf-8")
    words = ["--voice", voice, "--voice", tmp_path / "other.wav", "--text-file", tmp_path / "text.txt", "--json"]
    for name in ("a.wav", "b.wav"):
        code, result, _ = cli("speak", *words, "--seed", 7, "--output", tmp_path / name)
        assert code == 0 and result["seed"] == 7
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_speak_at_another_pitch(cli, voice, tmp_path):
    words = ["speak", "--voice", voice, "--text", "Hello there, all of you.", "--variation", "0.2", "--json"]
    for name, pitch in (("plain.wav", "0"), ("low.wav", "-7.5")):
        assert cli(*words, "--pitch", pitch, "--output", tmp_path / name)[0] == 0
    plain, low = (read_audio(tmp_path / name).samples for name in ("plain.wav", "low.wav"))
    assert len(plain) == len(low)
    peaks = [np.abs(np.fft.rfft(samples)).argmax() for samples in (plain, low)]
    assert peaks[1] / peaks[0] == pytest.approx(2 ** (-7.5 / 12), rel=0.02)


def test_speak_with_a_dictionary(cli, fakes, voice, tmp_path, monkeypatch):
    (tmp_path / "mine.txt").write_text("﻿# mine\nGIF = jif\nшар\t/ʂar/\n", encoding="utf-8")
    asked, made = [], fakes.synthesizer.synthesize
    monkeypatch.setattr(
        fakes.synthesizer,
        "synthesize",
        lambda text, voice, seed, options, report: asked.append(options) or made(text, voice, seed, options, report),
    )
    words = ["--voice", voice, "--text", "A gif, please.", "--output", tmp_path / "o.wav", "--json"]
    assert cli("speak", *words, "--dictionary", tmp_path / "mine.txt")[0] == 0
    assert [options.pronunciations for options in asked] == [(("gif", "jif"), ("шар", "/ʂar/"))]


def test_speak_takes_ten_thousand_characters(cli, voice, tmp_path):
    text = "A sentence of no great length, and then another. " * 205
    code, result, _ = cli("speak", "--voice", voice, "--text", text, "--output", tmp_path / "long.wav", "--json")
    assert code == 0
    assert result["seconds"] > 500
    assert read_audio_seconds(tmp_path / "long.wav") == pytest.approx(result["seconds"], abs=0.1)


def read_audio_seconds(path):
    return soundfile.info(path).duration


def test_a_result_too_short_to_embed_has_no_similarity(cli, voice, tmp_path):
    code, result, err = cli("speak", "--voice", voice, "--text", "Ah", "--output", tmp_path / "ah.wav", "--json")
    assert code == 0 and result["similarity"] is None
    assert len(err) == 1 and "unknown" in err[0]


def test_speak_for_people(cli, voice, tmp_path):
    code, out, _ = cli("speak", "--voice", voice, "--text", "Hello there.", "--output", tmp_path / "said.wav")
    assert code == 0
    assert "said.wav" in out and "similarity" in out


def test_embed(cli, voice, tmp_path):
    code, result, err = cli("embed", voice, voice, "--json")
    assert code == 0 and err == []
    assert set(result) == {"encoder", "embeddings"} and result["encoder"] == "fake-encoder"
    assert [set(one) for one in result["embeddings"]] == [{"file", "vector"}] * 2
    assert result["embeddings"][0]["file"] == str(voice)
    assert np.linalg.norm(result["embeddings"][0]["vector"]) == pytest.approx(1, abs=1e-3)
    assert cli("embed", voice)[1].startswith(str(voice))


def test_compare(cli, voice, tmp_path):
    soundfile.write(tmp_path / "other.wav", tone(990), 16000)
    code, result, _ = cli("compare", voice, tmp_path / "other.wav", "--json")
    assert code == 0
    similarities = np.array(result["similarities"])
    np.testing.assert_allclose(similarities, similarities.T)
    np.testing.assert_allclose(np.diag(similarities), 1, atol=1e-3)
    assert similarities[0, 1] < 0.9
    lines = cli("compare", voice, tmp_path / "other.wav")[1].splitlines()
    assert len(lines) == 3 and "голос.wav" in lines[1] and lines[1].split()[2] == "1.000"
    refused(cli("compare", voice), "One file cannot be compared")


def test_resynthesize(cli, voice, tmp_path):
    code, result, _ = cli("resynthesize", voice, "--output", tmp_path / "copy.wav", "--json")
    assert code == 0
    assert set(result) == {"output", "sample_rate", "seconds", "real_time_factor"}
    assert result["seconds"] == pytest.approx(2.0, abs=0.05)
    assert (tmp_path / "copy.wav").exists()


def test_benchmark(cli, monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark, "window_visible_seconds", lambda: 0.5)
    vectors = np.ones((2, 256), np.float16) / 16
    np.savez(tmp_path / "voices.npz", vectors=vectors, space=np.array("ge2e-256"))
    monkeypatch.setattr(benchmark, "REFERENCE_VOICES", tmp_path / "voices.npz")
    code, result, _ = cli("benchmark", "--json")
    assert code == 0
    keys = ["window_visible_s", "embed_5s_s", "synthesizer_rtf", "vocoder_rtf", "first_sound_s"]
    keys += ["first_sound_new_voice_s", "rss_mb"]
    assert list(result) == keys
    assert all(isinstance(result[key], float) for key in keys)
    assert 20 < result["rss_mb"] < 100000
    assert len(cli("benchmark")[1].splitlines()) == len(keys)
    monkeypatch.setattr(benchmark, "REFERENCE_VOICES", tmp_path / "gone.npz")
    refused(cli("benchmark", "--json"), "reference voices")


@pytest.mark.parametrize(
    "name, parts",
    [
        ("silence.wav", ["silence.wav", "silence"]),
        ("short.wav", ["short.wav", "half a second"]),
        ("empty.wav", ["empty.wav is empty"]),
        ("text.wav", ["text.wav is not a sound file"]),
        ("folder", ["folder is a folder"]),
        ("gone.wav", ["gone.wav does not exist"]),
    ],
)
@pytest.mark.parametrize("verb", ["speak", "embed"])
def test_bad_recordings_are_named(cli, tmp_path, verb, name, parts):
    soundfile.write(tmp_path / "silence.wav", np.zeros(32000), 16000)
    soundfile.write(tmp_path / "short.wav", tone(seconds=0.3), 16000)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("not sound " * 100)
    (tmp_path / "folder").mkdir()
    if verb == "speak":
        words = ["speak", "--voice", tmp_path / name, "--text", "Hello.", "--output", tmp_path / "out.wav"]
    else:
        words = ["embed", tmp_path / name]
    refused(cli(*words, "--json"), *parts)
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.parametrize(
    "words, parts",
    [
        (["--text", " ... \n—", "--output", "o.wav"], ["nothing to say"]),
        (["--text", "", "--output", "o.wav"], []),
        (["--text", "Hi.", "--output", "o.mp3"], ["o.mp3", ".wav, .flac, .ogg"]),
        (["--text", "Hi.", "--output", "no/such/folder/o.wav"], ["does not exist"]),
        (["--text", "Hi.", "--output", "o.wav", "--seed", "pi"], ["--seed"]),
        (["--text", "Hi.", "--output", "o.wav", "--seed", "-1"], ["seed -1"]),
        (["--text", "Hi.", "--output", "o.wav", "--speed", "9"], ["speed 9"]),
        (["--text", "Hi.", "--output", "o.wav", "--variation", "2"], ["variation 2"]),
        (["--text", "Hi.", "--output", "o.wav", "--pitch", "-13"], ["pitch -13", "semitones"]),
        (["--text", "Hi.", "--output", "o.wav", "--pitch", "nan"], ["pitch nan"]),
        (["--text", "Hi.", "--output", "o.wav", "--dictionary", "gone.txt"], ["gone.txt cannot be read"]),
        (["--text", "Hi.", "--output", "o.wav", "--dictionary", "latin.txt"], ["latin.txt is not UTF-8"]),
        (["--text", "Hi.", "--output", "o.wav", "--dictionary", "mine.txt"], ["mine.txt, line 2", "“gif jif”", "=”"]),
        (["--text", "Hi.", "--text-file", "t", "--output", "o.wav"], ["not allowed with"]),
        (["--text-file", "gone.txt", "--output", "o.wav"], ["gone.txt"]),
        (["--text-file", "latin.txt", "--output", "o.wav"], ["latin.txt is not UTF-8"]),
        (["--text-file", ".", "--output", "o.wav"], ["cannot be read"]),
        (["--output", "o.wav"], ["--text"]),
        (["--text", "Hi."], ["--output"]),
        (["--text", "Hi.", "--output", "o.wav", "--colour", "red"], ["--colour"]),
    ],
)
def test_bad_requests_are_explained_before_any_work(cli, voice, tmp_path, monkeypatch, words, parts):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latin.txt").write_bytes("Käse".encode("latin-1"))
    (tmp_path / "mine.txt").write_text("# mine\ngif jif\n")
    monkeypatch.setattr("cli.speak.load_cloner", lambda *a, **k: pytest.fail("work had begun"))
    refused(cli("speak", "--voice", voice, *words), *parts)


@pytest.mark.parametrize("words", [[], ["sing"], ["embed"], ["resynthesize", "x.wav"]])
def test_bad_command_lines(cli, words):
    refused(cli(*words), "--help")


def test_errors_of_models_are_one_line_even_if_they_are_long(cli, voice, monkeypatch):
    def fail(*args):
        raise ModelError("The weights do not fit:\n\tmissing a\n\tmissing b", "Restore them.")

    monkeypatch.setattr("cli.embed.load_model", fail)
    refused(cli("embed", voice), "missing a missing b Restore them.")


def test_ctrl_c_and_the_unforeseen_leave_no_traceback(cli, voice, monkeypatch):
    for failure, code, words in ((KeyboardInterrupt(), 130, "Stopped"), (RuntimeError("shape"), 1, "shape")):

        def fail(*args, failure=failure):
            raise failure

        monkeypatch.setattr("cli.embed.load_model", fail)
        outcome, out, err = cli("embed", voice)
        assert (outcome, out, len(err)) == (code, "", 1) and words in err[0]


def test_models_lists_cards_and_names_damaged_files(cli, tmp_path):
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "broken.safetensors").write_bytes(b"\x20\0\0\0\0\0\0\0{}")
    code, result, err = cli("models", "--json", "--pretrained", tmp_path)
    assert code == 0
    assert [model["name"] for model in result["models"]] == ["griffin-lim"]
    assert set(result["models"][0]) >= {"role", "name", "architecture", "bytes", "languages", "metrics"}
    assert len(err) == 1 and "broken.safetensors" in err[0]
    assert "griffin-lim" in cli("models", "--pretrained", tmp_path)[1]


def test_the_folder_of_models_can_come_from_the_environment(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("VOICE_PRETRAINED", str(tmp_path))
    assert [model["name"] for model in cli("models", "--json")[1]["models"]] == ["griffin-lim"]


def test_the_bar_is_drawn_on_a_terminal_only(monkeypatch, capsys):
    with terminal.progress() as report:
        report(0.5, "speaking")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with terminal.progress() as report:
        report(0.5, "speaking")
    drawn = capsys.readouterr().err
    assert "############" in drawn and " 50 % speaking" in drawn and drawn.endswith("\r\x1b[K")


@pytest.mark.parametrize("words", [["--help"], ["speak", "--help"], ["benchmark", "--help"], ["models"]])
def test_help_and_models_do_not_wait_for_torch(words):
    code = (
        f"import sys; from cli.terminal import main\n"
        f"try: main({words!r})\n"
        f"except SystemExit as end: assert not end.code\n"
        f"assert not {{'torch', 'librosa', 'scipy', 'PyQt5', 'soundfile'}} & set(sys.modules), list(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_five_seconds_and_memory():
    from core.types import Waveform

    assert benchmark.five_seconds(Waveform(np.ones(100), 1000)).seconds == 5
    assert benchmark.peak_memory_mb() > 20
