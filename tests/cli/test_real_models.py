"""The command line with the published models: every kind of file a person may give it, every damaged model."""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cli.terminal import main
from core.audio.io import read_audio
from core.audio.transform import resample
from core.inference import registry
from core.types import Waveform

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def models():
    """Loads each published model once; skips what needs one that is not published."""
    cards, _ = registry.available()
    missing = [role for role in registry.ROLES if not any(card.path for card in cards[role])]
    if missing:
        pytest.skip(f"pretrained/ holds no {' and no '.join(missing)}")
    patch = pytest.MonkeyPatch()
    cached = functools.cache(lambda path, loaded=registry.load: loaded(registry.read_card(path)))
    uncached = registry.load
    inside = registry.PRETRAINED
    patch.setattr(
        registry,
        "load",
        lambda card: cached(card.path) if card.path and inside in card.path.parents else uncached(card),
    )
    yield
    patch.undo()


@pytest.fixture(scope="module")
def spoken(models, tmp_path_factory):
    """About six seconds of speech at 16 kHz: a person's where there is recorded speech, else the toolbox's own."""
    from core.training.data import SPEECH, decode, read_manifest, read_shards

    if (SPEECH / "manifest.tsv").exists():
        rows = [r for r in read_manifest() if r.split == "val_seen" and r.set == "librispeech_test-clean"]
        row = next(r for r in rows if r.seconds > 6)
        return Waveform(next(decode(blob) for _, blob in read_shards([row]))[: 6 * 16000], 16000)
    from cli.benchmark import TEXT, reference_voice
    from core.inference.cloner import Cloner

    cloner = Cloner()
    cloner.select()
    return cloner.clone(TEXT, reference_voice(cloner.encoder.space)).waveform


@pytest.fixture
def voice(spoken, tmp_path):
    soundfile.write(tmp_path / "voice.wav", spoken.samples, 16000)
    return tmp_path / "voice.wav"


@pytest.fixture
def cli(capfd):
    """Runs a command line with --json; gives its exit code, its result (or stdout), and the lines on stderr."""

    def run(*words):
        code = main([*map(str, words), "--json"])
        out, err = capfd.readouterr()
        return code, json.loads(out) if code == 0 else out, err.splitlines()

    return run


def refused(outcome, *parts):
    code, out, err = outcome
    assert (code, out, len(err)) == (2, "", 1), err
    for part in parts:
        assert part in err[0]


KINDS = {
    "studio 24 bit.wav": dict(subtype="PCM_24"),
    "toy 8 bit.wav": dict(subtype="PCM_U8"),
    "float.wav": dict(subtype="FLOAT"),
    "96 kHz.wav": dict(rate=96000),
    "telephone 8 kHz.wav": dict(rate=8000),
    "stereo.wav": dict(channels=2),
    "opposite phases.wav": dict(channels=2, signs=(1, -1)),
    "six channels.wav": dict(channels=6, format="WAVEX"),
    "a.flac": {},
    "a.ogg": {},
    "a.opus": dict(rate=48000, format="OGG", subtype="OPUS"),
    "a.mp3": dict(rate=44100),
    "cut off.mp3": dict(rate=44100, keep=0.7),
    "Моя бабушка.wav": {},
}


@pytest.mark.parametrize("name", KINDS)
def test_the_voice_is_the_same_in_every_kind_of_file(cli, voice, spoken, tmp_path, name):
    kind = dict(KINDS[name])
    rate, channels, keep = kind.pop("rate", 16000), kind.pop("channels", 1), kind.pop("keep", 1.0)
    signs = np.array(kind.pop("signs", (1,) * channels), np.float32)
    path = tmp_path / name
    soundfile.write(path, resample(spoken, rate).samples[:, None] * signs, rate, **kind)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    code, result, err = cli("compare", voice, path)
    assert code == 0 and err == []
    assert result["similarities"][0][1] > (0.75 if rate == 8000 else 0.9)
    assert 0.4 < result["usual"]["different"] < result["usual"]["same"] - 0.2


