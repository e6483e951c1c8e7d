"""Windows are drawn offscreen (unless --headed), settings are thrown away, fakes stand for models."""

import os
import sys

import pytest

if "--headed" not in sys.argv:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"


def pytest_addoption(parser):
    parser.addoption("--headed", action="store_true", help="show the windows while they are tested")


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory, monkeypatch):
    """Each test has a home of its own: nothing is read from, or left in, the user's settings."""
    home = tmp_path_factory.mktemp("home")
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(home))


@pytest.fixture
def cloner():
    """The pipeline at work with fake models."""
    from fakes import fake_cloner

    return fake_cloner()


@pytest.fixture(scope="session")
def umap():
    """umap-learn at work in its process: compiling it takes a while, so one serves all tests."""
    from core.inference.umap_process import UmapProcess

    process = UmapProcess()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def speech():
    """Real speech: a function giving some rows of the manifest and their waveforms; skips where there is none."""
    from core.training.data import SPEECH, decode, read_manifest, read_shards
    from core.types import Waveform

    if not (SPEECH / "manifest.tsv").exists():
        pytest.skip(f"needs the recorded speech, expected in {SPEECH} (set VOICE_SPEECH)")

    def some(n=1, split="val_seen", set="librispeech_test-clean", speaker=None, min_seconds=3.0, gender=None):
        rows = [
            row
            for row in read_manifest()
            if row.split == split
            and row.set == set
            and row.seconds >= min_seconds
            and (speaker is None or row.speaker == speaker)
            and (gender is None or row.gender == gender)
        ][:n]
        found = {row.utt_id: Waveform(decode(blob), 16000) for row, blob in read_shards(rows)}
        return [(row, found[row.utt_id]) for row in rows]

    return some
