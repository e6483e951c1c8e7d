"""The GUI thread never waits: a 10 ms timer is never late by more than 100 ms while the real models work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.inference import registry

LIMIT = 100.0  # ms
ATTEMPTS = 3  # a machine with other things to do may take the processor away; our own waiting would show each time


def test_the_gui_thread_never_waits(speech, tmp_path):
    cards, _ = registry.available()
    missing = [role for role in ("encoder", "synthesizer") if not cards[role]]
    if missing:
        pytest.skip(f"needs models in pretrained/: no {' and no '.join(missing)} there")
    import soundfile

    files = []
    for i, (_row, waveform) in enumerate(speech(10)):
        files.append(tmp_path / f"voice{'abcdefghij'[i]}.wav")
        soundfile.write(files[-1], waveform.samples, waveform.sample_rate)
    script = Path(__file__).parent / "heartbeat.py"
    seen = []
    for _ in range(ATTEMPTS):
        done = subprocess.run(
            [sys.executable, str(script), str(registry.PRETRAINED), *map(str, files)],
            capture_output=True,
            text=True,
            timeout=150,
            env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        )
        assert done.returncode == 0, done.stderr
        stages = json.loads(done.stdout.splitlines()[-1])
        assert stages.pop("takes") == 2, stages["notices"]
        assert stages.pop("map_method") == "umap"
        raw = stages.pop("raw")
        stages.pop("notices")
        print(f"late by at most {stages} ms; with the time other processes took, {raw} ms")
        seen.append(stages)
        if max(stages.values()) <= LIMIT:
            return
    pytest.fail(f"the GUI thread was late by more than {LIMIT:g} ms: {seen}")