def test_what_holds_no_speech_is_refused(cli, spoken, tmp_path):
    noise = np.random.default_rng(0)
    sounds = {
        "silence": np.zeros(48000),
        "hiss": 0.1 * noise.normal(size=48000),
        "rumble": np.cumsum(noise.normal(size=48000)) / 2000,
        "hum": 0.3 * np.sin(2 * np.pi * 50 * np.arange(48000) / 16000),
        "a moment": spoken.samples[16000 : 16000 + 5000],
    }
    for name, samples in sounds.items():
        soundfile.write(tmp_path / f"{name}.wav", np.clip(samples, -1, 1), 16000)
        refused(cli("embed", tmp_path / f"{name}.wav"), f"{name}.wav: ")


def test_speech_comes_out_the_same_for_the_same_seed(cli, voice, tmp_path):
    sounds = []
    for name, seed in (("a.wav", 1), ("b.wav", 1), ("c.wav", 2)):
        words = ["--text", "The boats came home. Nobody had expected them.", "--output", tmp_path / name]
        code, result, err = cli("speak", "--voice", voice, "--seed", seed, *words)
        assert code == 0 and err == []
        assert 1.5 < result["seconds"] < 8
        assert result["similarity"] > 0.5
        sounds.append((tmp_path / name).read_bytes())
    assert sounds[0] == sounds[1] != sounds[2]


def test_copy_synthesis_keeps_the_voice(cli, voice, spoken, tmp_path):
    code, result, _ = cli("resynthesize", voice, "--output", tmp_path / "copy.flac")
    assert code == 0
    assert result["seconds"] == pytest.approx(spoken.seconds, abs=0.05)
    assert np.abs(read_audio(tmp_path / "copy.flac").samples).max() > 0.05
    assert cli("compare", voice, tmp_path / "copy.flac")[1]["similarities"][0][1] > 0.8


def test_griffin_lim_is_always_there(cli, voice, tmp_path):
    code, _, _ = cli("resynthesize", voice, "--output", tmp_path / "copy.wav", "--vocoder", "griffin-lim")
    assert code == 0


def test_without_models_it_says_so(cli, voice, tmp_path):
    (tmp_path / "empty").mkdir()
    words = ["--pretrained", tmp_path / "empty"]
    refused(cli("embed", voice, *words), "no encoder", "Restore pretrained/")
    speak = ["speak", "--voice", voice, "--text", "Hello.", "--output", tmp_path / "o.wav"]
    refused(cli(*speak, *words), "no encoder")
    refused(cli(*speak, "--synthesizer", "Caruso"), "no synthesizer named 'Caruso'")


@pytest.mark.parametrize("role", registry.ROLES)
@pytest.mark.parametrize("damage", ["cut", "noise"])
def test_a_damaged_model_is_named(cli, voice, tmp_path, role, damage):
    folder = tmp_path / "pretrained"
    for each in registry.ROLES:
        card = registry.find(each)
        (folder / each).mkdir(parents=True)
        shutil.copy(card.path, folder / each)
    path = next((folder / role).iterdir())
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] if damage == "cut" else np.random.default_rng(0).bytes(len(data)))
    name = registry.find(role).name
    words = ["speak", "--voice", voice, "--text", "Hello.", "--output", tmp_path / "o.wav", "--pretrained", folder]
    refused(cli(*words, f"--{role}", name), path.name)
    if role == "vocoder":  # Griffin-Lim takes its place when none is asked for
        assert cli(*words)[0] == 0
    else:
        refused(cli(*words), path.name)
        assert not (tmp_path / "o.wav").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe to wait at")
def test_ctrl_c_ends_it_quietly(voice, tmp_path):
    pipe = tmp_path / "text"
    os.mkfifo(pipe)
    words = ["speak", "--voice", voice, "--text-file", pipe, "--output", tmp_path / "o.wav"]
    process = subprocess.Popen(
        [sys.executable, ROOT / "demo_cli.py", *words],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite run in the background ignores it
    )
    with pipe.open("w"):  # returns when the program waits for the text
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == "" and err.strip() == "Stopped."
    assert not (tmp_path / "o.wav").exists()


def test_a_process_of_its_own_prints_one_line_of_json_and_leaves_stderr_clean(voice, tmp_path):
    words = ["speak", "--voice", voice, "--text", "Good evening.", "--output", tmp_path / "o.wav", "--json"]
    command = [sys.executable, ROOT / "demo_cli.py", *map(str, words)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" and done.stdout.count("\n") == 1
    assert json.loads(done.stdout)["output"] == str(tmp_path / "o.wav")
